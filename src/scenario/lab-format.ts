import { z } from "zod";
import {
  address,
  bytes,
  deviceName,
  end,
  interfaceAddress,
  keys,
  list,
  mac,
  map,
  octet,
  port,
  text,
  whole,
} from "./format.ts";
import type { LabCase } from "./lab-case.ts";
import type { PacketSpec } from "./lab-packet.ts";

/** The shape of a lab case. What the words in it mean is checked where the case is built and run. */

const flag = (expected: string) =>
  z.union([z.boolean(), z.int().min(0).max(1)], { error: `${expected}: true or false` }).describe(expected);
const integer = (expected: string) => z.int({ error: expected }).describe(expected);
const count = (expected: string) => whole(expected, 0, 1e9);
const word = whole("a 32-bit number", 0, 0xffffffff);
/** Packets may have no options, no data. */
const hex = z.union([bytes, z.literal("")], { error: "hexadecimal bytes" });
const PAYLOAD = { hex: hex.optional(), data: z.string({ error: "a text" }).optional(), size: port.optional() };

const PACKET = {
  ip: keys("an IPv4 header", {
    src: address,
    dst: address,
    tos: octet.optional(),
    len: port.optional(),
    id: port.optional(),
    df: flag("don't fragment").optional(),
    mf: flag("more fragments").optional(),
    off: port.optional(),
    ttl: octet.optional(),
    proto: octet.optional(),
    csum: port.optional(),
    opts: hex.optional(),
    slice: z.tuple([port, port], { error: "the first byte and the one after the last" }).optional(),
  }),
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
    seq: word.optional(),
    ack: word.optional(),
    flags: z
      .string()
      .regex(/^[FSRPAUEC]*$/, "TCP flags, of F S R P A U E C")
      .optional(),
    win: port.optional(),
    opts: hex.optional(),
    csum: port.optional(),
    ...PAYLOAD,
  }).optional(),
  icmp: keys("an ICMP message", {
    type: octet,
    code: octet.optional(),
    id: port.optional(),
    seq: port.optional(),
    inner: z.lazy((): z.ZodType<PacketSpec> => packet).optional(),
    quote: port.optional(),
    mtu: port.optional(),
    gw: address.optional(),
    csum: port.optional(),
    ...PAYLOAD,
  }).optional(),
  raw: hex.optional(),
  proto: octet.optional(),
};

const packet = keys("a packet", PACKET) as unknown as z.ZodType<PacketSpec>;

const frame = z.union(
  [
    bytes,
    keys("a frame", {
      ...PACKET,
      ip: PACKET.ip.optional(),
      eth: keys("an Ethernet header", { src: mac, dst: mac, type: port.optional() }),
      arp: keys("an ARP message", {
        op: z.enum(["request", "reply"], { error: "request or reply" }).optional(),
        sha: mac.optional(),
        spa: address,
        tha: mac.optional(),
        tpa: address,
      }).optional(),
      ...PAYLOAD,
    }),
  ],
  { error: (issue) => firstOf(issue, "a frame, or its bytes in hexadecimal") },
);

/** Of the reasons why no branch of a union fits, the one that got furthest. */
function firstOf(issue: unknown, otherwise: string): string {
  const { errors = [] } = issue as { errors?: { path: PropertyKey[]; message: string }[][] };
  const [deepest] = errors.flat().sort((a, b) => b.path.length - a.path.length);
  return deepest === undefined || deepest.path.length === 0
    ? otherwise
    : `${deepest.message} (${deepest.path.join(".")})`;
}

const device = keys("a device", {
  type: z.enum(["bridge", "dummy", "veth"], { error: "a type of device (bridge, dummy, veth)" }).optional(),
  mac: mac.optional(),
  mtu: whole("an MTU in bytes (68-65535)", 68, 65_535).optional(),
  master: deviceName.optional(),
  up: flag("up from the start").optional(),
  hairpin: flag("hairpin").optional(),
  isolated: flag("isolated").optional(),
  learning: flag("learning").optional(),
  flood: flag("flood").optional(),
  mcast_flood: flag("mcast_flood").optional(),
  bcast_flood: flag("bcast_flood").optional(),
  ageing: count("hundredths of a second").optional(),
});

