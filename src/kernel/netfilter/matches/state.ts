import type { Packet } from "../../../packet/packet.ts";
import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { splitList, type Token, unexpected } from "../tokenizer.ts";
import { printOption } from "../value.ts";

/** In the order in which iptables prints them. */
const STATES = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"] as const;
export type StateName = (typeof STATES)[number];

const INVALID = 1;
const NEW = 2;
const RELATED = 4;
const ESTABLISHED = 8;
const UNTRACKED = 16;
export const SNAT_BIT = 32;
export const DNAT_BIT = 64;

/** `XT_CONNTRACK_STATE_BIT()`: a packet that conntrack has not seen counts as INVALID. */
export function stateBit(packet: Packet): number {
  switch (packet.connectionState) {
    case "NEW":
      return NEW;
    case "ESTABLISHED":
    case "ESTABLISHED_REPLY":
      return ESTABLISHED;
    case "RELATED":
    case "RELATED_REPLY":
      return RELATED;
    case "UNTRACKED":
      return UNTRACKED;
    default:
      return INVALID;
  }
}

/** The bits of `NEW,ESTABLISHED`. */
export function readStates(token: Token, allowed: readonly StateName[]): number {
  let bits = 0;
  for (const item of splitList(token)) {
    const bit = (allowed as readonly string[]).indexOf(item.text.toUpperCase());
    if (bit < 0) throw unexpected(item, `a connection state (${allowed.join(", ")})`, `Bad ctstate "${item.text}"`);
    bits |= 1 << bit;
  }
  return bits;
}

export const formatStates = (bits: number): string => STATES.filter((_, bit) => bits & (1 << bit)).join(",");

/** `state_mt()`, which is `conntrack_mt()` with nothing but states. */
class StateMatch implements Match {
  readonly name = "state";

  constructor(
    private readonly states: number,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet): boolean {
    return ((this.states & stateBit(packet)) !== 0) !== this.not;
  }

  print(): string {
    return printOption("state", formatStates(this.states), this.not);
  }
}

const ALLOWED = STATES.slice(0, 5);

export const stateKind: MatchKind = {
  name: "state",
  options: [{ name: "state", not: true }],
  parse(options) {
    const given = options.need("state");
    return new StateMatch(readStates(given.values[0]!, ALLOWED), given.not);
  },
};
