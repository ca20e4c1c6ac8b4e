import { z } from "zod";
import { DROP_REASONS } from "../trace/reason.ts";
import { PRESET_NAMES } from "../translator/preset.ts";
import { PACKET_KINDS } from "./packet-kind.ts";
import { parseDuration } from "./quantity.ts";

/**
 * The scenario format. Each text says what is expected where it stands: editors show it, and so does the error about
 * anything else.
 */
export const text = (expected: string) => z.string({ error: expected }).min(1, expected).describe(expected);
export const shaped = (expected: string, shape: RegExp) => text(expected).regex(shape, expected);
export const whole = (expected: string, low: number, high: number) =>
  z.int({ error: expected }).min(low, expected).max(high, expected).describe(expected);
export const flag = (expected: string) => z.boolean({ error: `${expected}: true or false` }).describe(expected);
export const list = <T extends z.ZodType>(item: T, expected: string) =>
  z.array(item, { error: expected }).describe(expected);
export const map = <K extends z.ZodString, T extends z.ZodType>(key: K, value: T, expected: string) =>
  z.record(key, value, { error: expected }).describe(expected);

/** A map with these keys and no others. */
export function keys<T extends z.ZodRawShape>(what: string, shape: T) {
  const error = (issue: { readonly code?: string }) =>
    issue.code === "unrecognized_keys" ? `a key of ${what} (${Object.keys(shape).join(", ")})` : what;
  return z.strictObject(shape, { error }).describe(what);
}

const NAMESPACE = "a namespace (letters, digits, . _ -)";
const namespace = shaped(NAMESPACE, /^[A-Za-z0-9][A-Za-z0-9._-]*$/);
export const deviceName = shaped("a device name (1 to 15 letters, digits or any of . _ -)", /^[A-Za-z0-9._-]{1,15}$/);
export const end = shaped(
  "a namespace and its device such as c1/eth0",
  /^[A-Za-z0-9][A-Za-z0-9._-]*\/[A-Za-z0-9._-]{1,15}$/,
);
export const address = shaped("an IPv4 address such as 172.17.0.2", /^\d{1,3}(\.\d{1,3}){3}$/);
export const interfaceAddress = shaped(
  "an IPv4 address with its prefix length such as 172.17.0.2/16",
  /^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}( brd none)?$/,
);
export const mac = shaped("a MAC address such as 02:42:ac:11:00:02", /^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/);
const DURATION = "a time such as 500ms or 2s, no longer than a million seconds";
const duration = shaped(DURATION, /^\d{1,15}(\.\d{1,9})?(ns|us|ms|s|min)$/).refine(
  (value) => parseDuration(value) <= 1e15,
  DURATION,
);
const percentage = shaped("a chance such as 10%", /^(100|\d{1,2}(\.\d{1,6})?)%$/);
export const port = whole("a port (0-65535)", 0, 65_535);

const IMPAIRMENT = {
  delay: duration.optional(),
  jitter: duration.optional(),
  loss: percentage.optional(),
  duplicate: percentage.optional(),
  reorder: percentage.optional(),
  corrupt: percentage.optional(),
};

const sysctls = map(
  text("a sysctl such as net.ipv4.ip_forward"),
  z.union([z.int(), z.string()], { error: "an integer" }),
  "sysctls and their values",
);

const RULES = {
  rules: text("iptables-restore text").optional(),
  rules_file: text("the path of a file with iptables-restore text, from the scenario's folder").optional(),
};

const env = map(
  shaped("the name of an environment variable", /^[A-Za-z_][A-Za-z0-9_]*$/),
  z.string({ error: "a text" }),
  "environment variables of programs",
);

