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
} as const;

export type WordList = keyof typeof WORDS;

export type Operand =
  | {
      readonly name: string;
      readonly type: "number" | "address" | "mac" | "place" | "rule" | "chain" | "text" | "packet" | "reason" | "hex";
    }
  | { readonly name: string; readonly type: "word"; readonly words: WordList };

export type Level = "hop" | "step" | "byte";

export interface StepKind {
  readonly name: string;
  /** The lowest `--level` that shows it. */
  readonly level: Level;
  readonly operands: readonly Operand[];
  /** What it says, for people: the JSON schema and the docs print this. */
  readonly says: string;
}

const number = (name: string): Operand => ({ name, type: "number" });
const address = (name: string): Operand => ({ name, type: "address" });
const mac = (name: string): Operand => ({ name, type: "mac" });
const place = (name: string): Operand => ({ name, type: "place" });
const word = (name: string, words: WordList): Operand => ({ name, type: "word", words });

export const STEP_KINDS = [
  {
    name: "born",
    level: "hop",
    says: "the packet came to be",
    operands: [word("origin", "origin"), { name: "parent", type: "packet" }],
  },
  {
    name: "ethernet",
    level: "byte",
    says: "Ethernet header",
    operands: [mac("destination"), mac("source"), { name: "type", type: "hex" }],
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
    says: "IPv4 header",
    operands: [
      address("source"),
      address("destination"),
      { name: "protocolTtlTos", type: "hex" },
      { name: "lengthId", type: "hex" },
      { name: "fragment", type: "hex" },
    ],
  },
  {
    name: "transport",
    level: "step",
    says: "first eight bytes behind the IPv4 header, and the TCP flags",
    operands: [
      { name: "first", type: "hex" },
      { name: "second", type: "hex" },
      { name: "flags", type: "hex" },
    ],
  },
  { name: "tx", level: "hop", says: "a device sends it", operands: [number("bytes"), mac("destination")] },
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
    name: "route",
    level: "step",
    says: "routing decides",
    operands: [word("type", "routeType"), address("gateway"), place("device"), number("table"), address("source")],
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
      word("hook", "hook"),
      word("passage", "passage"),
      place("in"),
      place("out"),
      { name: "stateFamilyMark", type: "hex" },
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
      { name: "ports", type: "hex" },
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
  { name: "reassemble", level: "step", says: "fragments become one datagram", operands: [number("bytes")] },
  {
    name: "error",
    level: "step",
    says: "an ICMP error is made for it",
    operands: [
      word("outcome", "error"),
      number("type"),
      number("code"),
      { name: "information", type: "hex" },
      { name: "error", type: "packet" },
    ],
  },
  {
    name: "impairment",
    level: "step",
    says: "the cable interferes",
    operands: [word("what", "impairment"), number("nanoseconds")],
  },
  { name: "program", level: "hop", says: "a program says", operands: [{ name: "line", type: "text" }] },
  { name: "delivered", level: "hop", says: "ends at a socket or a program", operands: [{ name: "to", type: "text" }] },
  { name: "consumed", level: "hop", says: "ends inside the kernel, used up", operands: [{ name: "by", type: "text" }] },
  { name: "dropped", level: "hop", says: "ends for a reason", operands: [{ name: "reason", type: "reason" }] },
] as const satisfies readonly StepKind[];

export type StepName = (typeof STEP_KINDS)[number]["name"];

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
