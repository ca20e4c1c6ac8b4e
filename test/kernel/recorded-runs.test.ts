import { describe, expect, test } from "vitest";
import { packetBytes } from "../../src/scenario/lab-packet.ts";
import { buildLab } from "../../src/scenario/lab-world.ts";
import { formatIpv4, parseIpv4 } from "../../src/wire/address.ts";
import * as icmp from "../../src/wire/icmp.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import type { World } from "../../src/world/world.ts";
import { recording } from "./recorded/digest.ts";
import { type RecordedHost, recordedNetwork } from "./recorded/network.ts";
import { Listener } from "./recorded/retell.ts";

const INTERNET = "203.0.113.10";
const SECOND = 1e9;

const classic = recording("classic-s1.rules");
/** The recordings of Docker 29 had the base chains of mangle; `modern-29.rules` was saved without them. */
const modern = `${recording("modern-29.rules")}${table(classic, "mangle")}`;

function table(rules: string, name: string): string {
  return rules.slice(rules.indexOf(`*${name}\n`), rules.indexOf("COMMIT\n", rules.indexOf(`*${name}\n`)) + 7);
}

/** Cables and addresses of the run that recorded t01, t02, t09 and t13. */
const first = {
  c1: "vethe0bd7c5",
  c2: "veth8b016f4",
  docker0: "02:42:06:52:44:7c",
  eth0: "06:63:67:71:6c:81",
  gateway: "32:15:9b:d2:d7:79",
  bridgeCallsIptables: true,
  rules: classic,
};

/** The network of a run, with every neighbour known as it was when the recording began. */
function start(host: RecordedHost): { world: World; listener: Listener } {
  const world = buildLab(recordedNetwork(host));
  for (const [from, to] of [
    ["c1", INTERNET],
    ["c2", INTERNET],
    ["c1", "172.17.0.3"],
  ] as const) {
    world.host(from).ping.socket().send(parseIpv4(to), 1);
    world.settle();
  }
  world.host("host").net.tracker.flush();
  world.host("gw").net.tracker.flush();
  return { world, listener: new Listener(world) };
}

const runFor = (world: World, seconds: number): unknown => world.run(world.fabric.scheduler.now + seconds * SECOND);

/** `ping -c1`, with the identifier that the recording shows; answers with what it prints. */
function ping(world: World, from: string, to: string, identifier: number): string[] {
  const lines: string[] = [];
  const socket = world.host(from).ping.socket(identifier);
  socket.onReply = (echo) =>
    lines.push(`${echo.bytes} bytes from ${formatIpv4(echo.from)}: icmp_seq=${echo.sequence} ttl=${echo.ttl}`);
  socket.onError = ({ sequence, error }) => {
    const unreachable = error.type === icmp.UNREACHABLE && error.code === icmp.HOST_UNREACHABLE;
    const what = unreachable ? "Destination Host Unreachable" : `type ${error.type} code ${error.code}`;
    lines.push(`From ${formatIpv4(error.from)} icmp_seq=${sequence} ${what}`);
  };
  expect(socket.send(parseIpv4(to), 1)).toBe(null);
  world.settle();
  return lines;
}