const device = keys("a device", {
  type: z
    .enum(["bridge", "dummy", "ipip", "ip6tnl"], {
      error:
        "a type of device (bridge, dummy, or the tunnels ipip and ip6tnl, which stay down); the ends of links need none",
    })
    .optional(),
  mac: mac.optional(),
  mtu: whole("an MTU in bytes (68-65535)", 68, 65_535).optional(),
  addresses: list(interfaceAddress, "a list of addresses").optional(),
  master: deviceName.describe("the bridge that this device is a port of").optional(),
  hairpin: flag("a port that may send a frame back where it came from").optional(),
  isolated: flag("a port that reaches no other isolated port").optional(),
  ageing: duration.describe("how long a bridge remembers an address").optional(),
  up: flag("up from the start").optional(),
  ifindex: whole("the number that ip prints (1-999999)", 1, 999_999).optional(),
  txqueuelen: whole("a number of packets (0-999999)", 0, 999_999).optional(),
});

const files = map(
  shaped("the path of a file such as /etc/resolv.conf", /^\/\S+$/),
  z.string({ error: "the text of a file" }),
  "files by their path",
);

const process = keys("a process", {
  pid: whole("its number (1-2999)", 1, 2999),
  parent: whole("its parent's number (0-2999)", 0, 2999).optional(),
  command: text("its words"),
  name: shaped("what the kernel calls it, such as start.sh", /^\S{1,15}$/).optional(),
  user: text("whose it is; without it, root").optional(),
});

const namespaceSpec = keys("a namespace", {
  devices: map(deviceName, device, "a map of devices").optional(),
  routes: list(text("a route as after `ip route add`"), "a list of routes").optional(),
  policy: list(text("a policy rule as after `ip rule add`"), "a list of policy rules").optional(),
  neighbours: list(text("ADDRESS lladdr MAC dev DEVICE"), "a list of neighbours").optional(),
  fdb: list(text("MAC dev PORT"), "a list of static bridge entries").optional(),
  sysctls: sysctls.optional(),
  ipsets: text("ipset save text").optional(),
  env: env.optional(),
  files: files.describe("files that programs read, by their path").optional(),
  processes: list(process, "processes that ps shows beside those that hopscope runs").optional(),
  ...RULES,
});

const outsideEnd = shaped("an address and a port such as 10.0.0.1:3128", /^[\d.]+:\d{1,5}$/);

const translator = keys("a translator", {
  preset: z
    .enum(PRESET_NAMES, { error: `the tool that it behaves like (${PRESET_NAMES.join(", ")})` })
    .describe("the tool that it behaves like, and whose addresses it has"),
  host: namespace.describe("the namespace whose sockets it uses"),
  forwards: list(
    shaped(
      "a port of the gateway and where it leads, such as tcp:3000:127.0.0.1:3000",
      /^(tcp|udp):\d{1,5}:[\d.]+:\d{1,5}$/,
    ),
    "a list of forwarded ports of the gateway",
  ).optional(),
  publish: list(
    shaped(
      "a published port such as tcp:0.0.0.0:8080:tcp:172.17.0.2:80",
      /^(tcp|udp):[\d.]+:\d{1,5}:(tcp|udp):[\d.]+:\d{1,5}$/,
    ),
    "ports of the host that lead into the first guest",
  ).optional(),
  proxy: keys("HTTP proxies", {
    http: outsideEnd.describe("the proxy that port 80 of remote hosts leads to").optional(),
    https: outsideEnd.describe("the proxy that port 443 of remote hosts leads to").optional(),
    exclude: list(
      text("a name, a suffix such as .corp, an address or a prefix"),
      "what is fetched without a proxy",
    ).optional(),
    allow: list(text("a name, a suffix such as .corp, an address or a prefix"), "what alone may be fetched").optional(),
  })
    .describe("ports 3128 and 3129 of the gateway are proxies, and remote hosts are proxied unasked")
    .optional(),
  search: list(
    shaped("a domain such as corp.example", /^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/),
    "domains that DHCP tells guests to search",
  ).optional(),
  boot: text("what DHCP tells guests to boot, such as http://192.168.65.2/boot.ipxe").max(255).optional(),
  allow: list(
    shaped("destinations such as 10.0.0.0/8 or 192.0.2.1:443", /^\d{1,3}(\.\d{1,3}){3}(\/\d{1,2})?(:\d{1,5})?$/),
    "where guests may go besides the host's loopback; without it, everywhere",
  ).optional(),
});

