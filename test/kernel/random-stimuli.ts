import fc from "fast-check";
import type { LabStep } from "../../src/scenario/lab-case.ts";
import type { PacketSpec } from "../../src/scenario/lab-packet.ts";
import * as sctp from "../../src/wire/sctp.ts";
import { ruleFile } from "./random-rules.ts";
import { ASSOCIATION, chunk, initBody, sctpPacket, TAGS } from "./sctp-packet.ts";

/** What happens in a random lab: several steps that belong together each. */
export type Stimulus = fc.Arbitrary<LabStep[]>;

export const CONTAINERS = ["c1", "c2", "c3", "c4"];
const ADDRESSES: Readonly<Record<string, string>> = {
  c1: "172.17.0.2",
  c2: "172.17.0.3",
  c3: "172.18.0.2",
  c4: "172.18.0.3",
  host: "192.168.1.10",
  out: "198.51.100.7",
};
export const SOCKET = "socket";
const place = fc.constantFrom("c1", "c1", "c2", "c3", "out", "host");
const address = fc.constantFrom(
  ...[
    "172.17.0.2",
    "172.17.0.2",
    "172.17.0.3",
    "172.18.0.2",
    "172.17.0.1",
    "172.18.0.1",
    "192.168.1.10",
    "192.168.1.1",
  ],
  ...["198.51.100.7", "198.51.100.7", "198.51.100.7", "203.0.113.9", "172.17.0.99"],
);
const oddAddress = fc.constantFrom(
  "172.17.255.255",
  "255.255.255.255",
  "127.0.0.1",
  "224.0.0.1",
  "0.0.0.0",
  "240.0.0.1",
);
const port = fc.constantFrom(53, 80, 300, 700, 8080, 40_000);
const ttl = fc.constantFrom(64, 64, 64, 1, 2, 3);
const size = fc.constantFrom(0, 8, 32, 600, 1430, 1472);

const addressed = { ip: fc.record({ dst: address, ttl, df: fc.boolean(), tos: fc.constantFrom(0, 0, 0, 16, 32) }) };

const raw = (ns: string, pkt: PacketSpec): LabStep => ({ op: "raw", ns, pkt });
const from = (ns: string): string => ADDRESSES[ns]!;

const echo: Stimulus = fc
  .record({ ns: place, ...addressed, id: fc.constantFrom(7, 8), seq: fc.nat(3), size })
  .map(({ ns, ip, id, seq, size }) => [raw(ns, { ip: { src: from(ns), ...ip }, icmp: { type: 8, id, seq, size } })]);

const datagram: Stimulus = fc
  .record({ ns: place, ...addressed, sport: port, dport: port, size })
  .map(({ ns, ip, sport, dport, size }) => [raw(ns, { ip: { src: from(ns), ...ip }, udp: { sport, dport, size } })]);

/** From an address that is not the sender's, or to one that nobody has. */
const stray: Stimulus = fc
  .record({
    ns: place,
    src: fc.oneof(address, oddAddress),
    dst: fc.oneof(address, oddAddress),
    sport: port,
    dport: port,
  })
  .map(({ ns, src, dst, sport, dport }) => [raw(ns, { ip: { src, dst }, udp: { sport, dport, size: 4 } })]);

/** Its socket is called "socket" here; random-lab.ts numbers them. */
const exchange: Stimulus = fc
  .record({
    ns: place,
    to: address,
    port,
    size: fc.constantFrom(0, 8, 1430, 1472, 2000, 4000),
    bind: fc.option(port, { nil: null }),
    connected: fc.boolean(),
    ttl: fc.constantFrom(0, 0, 0, 1, 2),
    discovery: fc.constantFrom(1, 1, 0, 2),
    again: fc.boolean(),
  })
  .map(({ ns, to, port, size, bind, connected, ttl, discovery, again }) => {
    const id = SOCKET;
    const opts = { pmtudisc: discovery, ...(ttl === 0 ? {} : { ttl }) };
    const open: LabStep = { op: "udp", ns, id, opts, ...(bind === null ? {} : { bind: ["0.0.0.0", bind + 20_000] }) };
    const send: LabStep = connected ? { op: "send", id, size } : { op: "send", id, to: [to, port], size };
    return [
      open,
      ...(connected ? [{ op: "connect", id, to: [to, port] } satisfies LabStep] : []),
      send,
      ...(again ? [send] : []),
      { op: "recv", id },
      { op: "close", id },
    ];
  });