const route = keys("a route", {
  type: text("a type of route").optional(),
  dst: text("a prefix, or default").optional(),
  via: address.optional(),
  dev: deviceName.optional(),
  src: address.optional(),
  metric: word.optional(),
  table: word.optional(),
  tos: octet.optional(),
  mtu: whole("an MTU in bytes", 0, 65_535).optional(),
});

const policy = keys("a policy rule", {
  from: text("a prefix").optional(),
  to: text("a prefix").optional(),
  iif: deviceName.optional(),
  oif: deviceName.optional(),
  fwmark: integer("a mark").optional(),
  fwmask: integer("a mask").optional(),
  prio: word.optional(),
  table: word.optional(),
  action: z
    .enum(["lookup", "blackhole", "unreachable", "prohibit"], { error: "lookup, blackhole, unreachable or prohibit" })
    .optional(),
});

const value = z.union([z.int(), z.string()], { error: "an integer" });

const namespace = keys("a namespace", {
  sysctls: map(text("a sysctl such as net.ipv4.ip_forward"), value, "sysctls and their values").optional(),
  devs: map(deviceName, device, "a map of devices").optional(),
  addrs: list(
    z.tuple([deviceName, interfaceAddress], { error: '["eth0", "172.17.0.2/16"]' }),
    "a list of devices and addresses",
  ).optional(),
  routes: list(
    z.union([z.string(), route], { error: (issue) => firstOf(issue, "a route as after `ip route add`") }),
    "a list of routes",
  ).optional(),
  policy: list(policy, "a list of policy rules").optional(),
  neigh: list(
    z.tuple([deviceName, address, mac], { error: "a device, an address and a MAC address" }),
    "a list of neighbours",
  ).optional(),
  fdb: list(z.tuple([deviceName, mac], { error: "a port and a MAC address" }), "a list of bridge entries").optional(),
  ipsets: z.string({ error: "ipset save text" }).optional(),
  rules: z.string({ error: "iptables-restore text" }).optional(),
});

const name = text("a name");
const place = z.tuple([address, port], { error: "an address and a port" });

const step = keys("a step", {
  op: text("what to do"),
  wait_ms: count("milliseconds").optional(),
  at: end.optional(),
  frame: frame.optional(),
  count: whole("how many (1-1000000)", 1, 1_000_000).optional(),
  ns: name.optional(),
  pkt: packet.optional(),
  id: name.optional(),
  as: name.optional(),
  bind: place.optional(),
  to: z.union([place, address], { error: "an address and a port" }).optional(),
  opts: map(name, z.union([z.int(), z.string(), z.boolean()], { error: "a value" }), "socket options").optional(),
  how: whole("0, 1 or 2", 0, 2).optional(),
  ms: count("milliseconds").optional(),
  s: count("seconds").optional(),
  key: name.optional(),
  value: value.optional(),
  text: z.string({ error: "iptables-restore text" }).optional(),
  dev: end.optional(),
  up: flag("up").optional(),
  command: text("a command line such as ip addr").optional(),
  comment: z.string({ error: "a text" }).optional(),
  ...PAYLOAD,
});

/** A case may say more than this beside its own keys; it is left alone. */
export const LAB_CASE: z.ZodType<LabCase> = z.looseObject(
  {
    name: z.string({ error: "a name" }).optional(),
    namespaces: map(name, namespace, "a map of namespaces"),
    veths: list(
      z.tuple([end, end], { error: 'two ends such as ["host/v1", "c1/eth0"]' }),
      "a list of cables",
    ).optional(),
    trace: list(z.enum(["ip", "bridge"], { error: "ip or bridge" }), "a list of families").optional(),
    steps: list(step, "a list of steps").optional(),
    settle_ms: count("milliseconds").optional(),
  },
  { error: "a lab case: an object with namespaces" },
) as unknown as z.ZodType<LabCase>;