const recording = keys("a recording", {
  guest: end.describe("the device whose frames are those of a real guest"),
  translator: namespace.describe("the translator whose sockets were real ones"),
  log: z
    .string({ error: "the lines of a recording" })
    .describe("what the guest sent and what the sockets said, a line each, as `hopscope attach --record` writes it"),
});

const daemon = keys("daemon.json", {
  debug: flag("dockerd tells much, and so does its containerd").optional(),
  "userland-proxy-path": shaped("a path such as /usr/bin/docker-proxy", /^\/\S+$/).optional(),
  "userland-proxy": flag("docker-proxy for published ports").optional(),
  icc: flag("containers of the default network reach each other").optional(),
  bip: interfaceAddress.describe("docker0's own address").optional(),
  ip: address.describe("where ports are published that name no address").optional(),
  dns: list(address, "a list of DNS servers").optional(),
  "default-address-pools": list(
    keys("an address pool", {
      base: shaped("a prefix such as 10.10.0.0/16", /^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/),
      size: whole("a prefix length (8-30)", 8, 30),
    }),
    "a list of address pools",
  ).optional(),
  hosts: list(
    shaped(
      "tcp://ADDRESS:PORT, or unix:///var/run/docker.sock, which is there anyway",
      /^(tcp:\/\/[\d.]+:\d{1,5}|unix:\/\/\/\S+)$/,
    ),
    "where dockerd listens",
  ).optional(),
  proxies: keys("the proxies that dockerd itself uses", {
    "http-proxy": text("a proxy such as http://192.168.1.5:3128").optional(),
    "https-proxy": text("a proxy such as http://192.168.1.5:3128").optional(),
    "no-proxy": text("names and addresses that are reached without a proxy").optional(),
  }).optional(),
  "insecure-registries": list(text("a registry such as 192.168.1.5:5000"), "registries without TLS").optional(),
  "registry-mirrors": list(text("a URL such as http://192.168.1.5:5000"), "mirrors of Docker Hub").optional(),
});

const ENGINE = "an engine (17.05, 19.03, 23, 27, 28.0, 28.5, 29)";
const engine = z.union([z.string(), z.number()], { error: ENGINE }).describe(ENGINE);

const words = z.array(z.string(), { error: "a list of words" });

const image = keys("an image", {
  entrypoint: words.describe("ENTRYPOINT").optional(),
  command: words.describe("CMD").optional(),
  env: env.describe("ENV").optional(),
  expose: list(shaped("a port such as 80/tcp", /^\d{1,5}\/(tcp|udp|sctp)$/), "EXPOSE").optional(),
  files: files.describe("its files; ID=alpine in /etc/os-release makes its tools those of Alpine").optional(),
});

const docker = keys("a Docker host", {
  images: map(text("an image such as nginx or nginx:1.29"), image, "what images are made of").optional(),
  engine: engine.optional(),
  also: list(engine, "engines that the scenario holds for as well").optional(),
  command: text("dockerd with its arguments, as ps shows it").optional(),
  in: namespace.describe("the namespace that dockerd runs in; without it, host").optional(),
  daemon: daemon.optional(),
  env: env.describe("dockerd's own environment variables, which no shell sees").optional(),
  run: list(text("a command such as docker run -d --name web nginx"), "a list of docker commands").optional(),
  compose: z
    .union([z.string().min(1), z.looseObject({ services: z.unknown() })], {
      error: "the path of a compose file, or a compose file itself",
    })
    .describe("the path of a compose file, from the scenario's folder, or a compose file itself; after run")
    .optional(),
});

const link = keys("a link", {
  ends: z
    .tuple([end, end], { error: "two ends such as [c1/eth0, host/veth1]" })
    .describe("the two ends of a cable (a veth pair)"),
  ...IMPAIRMENT,
});

const fault = keys("a fault", {
  device: end.describe("the frames that leave by this device suffer"),
  from: duration.optional(),
  until: duration.optional(),
  ...IMPAIRMENT,
});

export const bytes = shaped("hexadecimal bytes", /^([0-9A-Fa-f]{2})+$/);
const PAYLOAD = { hex: bytes.optional(), data: z.string({ error: "a text" }).optional(), size: port.optional() };
export const octet = whole("a byte (0-255)", 0, 255);