/** A socket with an address of its own or of somebody else, on a port that TPROXY gives packets to. */
const transparent: Stimulus = fc
  .record({
    ns: fc.constantFrom("host", "host", "c1", "out"),
    bind: fc.oneof(address, fc.constant("0.0.0.0")),
    port: fc.constantFrom(53, 80, 700),
    to: fc.oneof(address, oddAddress),
    dport: port,
    opts: fc.record({
      transparent: fc.constantFrom(1, 1, 0),
      broadcast: fc.constantFrom(0, 1),
      mark: fc.constantFrom(0, 1),
    }),
  })
  .map(({ ns, bind, port: own, to, dport, opts }) => [
    { op: "udp", ns, id: SOCKET, bind: [bind, own], opts },
    { op: "send", id: SOCKET, to: [to, dport], size: 8 },
    { op: "recv", id: SOCKET },
  ]);

/** What no transport here speaks, and messages that nobody answers. */
const unknown: Stimulus = fc
  .record({
    ns: place,
    dst: fc.oneof(address, oddAddress),
    proto: fc.constantFrom(47, 132, 2, 50, 89, 136, 253, 255),
    bytes: fc.constantFrom("", "0000", "0000080045000000", "9c40005000000000000000000100001400000000"),
    message: fc.option(fc.constantFrom(0, 10, 15, 17, 18, 30), { nil: null }),
  })
  .map(({ ns, dst, proto, bytes, message }) => {
    const ip = { src: from(ns), dst };
    return [raw(ns, message === null ? { ip, proto, raw: bytes } : { ip, icmp: { type: message, id: 7, seq: 1 } })];
  });

/** What a listener heard; it answers the address that a masqueraded or a plain client shows. */
const answer: Stimulus = fc
  .record({ ns: place, to: fc.constantFrom("192.168.1.10", "172.17.0.2", "172.17.0.3"), port })
  .map(({ ns, to, port }) => [
    { op: "recv", id: `listener-${ns}` },
    { op: "send", id: `listener-${ns}`, to: [to, port], size: 8 },
  ]);

/** A TCP conversation by hand, in the order in which Linux does it; the server answers the client or who stands for it. */
const conversation: Stimulus = fc
  .record({
    client: fc.constantFrom("c1", "c2", "c3"),
    server: fc.constantFrom("out", "c1", "host"),
    seen: fc.constantFrom("client", "host" as const),
    sport: fc.constantFrom(40_000, 40_001),
    length: fc.integer({ min: 1, max: 9 }),
    end: fc.constantFrom("F", "R"),
    late: fc.boolean(),
  })
  .map(({ client, server, seen, sport, length, end, late }) => {
    const [near, far] = [from(client), from(server)];
    const back = seen === "client" ? near : "192.168.1.10";
    const there = (flags: string, seq: number, ack: number, size = 0) =>
      raw(client, { ip: { src: near, dst: far }, tcp: { sport, dport: 80, flags, seq, ack, size } });
    const here = (flags: string, seq: number, ack: number, size = 0) =>
      raw(server, { ip: { src: far, dst: back }, tcp: { sport: 80, dport: sport, flags, seq, ack, size } });
    return [
      there("S", 1000, 0),
      here("SA", 9000, 1001),
      there("A", 1001, 9001),
      there("PA", 1001, late ? 8000 : 9001, 10),
      here("A", 9001, 1011),
      here("PA", 9001, 1011, 20),
      there(`${end}A`, 1011, 9021),
      here(`${end}A`, 9021, 1012),
      there("A", 1012, 9022),
    ].slice(0, length);
  });

