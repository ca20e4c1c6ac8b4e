import { splitWords } from "../program/command-line.ts";
import { parseIpv4, parseMac, parsePrefix } from "../wire/address.ts";
import {
  type AttachmentSpec,
  type Command,
  type ContainerNetworking,
  type ContainerSpec,
  type NetworkSpec,
  parseBind,
  parseExtraHost,
  parsePort,
  readWord,
  refuse,
  type Word,
} from "./command.ts";

/** Which options take a value; the others are flags. Short ones as in `-dit`. */
interface OptionTable {
  readonly values: readonly string[];
  readonly flags: readonly string[];
  readonly letters: Readonly<Record<string, string>>;
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");

/** `docker run` and `docker create`. What is not about networking is read and left aside. */
const RUN: OptionTable = {
  values:
    words(`name hostname domainname network net network-alias net-alias ip ip6 mac-address link link-local-ip publish
    expose dns dns-search dns-option dns-opt add-host env env-file label label-file sysctl volume mount workdir user
    entrypoint restart memory memory-swap memory-reservation cpus cpu-shares cpuset-cpus cap-add cap-drop device
    security-opt ulimit log-driver log-opt pid ipc uts userns cgroupns platform pull runtime shm-size stop-signal
    stop-timeout tmpfs volumes-from gpus health-cmd health-interval health-retries health-timeout health-start-period
    isolation annotation attach blkio-weight cgroup-parent cidfile detach-keys group-add kernel-memory oom-score-adj
    pids-limit storage-opt volume-driver`),
  flags: words(`detach interactive tty rm privileged publish-all init read-only no-healthcheck oom-kill-disable quiet
    sig-proxy disable-content-trust help`),
  letters: {
    d: "detach",
    i: "interactive",
    t: "tty",
    P: "publish-all",
    p: "publish",
    h: "hostname",
    e: "env",
    l: "label",
    v: "volume",
    w: "workdir",
    u: "user",
    m: "memory",
    a: "attach",
    c: "cpu-shares",
    q: "quiet",
  },
};
const NETWORK: OptionTable = {
  values: words("driver subnet gateway ip-range aux-address opt label ipam-driver ipam-opt scope config-from"),
  flags: words("internal attachable ingress ipv6 ipv4 config-only"),
  letters: { d: "driver", o: "opt" },
};
const CONNECT: OptionTable = {
  values: words("alias ip ip6 link link-local-ip driver-opt gw-priority"),
  flags: [],
  letters: {},
};
const PULL: OptionTable = {
  values: ["platform"],
  flags: words("quiet all-tags disable-content-trust"),
  letters: { q: "quiet", a: "all-tags" },
};
const PLAIN: OptionTable = {
  values: words("time timeout signal"),
  flags: words("force volumes attach interactive link"),
  letters: { t: "time", f: "force", v: "volumes", a: "attach", s: "signal", i: "interactive" },
};

/** Options and operands of one command. */
class Given {
  private readonly options = new Map<string, Word[]>();
  readonly operands: Word[] = [];

  constructor(
    readonly command: Word,
    given: readonly Word[],
    table: OptionTable,
    /** Options end at the first operand, for what follows belongs to the container. */
    private readonly untilOperand = false,
  ) {
    for (let i = 0; i < given.length; i++) {
      const word = given[i]!;
      if (!/^-./.test(word.text) || (this.untilOperand && this.operands.length > 0)) {
        this.operands.push(word);
        continue;
      }
      i += this.read(word, given[i + 1], table);
    }
  }

  /** Answers how many words it took besides its own. */
  private read(word: Word, next: Word | undefined, table: OptionTable): number {
    if (!word.text.startsWith("--")) return this.readLetters(word, next, table);
    const [, name = "", value] = /^--([^=]+)(?:=(.*))?$/s.exec(word.text) ?? [];
    if (table.flags.includes(name)) {
      if (value !== "false") this.add(name, { ...word, text: value ?? "true" });
      return 0;
    }
    if (!table.values.includes(name))
      throw refuse(word, `an option of docker ${this.command.text}`, `unknown flag: --${name}`);
    if (value !== undefined) this.add(name, shifted(word, word.text.length - value.length, value));
    else if (next === undefined) throw refuse(word, "a value", `flag needs an argument: --${name}`);
    else this.add(name, next);
    return value === undefined ? 1 : 0;
  }

