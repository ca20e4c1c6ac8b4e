/**
 * The step table: every kind of thing that can happen to a packet, and what its operands mean. The recorder, the text,
 * JSON and kernel renderers are all driven by it. An operand is one signed 32-bit integer; `mac` takes two.
 */

/** Values of `word` operands: the integer is the place in the list. */
export const WORDS = {
  origin: ["injected", "generated", "cloned"],
  packetType: ["host", "broadcast", "multicast", "otherhost", "outgoing"],
  learned: ["learned", "moved"],
  bridgeDecision: ["forward", "flood", "up"],
  routeType: [
    "unicast",
    "local",
    "broadcast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "no route",
    "martian",
  ],
  neighbourState: ["INCOMPLETE", "REACHABLE", "STALE", "DELAY", "PROBE", "FAILED", "PERMANENT"],
  hook: ["prerouting", "input", "forward", "output", "postrouting"],
  passage: ["enter", "leave"],
  family: ["ip", "bridge"],
  verdict: ["drop", "accept", "stolen", "queue", "continue", "return", "jump", "goto"],
  connectionState: [
    "NONE",
    "NEW",
    "ESTABLISHED",
    "RELATED",
    "ESTABLISHED_REPLY",
    "RELATED_REPLY",
    "INVALID",
    "UNTRACKED",
  ],
  connectionChange: ["create", "find", "confirm", "destroy"],
  manip: ["source", "destination"],
  layer: ["packet", "quoted packet"],
  error: ["sent", "rate limited", "not allowed"],
  field: ["ttl", "tos", "mark", "connmark", "mss", "priority"],
  impairment: ["delayed", "duplicated", "reordered", "corrupted", "lost"],
  endpointChange: ["found", "new", "expired", "evicted"],
  endpointRole: ["remote", "gateway", "host"],
  flowChange: ["begins", "continues", "ends", "expires", "evicted"],
  call: ["connect", "sendto", "send", "shutdown", "close", "accept"],
  unixCall: ["connect", "write", "close"],
  unixSide: ["client", "server"],
  socketChange: ["connects", "established", "accepts", "closes", "aborts", "fails", "ends"],
} as const;

export type WordList = keyof typeof WORDS;

/** Some bits of an operand that packs several values, for a step has five operands and no more. */
export type BitField = {
  readonly name: string;
  /** The place of its lowest bit. */
  readonly shift: number;
  /** How many bits it has; the rest of the operand where absent. */
  readonly width?: number;
} & ({ readonly type: "number" | "hex" | "flag" } | { readonly type: "word"; readonly words: WordList });

export type Operand =
  | {
      readonly name: string;
      readonly type: "number" | "address" | "mac" | "place" | "rule" | "chain" | "text" | "packet" | "reason" | "hex";
    }
  | { readonly name: string; readonly type: "word"; readonly words: WordList }
  | { readonly name: string; readonly type: "bits"; readonly fields: readonly BitField[] };

export type Level = "hop" | "step" | "byte";

export interface StepKind {
  readonly name: string;
  /** The lowest `--level` that shows it. */
  readonly level: Level;
  readonly operands: readonly Operand[];
  /** What it says, for people: the JSON schema and the docs print this. */
  readonly says: string;
}

const number = <const N extends string>(name: N) => ({ name, type: "number" }) as const;
const hex = <const N extends string>(name: N) => ({ name, type: "hex" }) as const;
const address = <const N extends string>(name: N) => ({ name, type: "address" }) as const;
const mac = <const N extends string>(name: N) => ({ name, type: "mac" }) as const;
const place = <const N extends string>(name: N) => ({ name, type: "place" }) as const;
const packet = <const N extends string>(name: N) => ({ name, type: "packet" }) as const;
const text = <const N extends string>(name: N) => ({ name, type: "text" }) as const;
const word = <const N extends string, const W extends WordList>(name: N, words: W) =>
  ({ name, type: "word", words }) as const;
const bits = <const F extends readonly BitField[]>(name: string, fields: F) =>
  ({ name, type: "bits", fields }) as const;