/** An SCTP association by hand, with a packet of any kind in its middle. */
const association: Stimulus = fc
  .record({
    client: fc.constantFrom("c1", "c2", "c3"),
    server: fc.constantFrom("out", "c1", "host"),
    seen: fc.constantFrom("client", "host" as const),
    sport: fc.constantFrom(40_000, 40_001),
    length: fc.integer({ min: 0, max: 8 }),
    odd: fc.record({
      from: fc.constantFrom("client", "server" as const),
      tag: fc.constantFrom(0, 7, TAGS.client, TAGS.server),
      type: fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 64),
      flags: fc.constantFrom(0, sctp.FLAG_T),
      at: fc.nat(8),
      wrong: fc.constantFrom(false, false, false, true),
    }),
  })
  .map(({ client, server, seen, sport, length, odd }) => {
    const [near, far] = [from(client), from(server)];
    const back = seen === "client" ? near : "192.168.1.10";
    const packet = (end: "client" | "server", tag: number, chunks: string, wrong = false) =>
      end === "client"
        ? raw(client, {
            ip: { src: near, dst: far },
            proto: 132,
            raw: sctpPacket({ sport, dport: 80, tag }, chunks, wrong),
          })
        : raw(server, {
            ip: { src: far, dst: back },
            proto: 132,
            raw: sctpPacket({ sport: 80, dport: sport, tag }, chunks, wrong),
          });
    const steps = ASSOCIATION.slice(0, length).map(([end, tag, chunks]) => packet(end, tag, chunks));
    const body = odd.type === sctp.INIT || odd.type === sctp.INIT_ACK ? initBody(TAGS[odd.from]) : "00";
    steps.splice(odd.at, 0, packet(odd.from, odd.tag, chunk(odd.type, odd.flags, body), odd.wrong));
    return steps;
  });

/** Real time in which a delayed acknowledgement leaves. */
const SETTLED = 60;

/**
 * A TCP connection of sockets. What is written at once fits one segment: Linux shows a longer write to its hooks as one
 * packet, whose pieces only the device makes.
 */
const stream: Stimulus = fc
  .record({
    client: place,
    server: place,
    to: fc.constantFrom("172.17.0.2", "172.17.0.3", "172.18.0.2", "192.168.1.10", "198.51.100.7", "127.0.0.1"),
    bound: fc.constantFrom(80, 8080),
    port: fc.constantFrom(80, 80, 8080),
    bind: fc.option(port, { nil: null }),
    request: fc.constantFrom(0, 5, 536, 1000),
    response: fc.constantFrom(0, 5, 200, 1200),
    reads: fc.boolean(),
    end: fc.constantFrom("client", "server", "half", "nobody" as const),
  })
  .map(({ client, server, to, bound, port: dport, bind, request, response, reads, end }) => {
    const [near, far, listener] = [SOCKET, `${SOCKET}:peer`, `${SOCKET}:server`];
    const step = (id: string, op: string, more: Partial<LabStep> = {}): LabStep => ({ op, id, ...more });
    const send = (id: string, size: number) => (size === 0 ? [] : [step(id, "send", { size, wait_ms: SETTLED })]);
    const read = (id: string) => (reads ? [step(id, "recv", { wait_ms: SETTLED })] : []);
    const close = (id: string) => step(id, "close", { wait_ms: SETTLED });
    return [
      step(listener, "listen", { ns: server, bind: ["0.0.0.0", bound] }),
      step(near, "tcp", { ns: client, ...(bind === null ? {} : { bind: ["0.0.0.0", bind + 21_000] }) }),
      step(near, "connect", { to: [to, dport] }),
      step(listener, "accept", { as: far }),
      ...send(near, request),
      ...read(far),
      ...send(far, response),
      ...read(near),
      ...(end === "client" ? [close(near), ...read(far), close(far)] : []),
      ...(end === "server" ? [close(far), ...read(near), close(near)] : []),
      ...(end === "half" ? [step(near, "shutdown", { how: 1, wait_ms: SETTLED }), ...send(far, 100), close(far)] : []),
    ];
  });