  private readLetters(word: Word, next: Word | undefined, table: OptionTable): number {
    for (let at = 1; at < word.text.length; at++) {
      const letter = word.text[at]!;
      const name = table.letters[letter];
      if (name === undefined)
        throw refuse(
          word,
          `an option of docker ${this.command.text}`,
          `unknown shorthand flag: '${letter}' in ${word.text}`,
        );
      if (table.flags.includes(name)) {
        this.add(name, { ...word, text: "true" });
        continue;
      }
      const rest = word.text.slice(at + 1).replace(/^=/, "");
      if (rest !== "") this.add(name, shifted(word, word.text.length - rest.length, rest));
      else if (next === undefined) throw refuse(word, "a value", `flag needs an argument: '${letter}' in ${word.text}`);
      else this.add(name, next);
      return rest === "" ? 1 : 0;
    }
    return 0;
  }

  private add(name: string, value: Word): void {
    this.options.set(name, [...(this.options.get(name) ?? []), value]);
  }

  all(...names: string[]): Word[] {
    return names.flatMap((name) => this.options.get(name) ?? []);
  }

  last(...names: string[]): Word | null {
    return this.all(...names).at(-1) ?? null;
  }

  has(name: string): boolean {
    return this.options.has(name);
  }

  operand(at: number, what: string): Word {
    const word = this.operands[at];
    if (word === undefined) throw refuse(this.command, `${what} after docker ${this.command.text}`);
    return word;
  }
}

const shifted = (word: Word, by: number, text: string): Word => ({
  text,
  place: { ...word.place, column: word.place.column + by },
});

const UNSUPPORTED = ["ip6", "link", "link-local-ip"];

/** What one line asks of Docker, and what of it about networking is not supported. */
export interface DockerLine {
  readonly command: Command;
  readonly notices: readonly Word[];
}

/**
 * One line such as `docker run -d -p 8080:80 --name web nginx`.
 * @throws {InputError} that points at the word.
 */
export function parseDockerLine(text: string, place: Word["place"]): DockerLine {
  const all = splitWords(text, place);
  const start = all[0]?.text === "docker" ? 1 : 0;
  const [first, second] = [all[start], all[start + 1]];
  if (first === undefined) throw refuse({ text, place }, "a docker command such as docker run nginx");
  const group = first.text === "network" || first.text === "container";
  const name = group ? second : first;
  if (name === undefined) throw refuse(first, `a command after docker ${first.text}`);
  const rest = all.slice(start + (group ? 2 : 1));
  const verb = first.text === "network" ? `network ${name.text}` : name.text;
  const word = { ...name, text: verb };
  switch (verb) {
    case "run":
    case "create":
      return parseRun(word, rest);
    case "network create":
      return parseNetworkCreate(word, rest);
    case "network rm": {
      const given = new Given(word, rest, PLAIN);
      given.operand(0, "a network");
      return { command: { kind: "network-remove", networks: given.operands }, notices: [] };
    }
    case "network connect":
      return parseConnect(word, rest);
    case "network disconnect": {
      const given = new Given(word, rest, PLAIN);
      const [network, container] = [given.operand(0, "a network"), given.operand(1, "a container")];
      return { command: { kind: "disconnect", network, container }, notices: [] };
    }
    case "pull": {
      const given = new Given(word, rest, PULL);
      return { command: { kind: "pull", image: given.operand(0, "an image") }, notices: [] };
    }
    case "start":
    case "stop":
    case "restart":
    case "kill":
    case "rm": {
      const given = new Given(word, rest, PLAIN);
      given.operand(0, "a container");
      const kind = verb === "kill" ? "stop" : verb === "rm" ? "remove" : verb;
      const attached = kind === "start" && given.has("attach") ? { attached: true as const } : {};
      return { command: { kind, containers: given.operands, ...attached }, notices: [] };
    }
  }
  throw refuse(
    word,
    "docker run, create, start, stop, restart, rm, pull, exec, ps, inspect, port, logs, top, or network create, connect, disconnect, rm, ls, inspect",
    `docker: unknown command: docker ${verb}`,
  );
}

function parseRun(word: Word, rest: readonly Word[]): DockerLine {
  const given = new Given(word, rest, RUN, true);
  const image = given.operand(0, "an image");
  const name = given.last("name") ?? { ...image, text: image.text.replace(/^.*\//, "").replace(/[:@].*$/, "") };
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name.text))
    throw refuse(
      name,
      "a name of letters, digits and _ . -",
      `Invalid container name (${name.text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  const container: ContainerSpec = {
    name,
    shortName: name.text,
    hostname: given.last("hostname")?.text ?? null,
    image: image.text,
    ...parseWhatRuns(given),
    networking: parseNetworking(given),
    ports: given.all("publish").flatMap(parsePort),
    exposed: given.all("expose").map(({ text }) => (text.includes("/") ? text : `${text}/tcp`)),
    publishAll: given.has("publish-all"),
    environment: new Map(given.all("env").map(({ text }) => pair(text, "="))),
    labels: new Map(given.all("label").map(({ text }) => pair(text, "="))),
    dns: given.all("dns").map((dns) => checked(dns, "a DNS server's address", () => parseIpv4(dns.text)).text),
    dnsSearch: given.all("dns-search").map(({ text }) => text),
    dnsOptions: given.all("dns-option", "dns-opt").map(({ text }) => text),
    extraHosts: given.all("add-host").map(parseExtraHost),
    sysctls: new Map(given.all("sysctl").map((entry) => located(entry, "="))),
    binds: given.all("volume").flatMap(({ text }) => parseBind(text) ?? []),
  };
  return { command: { kind: "create", container, start: word.text === "run" }, notices: given.all(...UNSUPPORTED) };
}

function parseWhatRuns(given: Given): Pick<ContainerSpec, "entrypoint" | "command" | "terminal" | "host"> {
  const entrypoint = given.last("entrypoint");
  const command = given.operands.slice(1).map(({ text }) => text);
  return {
    entrypoint: entrypoint === null ? null : [entrypoint.text],
    command: command.length > 0 ? command : null,
    host: {
      restart: given.last("restart")?.text ?? "no",
      privileged: given.has("privileged"),
      autoRemove: given.has("rm"),
    },
    terminal: { stdin: given.has("interactive"), tty: given.has("tty"), attached: !given.has("detach") },
  };
}

function parseNetworking(given: Given): ContainerNetworking {
  const networks = given.all("network", "net");
  const aliases = given.all("network-alias", "net-alias").map(({ text }) => text);
  const ip = given.last("ip");
  const mac = given.last("mac-address");
  const single = {
    aliases,
    address: ip === null ? null : { ...ip, address: readWord(ip, "an IPv4 address", parseIpv4) },
    mac: mac === null ? null : readWord(mac, "a MAC address", parseMac),
    gatewayPriority: 0,
  };
  const [only] = networks;
  if (only === undefined)
    return {
      kind: "networks",
      given: false,
      attachments: [{ ...single, network: { ...given.command, text: "bridge" } }],
    };
  if (networks.length === 1) {
    const mode = networkMode(only);
    if (mode !== null) return mode;
  }
  const attachments = networks.map((word, i) => {
    const long = parseLongNetwork(word);
    return i === 0 ? { ...long, ...withDefaults(long, single) } : long;
  });
  return { kind: "networks", given: true, attachments };
}

const withDefaults = (long: AttachmentSpec, single: Omit<AttachmentSpec, "network">) => ({
  aliases: [...single.aliases, ...long.aliases],
  address: long.address ?? single.address,
  mac: long.mac ?? single.mac,
});

/** `host`, `none` and `container:NAME`; null for a network. */
export function networkMode(word: Word): ContainerNetworking | null {
  if (word.text === "host" || word.text === "none") return { kind: word.text };
  if (!word.text.startsWith("container:")) return null;
  return { kind: "container", container: shifted(word, 10, word.text.slice(10)) };
}

/** `NETWORK`, or `name=NETWORK,alias=...,ip=...,gw-priority=...`. */
function parseLongNetwork(word: Word): AttachmentSpec {
  const plain = { aliases: [], address: null, mac: null, gatewayPriority: 0 };
  if (!word.text.includes("="))
    return { ...plain, network: { ...word, text: word.text === "default" ? "bridge" : word.text } };
  let spec: AttachmentSpec = { ...plain, network: word };
  let at = 0;
  for (const field of word.text.split(",")) {
    const [key, text] = pair(field, "=");
    const value = shifted(word, at + key.length + 1, text);
    at += field.length + 1;
    if (key === "name") spec = { ...spec, network: value };
    else if (key === "alias") spec = { ...spec, aliases: [...spec.aliases, text] };
    else if (key === "ip")
      spec = { ...spec, address: { ...value, address: readWord(value, "an IPv4 address", parseIpv4) } };
    else if (key === "mac-address") spec = { ...spec, mac: readWord(value, "a MAC address", parseMac) };
    else if (key === "gw-priority") spec = { ...spec, gatewayPriority: integer(value) };
    else throw refuse(value, "name, alias, ip, mac-address or gw-priority", `invalid field key ${key}`);
  }
  return spec;
}

function parseNetworkCreate(word: Word, rest: readonly Word[]): DockerLine {
  const given = new Given(word, rest, NETWORK);
  const name = given.operand(0, "a name for the network");
  const network = (option: string) => {
    const value = given.last(option);
    return value === null ? null : { ...value, prefix: readWord(value, "a subnet such as 172.20.0.0/16", parsePrefix) };
  };
  const gateway = given.last("gateway");
  const spec: NetworkSpec = {
    name,
    driver: given.last("driver"),
    subnet: network("subnet"),
    range: network("ip-range"),
    gateway: gateway === null ? null : { ...gateway, address: readWord(gateway, "an IPv4 address", parseIpv4) },
    auxiliary: new Map(
      given.all("aux-address").map((entry) => {
        const [key, value] = located(entry, "=");
        return [key, readWord(value, "an IPv4 address", parseIpv4)];
      }),
    ),
    internal: given.has("internal"),
    attachable: given.has("attachable"),
    options: new Map(given.all("opt").map((entry) => located(entry, "="))),
    labels: new Map(given.all("label").map(({ text }) => pair(text, "="))),
  };
  return {
    command: { kind: "network-create", network: spec },
    notices: given.all("ipv6", "config-from", "config-only", "ingress"),
  };
}

function parseConnect(word: Word, rest: readonly Word[]): DockerLine {
  const given = new Given(word, rest, CONNECT);
  const ip = given.last("ip");
  const priority = given.last("gw-priority");
  const attachment: AttachmentSpec = {
    network: given.operand(0, "a network"),
    aliases: given.all("alias").map(({ text }) => text),
    address: ip === null ? null : { ...ip, address: readWord(ip, "an IPv4 address", parseIpv4) },
    mac: null,
    gatewayPriority: priority === null ? 0 : integer(priority),
  };
  const command: Command = { kind: "connect", container: given.operand(1, "a container"), attachment };
  return { command, notices: given.all(...UNSUPPORTED, "driver-opt") };
}

function pair(text: string, by: string): [string, string] {
  const at = text.indexOf(by);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function located(word: Word, by: string): [string, Word] {
  const [key, value] = pair(word.text, by);
  return [key, shifted(word, word.text.length - value.length, value)];
}

function integer(word: Word): number {
  if (!/^-?\d{1,9}$/.test(word.text)) throw refuse(word, "a whole number");
  return Number(word.text);
}

function checked(word: Word, expected: string, check: () => unknown): Word {
  readWord(word, expected, check);
  return word;
}