const frame = keys("a frame", {
  eth: keys("an Ethernet header", { src: mac, dst: mac, type: port.optional() }),
  arp: keys("an ARP message", {
    op: z.enum(["request", "reply"], { error: "request or reply" }).optional(),
    sha: mac.optional(),
    spa: address,
    tha: mac.optional(),
    tpa: address,
  }).optional(),
  ip: keys("an IPv4 header", {
    src: address,
    dst: address,
    tos: octet.optional(),
    id: port.optional(),
    df: flag("don't fragment").optional(),
    mf: flag("more fragments").optional(),
    off: port.optional(),
    ttl: octet.optional(),
    proto: octet.optional(),
    len: port.optional(),
    csum: port.optional(),
  }).optional(),
  udp: keys("a UDP datagram", {
    sport: port.optional(),
    dport: port.optional(),
    len: port.optional(),
    csum: port.optional(),
    ...PAYLOAD,
  }).optional(),
  tcp: keys("a TCP segment", {
    sport: port.optional(),
    dport: port.optional(),
    seq: whole("a sequence number", 0, 0xffffffff).optional(),
    ack: whole("a sequence number", 0, 0xffffffff).optional(),
    flags: shaped("TCP flags, of F S R P A U E C", /^[FSRPAUEC]+$/).optional(),
    win: port.optional(),
    opts: bytes.optional(),
    csum: port.optional(),
    ...PAYLOAD,
  }).optional(),
  icmp: keys("an ICMP message", {
    type: octet,
    code: octet.optional(),
    id: port.optional(),
    seq: port.optional(),
    csum: port.optional(),
    ...PAYLOAD,
  }).optional(),
  ...PAYLOAD,
});

/** What a step does: exactly one of these. */
export const STEP_ACTIONS = [
  "run",
  "inject",
  "rules",
  "rules_file",
  "sysctls",
  "up",
  "down",
  "impair",
  "flush",
] as const;

const step = keys("a step", {
  at: duration.describe("when it happens; without it, once the step before is done").optional(),
  after: duration.describe("how long after the step before is done").optional(),
  in: namespace.describe("the namespace that it happens in").optional(),
  run: text("a command such as ping -c 1 203.0.113.10").optional(),
  name: text("the name by which an expectation means this program").optional(),
  env: env.optional(),
  inject: end.describe("a device that sends a frame from outside").optional(),
  frame: frame.optional(),
  hex: bytes.optional(),
  count: whole("how many (1-1000000)", 1, 1_000_000).optional(),
  ...RULES,
  sysctls: sysctls.optional(),
  up: end.describe("a device to set up").optional(),
  down: end.describe("a device to set down").optional(),
  impair: keys("an impairment", { device: end, ...IMPAIRMENT }).optional(),
  flush: z.literal("conntrack", { error: "conntrack" }).optional(),
});

const place = shaped("a namespace, or a device such as host/eth0", /^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9._-]+)?$/);
const rule = text('a table, its chain and "policy", a rule number or the rule: filter FORWARD policy');
const tuple = text("a tuple such as icmp src=172.17.0.2 dst=203.0.113.10");

/** What an expectation is about: at most one of these; none of them means that the packet arrives. */
export const EXPECTATION_SUBJECTS = ["dropped", "delivered", "matched", "output", "conntrack"] as const;

