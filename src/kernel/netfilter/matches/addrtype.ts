import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { MatchKind } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { splitList, type Token, unexpected } from "../tokenizer.ts";
import { printOption } from "../value.ts";

/** `enum` of RTN_* in the order of their bits, which is that of printing. */
const TYPES = [
  "UNSPEC",
  "UNICAST",
  "LOCAL",
  "BROADCAST",
  "ANYCAST",
  "MULTICAST",
  "BLACKHOLE",
  "UNREACHABLE",
  "PROHIBIT",
  "THROW",
  "NAT",
  "XRESOLVE",
] as const;

const BIT: Readonly<Record<string, number>> = Object.fromEntries(TYPES.map((name, bit) => [name, 1 << bit]));

/** `addrtype_mt_v1()` of xt_addrtype.c. */
class AddrtypeMatch implements Match {
  readonly name = "addrtype";

  constructor(
    /** 0 for any. */
    private readonly source: number,
    private readonly notSource: boolean,
    private readonly destination: number,
    private readonly notDestination: boolean,
    private readonly limit: "in" | "out" | null,
  ) {}

  matches(packet: Packet, context: RuleContext): boolean {
    const device = this.limit === null ? null : this.limit === "in" ? context.in : context.out;
    if (this.source !== 0) {
      const type = context.net.addressType(ipv4.source(packet.view, NETWORK), device);
      if (((BIT[type]! & this.source) !== 0) === this.notSource) return false;
    }
    if (this.destination === 0) return true;
    const type = context.net.addressType(ipv4.destination(packet.view, NETWORK), device);
    return ((BIT[type]! & this.destination) !== 0) !== this.notDestination;
  }

  print(): string {
    const words: string[] = [];
    if (this.source !== 0) words.push(printOption("src-type", formatTypes(this.source), this.notSource));
    if (this.destination !== 0) words.push(printOption("dst-type", formatTypes(this.destination), this.notDestination));
    if (this.limit !== null) words.push(`--limit-iface-${this.limit}`);
    return words.join(" ");
  }
}

function readTypes(token: Token | null): number {
  let bits = 0;
  for (const item of token === null ? [] : splitList(token)) {
    const bit = (TYPES as readonly string[]).indexOf(item.text.toUpperCase());
    if (bit < 0) throw unexpected(item, `an address type (${TYPES.join(", ")})`, `addrtype: bad type "${item.text}"`);
    bits |= 1 << bit;
  }
  return bits;
}

const formatTypes = (bits: number): string => TYPES.filter((_, bit) => bits & (1 << bit)).join(",");

export const addrtypeKind: MatchKind = {
  name: "addrtype",
  options: [
    { name: "src-type", not: true },
    { name: "dst-type", not: true },
    { name: "limit-iface-in", values: 0, excludes: ["limit-iface-out"] },
    { name: "limit-iface-out", values: 0 },
  ],
  parse(options) {
    if (!options.has("src-type") && !options.has("dst-type"))
      throw options.lacks("--src-type or --dst-type", "addrtype: you must specify --src-type or --dst-type");
    const limitIn = options.get("limit-iface-in");
    const limitOut = options.get("limit-iface-out");
    if (limitIn) options.limitBase(["prerouting", "input", "forward"], limitIn.token);
    if (limitOut) options.limitBase(["forward", "output", "postrouting"], limitOut.token);
    return new AddrtypeMatch(
      readTypes(options.value("src-type")),
      options.get("src-type")?.not ?? false,
      readTypes(options.value("dst-type")),
      options.get("dst-type")?.not ?? false,
      limitIn ? "in" : limitOut ? "out" : null,
    );
  },
};
