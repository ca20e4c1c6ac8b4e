import { Loopback } from "../../../link/loopback.ts";
import { NETWORK, type Packet, type PacketType } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { Route } from "../../fib.ts";
import type { MatchKind } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { unexpected } from "../tokenizer.ts";
import { printOption } from "../value.ts";

/** The word that is printed comes before its synonyms. */
const TYPES: readonly (readonly [word: string, type: PacketType])[] = [
  ["unicast", "host"],
  ["broadcast", "broadcast"],
  ["multicast", "multicast"],
  ["otherhost", "otherhost"],
  ["outgoing", "outgoing"],
  ["bcast", "broadcast"],
  ["mcast", "multicast"],
  ["host", "host"],
];

/** `PACKET_LOOPBACK`: our own copy of a broadcast that we sent. */
export function isLoopedBack(packet: Packet, { in: device, net }: RuleContext): boolean {
  const route = packet.route as Route | null;
  if (device === null || device instanceof Loopback || route === null || route.type !== "broadcast") return false;
  return packet.type === "host" && net.addresses.has(ipv4.source(packet.view, NETWORK));
}

/** `pkttype_mt()` of xt_pkttype.c. */
class PkttypeMatch implements Match {
  readonly name = "pkttype";

  constructor(
    private readonly type: PacketType,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet, context: RuleContext): boolean {
    const type = isLoopedBack(packet, context) ? "broadcast" : packet.type;
    return (type === this.type) !== this.not;
  }

  print(): string {
    return printOption("pkt-type", TYPES.find(([, type]) => type === this.type)![0], this.not);
  }
}

export const pkttypeKind: MatchKind = {
  name: "pkttype",
  options: [{ name: "pkt-type", not: true }],
  parse(options) {
    const given = options.need("pkt-type");
    const token = given.values[0]!;
    const begun = token.text.toLowerCase();
    const found = begun === "" ? undefined : TYPES.find(([word]) => word.startsWith(begun));
    if (found === undefined)
      throw unexpected(token, "a packet type (unicast, broadcast or multicast)", `Bad packet type '${token.text}'`);
    return new PkttypeMatch(found[1], given.not);
  },
};