const expectation = keys("an expectation", {
  engine: engine.describe("the only engine that it is about; all where absent").optional(),
  packet: z.enum(PACKET_KINDS, { error: `a kind of packet (${PACKET_KINDS.join(", ")})` }).optional(),
  at: end.describe("the device at which the packet is seen").optional(),
  direction: z.enum(["in", "out"], { error: "in or out" }).describe("arriving (in) or leaving (out)").optional(),
  source: address.optional(),
  destination: address.optional(),
  source_port: port.optional(),
  destination_port: port.optional(),
  id: port.describe("the identifier of an ICMP echo").optional(),
  ttl: octet.optional(),
  tos: octet.optional(),
  length: port.describe("bytes of the IPv4 packet").optional(),
  source_mac: mac.optional(),
  destination_mac: mac.optional(),
  count: whole("how many packets (0-1000000)", 0, 1_000_000).optional(),
  dropped: keys("a drop", {
    at: place,
    reason: z.enum(DROP_REASONS, { error: "a drop reason such as NETFILTER_DROP" }).optional(),
    rule: rule.optional(),
  }).optional(),
  delivered: namespace.describe("the namespace where a program received it").optional(),
  matched: keys("a rule that decides", {
    at: namespace,
    rule,
    verdict: z.enum(["accept", "drop", "return", "jump", "goto", "continue"], { error: "a verdict" }).optional(),
  }).optional(),
  output: keys("a program's output", {
    program: text("the name of a program"),
    line: text("a part of a line that it prints"),
  }).optional(),
  conntrack: keys("a tracked flow", {
    at: namespace,
    original: tuple.optional(),
    reply: tuple.optional(),
    status: list(
      z.enum(["SEEN_REPLY", "ASSURED", "SRC_NAT", "DST_NAT"], { error: "SEEN_REPLY, ASSURED, SRC_NAT or DST_NAT" }),
      "a list of status bits",
    ).optional(),
  }).optional(),
});

/** The groups of the course, in its order. */
export const LESSON_GROUPS = [
  "Out and across",
  "Published ports",
  "Firewalls",
  "Networks apart",
  "Names, addresses and sizes",
  "Docker among others",
  "The control plane",
  "On the host's own card",
] as const;

const ANSWERS = "two to six answers, one of them correct";

const lesson = keys("a lesson", {
  number: whole("the lesson's place in the course (1-99)", 1, 99),
  group: z.enum(LESSON_GROUPS, { error: `a group of lessons (${LESSON_GROUPS.join(", ")})` }),
  belief: text("the wrong belief that it corrects"),
  question: text("what the learner predicts before the run"),
  answers: list(
    keys("an answer", { text: text("an answer"), correct: flag("the answer that is right").optional() }),
    ANSWERS,
  ).refine(
    (answers) =>
      answers.length >= 2 && answers.length <= 6 && answers.filter(({ correct }) => correct === true).length === 1,
    ANSWERS,
  ),
  explanation: text("why the right answer is right"),
});

export const SCENARIO = keys("a scenario", {
  title: text("a title"),
  story: text("a short text that says what this shows").optional(),
  lesson: lesson.optional(),
  seed: whole("a seed, a whole number", 0, 0xffffffff).optional(),
  until: duration.describe("when the run ends; without it, when nothing is under way").optional(),
  extends: text("the path of a scenario whose namespaces and links come first, from this one's folder").optional(),
  namespaces: map(namespace, namespaceSpec, "a map of namespaces").default({}),
  translators: map(namespace, translator, "a map of translators, whose ports are ends of links").optional(),
  links: list(link, "a list of links").optional(),
  docker: docker.optional(),
  recording: recording.describe("what came from outside in a live session").optional(),
  faults: list(fault, "a list of faults").optional(),
  steps: list(step, "a list of steps").optional(),
  expect: list(expectation, "a list of expectations").optional(),
});

export type ScenarioSpec = z.infer<typeof SCENARIO>;
export type LessonSpec = z.infer<typeof lesson>;
export type NamespaceSpec = z.infer<typeof namespaceSpec>;
export type TranslatorSpec = z.infer<typeof translator>;
export type DockerSpec = z.infer<typeof docker>;
export type DeviceSpec = z.infer<typeof device>;
export type ImpairmentSpec = Pick<z.infer<typeof link>, keyof typeof IMPAIRMENT>;
export type StepSpec = z.infer<typeof step>;
export type ExpectationSpec = z.infer<typeof expectation>;

export type Subject = (typeof EXPECTATION_SUBJECTS)[number] | "arrival";

export const subjectOf = (spec: ExpectationSpec): Subject =>
  EXPECTATION_SUBJECTS.find((key) => spec[key] !== undefined) ?? "arrival";

/** The JSON Schema of the format, for editors. */
export function scenarioSchema(): object {
  return z.toJSONSchema(SCENARIO, { io: "input" });
}