describe("hopscope tells a recorded run as the kernel's own tools told it:", () => {
  test("t01, a container pings the internet through MASQUERADE", () => {
    const { world, listener } = start(first);
    const said = ping(world, "c1", INTERNET, 14_220);
    expect(listener.retell(said, "icmp")).toBe(recording("t01.txt"));
  });

  test("t02, a container pings its neighbour, and bridged frames pass the rules", () => {
    // The base chains of mangle came into being after this run: its trace has none.
    const { world, listener } = start({ ...first, rules: classic.replace(table(classic, "mangle"), "") });
    const said = ping(world, "c1", "172.17.0.3", 13_361);
    expect(listener.retell(said, "icmp")).toBe(recording("t02.txt"));
  });

  test("t09, a SYN and its repetition from one bridge network to another end in DOCKER-ISOLATION-STAGE-2", () => {
    const { world, listener } = start(first);
    const syn = (stamp: number) =>
      packetBytes({
        ip: { src: "172.17.0.2", dst: "172.18.0.2", df: true, id: stamp & 0xffff },
        tcp: {
          sport: 50_104,
          dport: 80,
          seq: 2_070_350_499,
          win: 64_240,
          opts: `020405b40402080a${stamp.toString(16)}000000000103030a`,
        },
      });
    for (const stamp of [3_303_593_346, 3_303_594_367]) {
      world.host("c1").net.sendRaw(syn(stamp), parseIpv4("172.18.0.2"), 0);
      runFor(world, 1.021);
    }
    expect(listener.retell([], "tcp")).toBe(recording("t09.txt"));
  });

  test("t13, three hops answer a traceroute by UDP", () => {
    const { world, listener } = start(first);
    const said: string[] = [];
    [57_272, 34_239, 51_397].forEach((port, index) => {
      const socket = world.host("c1").udp.open({ ttl: index + 1, reportErrors: true });
      socket.bind(0, port);
      socket.send(new Uint8Array(24), { address: parseIpv4(INTERNET), port: 33_434 + index });
      world.settle();
      said.push(`${index + 1}  ${lastError(listener)}`);
    });
    expect(listener.retell(said, "udp")).toBe(recording("t13.txt"));
  });

  test("t26, with bridge-nf-call-iptables 0 no hook sees a ping between two containers on one bridge", () => {
    // No rule can matter here; those of Docker 23 without its userland proxy are not among the recordings.
    const { world, listener } = start({ ...first, c1: "veth6db8c06", c2: "veth5fb7087", bridgeCallsIptables: false });
    const said = ping(world, "c1", "172.17.0.3", 24_107);
    expect(listener.retell(said, "icmp")).toBe(recording("t26.txt"));
  });

  test("t30, two containers send from the same source port, and MASQUERADE keeps each in its class of ports", () => {
    const { world, listener } = start({
      c1: "veth112f848",
      c2: "vethcd51312",
      docker0: "02:42:27:5e:ae:ad",
      eth0: "06:4e:be:af:27:2e",
      gateway: "46:97:55:b2:7f:7f",
      bridgeCallsIptables: true,
      rules: modern,
    });
    const said: string[] = [];
    const server = world.host("inet").udp.open();
    server.bind(0, 9999);
    let peer = "";
    server.onReceive = ({ from }) => {
      peer = `server sees peer=${formatIpv4(from.address)}:${from.port}`;
      // As many bytes as the recorded server sent; the kernel's ports had as many digits as the client's.
      server.send(new Uint8Array(from.port > 1023 ? 35 : 33), from);
    };
    for (const port of [45_678, 777, 300])
      for (const [name, address] of [
        ["c1", "172.17.0.2"],
        ["c2", "172.17.0.3"],
      ] as const) {
        said.push(`# ${name} sport ${port}`);
        const client = world.host(name).udp.open();
        client.bind(0, port);
        client.connect(parseIpv4(INTERNET), 9999);
        client.onReceive = () => said.push(`client local=${address}:${port} -> ${INTERNET} | reply: ${peer}`);
        client.send(new Uint8Array(2));
        runFor(world, 0.05);
      }
    expect(portClasses(listener.retell(said, "udp"))).toBe(portClasses(recording("t30.txt")));
  });

  test("t35, an unused address is asked for three times, and the sender itself says that it is unreachable", () => {
    const { world, listener } = start({ ...first, c1: "veth2ed8a7e", c2: "veth72d1965" });
    const said = ping(world, "c1", "172.17.5.5", 35);
    runFor(world, 3.5);
    expect(listener.retell(said, "icmp")).toBe(recording("t35.txt"));
  });

  test("n01, a container pings the internet under the rules of Docker 29 with bridge-nf-call-iptables 0", () => {
    const { world, listener } = start({
      c1: "vetha715534",
      c2: "vethc38bb28",
      docker0: "02:42:d1:ff:16:e2",
      eth0: "56:e9:3e:b8:37:ae",
      gateway: "86:e7:be:3a:f8:28",
      bridgeCallsIptables: false,
      rules: modern,
    });
    const said = ping(world, "c1", INTERNET, 1768);
    expect(listener.retell(said, "icmp")).toBe(recording("n01.txt"));
  });

  test("n02, no hook sees a ping between two containers under the rules of Docker 29 either", () => {
    const host = { c1: "vetha715534", c2: "vethc38bb28", bridgeCallsIptables: false, rules: modern };
    const { world, listener } = start(host);
    const said = ping(world, "c1", "172.17.0.3", 1830);
    expect(listener.retell(said, "icmp")).toBe(recording("n02.txt"));
  });
});

/** The last frame that reached c1, as the recorder's traceroute printed ICMP errors. */
function lastError(listener: Listener): string {
  const received = listener.framesOf("c1").filter(({ frame }) => frame.direction === "in");
  const { bytes } = received[received.length - 1]!.frame;
  const view = new DataView(bytes.buffer, bytes.byteOffset + 14);
  const quoted = 20 + icmp.ICMP_HEADER;
  const route = `${formatIpv4(ipv4.source(view, quoted))}->${formatIpv4(ipv4.destination(view, quoted))}`;
  const what = `icmp type=${icmp.type(view, 20)} code=${icmp.code(view, 20)} outer_ttl=${ipv4.ttl(view, 0)}`;
  return `${formatIpv4(ipv4.source(view, 0))}  ${what} quoted ${route}`;
}

/** Ports that nobody named were drawn at random by the kernel: of these only the class is compared. */
function portClasses(text: string): string {
  const named = new Set([45_678, 777, 300, 9999]);
  const port = /(?<=sport=|dport=|SPORT=|DPORT=|peer=[\d.]+:|IP \d+\.\d+\.\d+\.\d+\.| > \d+\.\d+\.\d+\.\d+\.)\d+/g;
  return text.replace(port, (digits) => {
    const number = Number(digits);
    if (named.has(number)) return digits;
    return number < 512 ? "<512>" : number < 1024 ? "<512-1023>" : "<1024->";
  });
}