const segment: Stimulus = fc
  .record({
    ns: place,
    dst: address,
    sport: port,
    dport: port,
    flags: fc.constantFrom("S", "SA", "A", "FA", "R", "RA", "PA", "SF", "", "FPU"),
    mss: fc.boolean(),
  })
  .map(({ ns, dst, sport, dport, flags, mss }) => {
    const tcp = { sport, dport, flags, seq: 1000, ack: 77, ...(mss ? { opts: "020405b4" } : {}) };
    return [raw(ns, { ip: { src: from(ns), dst }, tcp })];
  });

/** The pieces of one datagram, some of them missing, twice, overlapping or out of order. */
const fragments: Stimulus = fc
  .record({
    ns: fc.constantFrom("c1", "c2", "out"),
    dst: address,
    dport: port,
    cut: fc.constantFrom(16, 48, 96),
    overlap: fc.constantFrom(0, 0, 0, 8, -8),
    order: fc.constantFrom([0, 1], [0, 1], [1, 0], [0], [1], [0, 0, 1], [0, 1, 1]),
    id: fc.integer({ min: 900, max: 903 }),
  })
  .map(({ ns, dst, dport, cut, overlap, order, id }) => {
    const udp = { sport: 40_000, dport, size: 120 };
    const ip = { src: from(ns), dst, id };
    const pieces: PacketSpec[] = [
      { ip: { ...ip, mf: true, slice: [0, cut] }, udp },
      { ip: { ...ip, off: cut - overlap, slice: [cut - overlap, 128] }, udp },
    ];
    return order.map((piece) => raw(ns, pieces[piece]!));
  });

/** About a flow that may exist, from anyone. */
const complaint: Stimulus = fc
  .record({
    ns: place,
    dst: fc.constantFrom("192.168.1.10", "172.17.0.2", "172.17.0.3", "198.51.100.7"),
    inner: fc.record({
      src: address,
      dst: address,
      sport: port,
      dport: port,
      protocol: fc.constantFrom("udp", "tcp", "icmp"),
    }),
    kind: fc.constantFrom([3, 0], [3, 1], [3, 3], [3, 4], [3, 13], [11, 0], [12, 0], [4, 0], [5, 1]),
    quote: fc.constantFrom(28, 28, 24, 20, 500),
    wrong: fc.constantFrom(false, false, false, true),
  })
  .map(({ ns, dst, inner: { src, dst: to, sport, dport, protocol }, kind: [type = 3, code = 0], quote, wrong }) => {
    const transport =
      protocol === "udp"
        ? { udp: { sport, dport, size: 8 } }
        : protocol === "tcp"
          ? { tcp: { sport, dport, seq: 1000 } }
          : { icmp: { type: 8, id: 7, seq: 1, size: 8 } };
    const inner: PacketSpec = { ip: { src, dst: to, id: 77 }, ...transport };
    const icmp = {
      type,
      code,
      inner,
      quote,
      ...(type === 5 ? { gw: "192.168.1.77" } : {}),
      ...(code === 4 ? { mtu: 1300 } : {}),
    };
    return [raw(ns, { ip: { src: from(ns), dst }, icmp: wrong ? { ...icmp, csum: 1 } : icmp })];
  });

const mac = fc.constantFrom(
  "ff:ff:ff:ff:ff:ff",
  "02:00:00:00:00:01",
  "02:00:00:00:02:01",
  "01:00:5e:00:00:01",
  "01:80:c2:00:00:0e",
  "02:aa:bb:cc:dd:ee",
);

