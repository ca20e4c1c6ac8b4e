import type { Packet } from "../../../packet/packet.ts";
import type { MatchKind } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { readDirections, type SetDirections } from "../set-directions.ts";
import { printOption } from "../value.ts";

/** `set_match_v4()` of xt_set.c; a set that does not exist matches nothing. */
class SetMatch implements Match {
  readonly name = "set";

  constructor(
    private readonly set: SetDirections,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet, context: RuleContext): boolean {
    const found = this.set.find(context.net)?.test(packet, this.set.sources) ?? false;
    return found !== this.not;
  }

  print(): string {
    return printOption("match-set", this.set.text, this.not);
  }
}

const UNMODELLED = ["update-counters", "update-subcounters"];
const COUNTERS = ["packets-eq", "packets-lt", "packets-gt", "bytes-eq", "bytes-lt", "bytes-gt"];

export const setKind: MatchKind = {
  name: "set",
  options: [
    { name: "match-set", aliases: ["set"], values: 2, not: true },
    { name: "return-nomatch", values: 0, unmodelled: true },
    ...UNMODELLED.map((name) => ({ name, values: 0 as const, unmodelled: true })),
    ...COUNTERS.map((name) => ({ name, unmodelled: true })),
  ],
  parse(options, scope) {
    const given = options.need("match-set");
    return new SetMatch(readDirections(given, scope), given.not);
  },
};