export const STEP_KINDS = [
  {
    name: "born",
    level: "hop",
    says: "the packet came to be",
    operands: [word("origin", "origin"), packet("parent")],
  },
  {
    name: "ethernet",
    level: "byte",
    says: "Ethernet header",
    operands: [mac("destination"), mac("source"), hex("type")],
  },
  {
    name: "arp",
    level: "step",
    says: "ARP header",
    operands: [number("operation"), address("sender"), address("target"), mac("senderMac")],
  },
  {
    name: "ipv4",
    level: "step",
    says: "IPv4 header; a fragment unit is eight bytes",
    operands: [
      address("source"),
      address("destination"),
      bits("protocolTtlTos", [
        { name: "protocol", type: "number", shift: 16, width: 8 },
        { name: "ttl", type: "number", shift: 8, width: 8 },
        { name: "tos", type: "hex", shift: 0, width: 8 },
      ]),
      bits("lengthId", [
        { name: "length", type: "number", shift: 16 },
        { name: "identification", type: "number", shift: 0, width: 16 },
      ]),
      bits("fragment", [
        { name: "dontFragment", type: "flag", shift: 14, width: 1 },
        { name: "moreFragments", type: "flag", shift: 13, width: 1 },
        { name: "fragmentUnits", type: "number", shift: 0, width: 13 },
      ]),
    ],
  },
  {
    name: "transport",
    level: "step",
    says: "first eight bytes behind the IPv4 header, and the TCP flags",
    operands: [hex("first"), hex("second"), hex("flags")],
  },
  {
    name: "tx",
    level: "hop",
    says: "a device sends it",
    operands: [number("bytes"), mac("destination"), mac("source")],
  },
  { name: "rx", level: "hop", says: "a device receives it", operands: [number("bytes"), word("type", "packetType")] },
  {
    name: "learn",
    level: "step",
    says: "a bridge learns where a MAC address is",
    operands: [word("how", "learned"), place("port"), mac("address")],
  },
  {
    name: "bridge",
    level: "step",
    says: "a bridge decides",
    operands: [word("decision", "bridgeDecision"), place("port")],
  },
  {
    name: "readdress",
    level: "step",
    says: "a bridge gives the frame another destination, because NAT changed that of the packet in it",
    operands: [mac("destination")],
  },
  {
    name: "route",
    level: "step",
    says: "routing decides",
    operands: [
      bits("typePrefix", [
        { name: "type", type: "word", words: "routeType", shift: 0, width: 8 },
        { name: "prefixLength", type: "number", shift: 8, width: 8 },
      ]),
      address("gateway"),
      place("device"),
      number("table"),
      address("source"),
    ],
  },
  {
    name: "neighbour",
    level: "step",
    says: "a neighbour entry is used or changes",
    operands: [address("address"), word("state", "neighbourState"), mac("mac")],
  },
  { name: "queue", level: "step", says: "waits until a neighbour is resolved", operands: [address("address")] },
  {
    name: "hook",
    level: "step",
    says: "enters or leaves a netfilter hook",
    operands: [
      bits("hookPassageFamilyState", [
        { name: "hook", type: "word", words: "hook", shift: 0, width: 3 },
        { name: "passage", type: "word", words: "passage", shift: 3, width: 1 },
        { name: "family", type: "word", words: "family", shift: 4, width: 1 },
        { name: "state", type: "word", words: "connectionState", shift: 5, width: 4 },
      ]),
      place("in"),
      place("out"),
      hex("mark"),
    ],
  },
  {
    name: "rule",
    level: "step",
    says: "a rule matches",
    operands: [{ name: "rule", type: "rule" }, word("verdict", "verdict"), { name: "to", type: "chain" }],
  },
  {
    name: "policy",
    level: "step",
    says: "a base chain ends, its policy decides",
    operands: [{ name: "chain", type: "chain" }, word("verdict", "verdict")],
  },
  {
    name: "unmodelled",
    level: "step",
    says: "meets a rule that does not match, with something in it that hopscope does not model",
    operands: [{ name: "rule", type: "rule" }],
  },
  {
    name: "conntrack",
    level: "step",
    says: "connection tracking looks at it",
    operands: [word("change", "connectionChange"), word("state", "connectionState"), number("connection")],
  },
  {
    name: "bind",
    level: "step",
    says: "NAT fixes the mapping of a flow",
    operands: [word("manip", "manip"), address("from"), address("to"), number("fromPort"), number("toPort")],
  },
  {
    name: "rewrite",
    level: "step",
    says: "NAT rewrites an address",
    operands: [
      word("manip", "manip"),
      address("from"),
      address("to"),
      bits("ports", [
        { name: "fromPort", type: "number", shift: 16 },
        { name: "toPort", type: "number", shift: 0, width: 16 },
      ]),
      word("layer", "layer"),
    ],
  },
  {
    name: "set",
    level: "step",
    says: "a header or metadata field changes",
    operands: [word("field", "field"), number("from"), number("to")],
  },
  { name: "fragment", level: "step", says: "is cut into fragments", operands: [number("fragments"), number("mtu")] },
  {
    name: "segment",
    level: "step",
    says: "a run of TCP segments is cut into these by the device",
    operands: [number("segments"), number("bytes")],
  },
  { name: "reassemble", level: "step", says: "fragments become one datagram", operands: [number("bytes")] },
  {
    name: "error",
    level: "step",
    says: "an ICMP error is made for it",
    operands: [word("outcome", "error"), number("type"), number("code"), hex("information"), packet("error")],
  },
  {
    name: "impairment",
    level: "step",
    says: "the cable interferes",
    operands: [word("what", "impairment"), number("nanoseconds")],
  },
  {
    name: "endpoint",
    level: "step",
    says: "a translator turns to the endpoint that plays a host",
    operands: [word("change", "endpointChange"), word("role", "endpointRole"), address("address")],
  },
  {
    name: "flow",
    level: "step",
    says: "a translator's flow begins, goes on or ends; outside is the host's side of it",
    operands: [
      word("change", "flowChange"),
      number("protocol"),
      number("flow"),
      address("outside"),
      number("outsidePort"),
    ],
  },
  {
    name: "call",
    level: "step",
    says: "a translator calls a socket of its host",
    operands: [word("call", "call"), address("address"), number("port"), number("bytes"), text("result")],
  },
  { name: "translator", level: "step", says: "a translator says what it does and why", operands: [text("line")] },
  {
    name: "socket",
    level: "step",
    says: "a TCP socket changes; the error is that which its program hears of",
    operands: [word("change", "socketChange"), text("socket"), address("peer"), number("peerPort"), text("error")],
  },
  {
    name: "unix",
    level: "step",
    says: "a program calls a unix socket; the text is the first line that it writes, or the error that it gets",
    operands: [word("call", "unixCall"), word("side", "unixSide"), text("path"), number("bytes"), text("line")],
  },
  { name: "program", level: "hop", says: "a program says", operands: [text("line")] },
  { name: "delivered", level: "hop", says: "ends at a socket or a program", operands: [text("to")] },
  { name: "consumed", level: "hop", says: "ends inside the kernel, used up", operands: [text("by")] },
  { name: "dropped", level: "hop", says: "ends for a reason", operands: [{ name: "reason", type: "reason" }] },
] as const satisfies readonly StepKind[];

export type StepName = (typeof STEP_KINDS)[number]["name"];

export type UnixCall = (typeof WORDS.unixCall)[number];

export type SocketChange = (typeof WORDS.socketChange)[number];

/** The number of each kind, as the recorder stores it. */
export const STEP = Object.fromEntries(STEP_KINDS.map((kind, number) => [kind.name, number])) as Readonly<
  Record<StepName, number>
>;

/** The number of a word in its list. */
export function wordNumber(list: WordList, word: string): number {
  const number = (WORDS[list] as readonly string[]).indexOf(word);
  if (number < 0) throw new Error(`no word "${word}" in ${list}`);
  return number;
}