/** Frames that no kernel would send: straight onto the cable of a container. */
const frame: Stimulus = fc
  .record({
    at: fc.constantFrom("c1/eth0", "c2/eth0", "out/eth0"),
    dst: mac,
    src: mac,
    what: fc.constantFrom("arp", "arp", "ip", "bad sum", "bad length", "options", "other"),
    op: fc.constantFrom("request", "reply"),
    target: address,
    sender: address,
  })
  .map(({ at, dst, src, what, op, target, sender }) => {
    const eth = { dst, src };
    const ip = { src: sender, dst: target };
    const udp = { sport: 40_000, dport: 53, size: 4 };
    const frames = {
      arp: { eth, arp: { op, spa: sender, tpa: target } },
      ip: { eth, ip, udp },
      "bad sum": { eth, ip: { ...ip, csum: 1 }, udp },
      "bad length": { eth, ip: { ...ip, len: 200 }, udp },
      options: { eth, ip: { ...ip, opts: "01010100" }, udp },
      other: { eth: { ...eth, type: 0x88b5 }, size: 46 },
    };
    return [{ op: "frame", at, frame: frames[what as keyof typeof frames] }];
  });

const change: Stimulus = fc.oneof(
  ruleFile.map((text): LabStep[] => (text === "" ? [] : [{ op: "rules", ns: "host", text, wait_ms: 80 }])),
  fc
    .constantFrom(
      ["net.ipv4.ip_forward", 0],
      ["net.ipv4.ip_forward", 1],
      ["net.bridge.bridge-nf-call-iptables", 0],
      ["net.bridge.bridge-nf-call-iptables", 1],
      ["net.ipv4.conf.all.rp_filter", 1],
      ["net.ipv4.conf.eth0.rp_filter", 2],
      ["net.ipv4.conf.all.route_localnet", 1],
      ["net.ipv4.conf.all.accept_local", 1],
      ["net.ipv4.conf.all.proxy_arp", 1],
      ["net.ipv4.conf.eth0.forwarding", 0],
      ["net.ipv4.icmp_echo_ignore_all", 1],
      ["net.ipv4.ip_default_ttl", 1],
      ["net.netfilter.nf_conntrack_tcp_be_liberal", 1],
      ["net.netfilter.nf_conntrack_tcp_loose", 0],
    )
    .map(([key, value]): LabStep[] => [{ op: "sysctl", ns: "host", key: key as string, value: value as number }]),
  fc.constantFrom<LabStep[]>(
    [{ op: "flushct", ns: "host" }],
    [{ op: "age", ns: "host", s: 20 }],
    [{ op: "age", ns: "host", s: 31 }],
    [{ op: "age", ns: "host", s: 121 }],
  ),
);

const unplugging: Stimulus = fc
  .record({
    dev: fc.constantFrom("host/eth0", "c1/eth0", "host/v1", "host/br0", "c2/eth0", "out/eth0"),
    back: fc.boolean(),
  })
  .map(({ dev, back }) => [
    { op: "link", dev, up: false },
    ...(back ? [{ op: "link", dev, up: true } satisfies LabStep] : []),
  ]);

export const stimulus: Stimulus = fc.oneof(
  { weight: 6, arbitrary: echo },
  { weight: 8, arbitrary: datagram },
  { weight: 2, arbitrary: stray },
  { weight: 8, arbitrary: exchange },
  { weight: 4, arbitrary: answer },
  { weight: 6, arbitrary: conversation },
  { weight: 5, arbitrary: segment },
  { weight: 3, arbitrary: association },
  { weight: 4, arbitrary: stream },
  { weight: 5, arbitrary: fragments },
  { weight: 5, arbitrary: complaint },
  { weight: 4, arbitrary: frame },
  { weight: 4, arbitrary: change },
  { weight: 3, arbitrary: transparent },
  { weight: 2, arbitrary: unknown },
  { weight: 2, arbitrary: unplugging },
);

/** Virtual time that a real kernel would have to wait for. */
export const pause: Stimulus = fc.constantFrom(10, 1100, 6000).map((ms) => [{ op: "sleep", ms }]);
