import type { Packet } from "../../../packet/packet.ts";
import type { MatchKind } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { splitList, unexpected } from "../tokenizer.ts";
import { printOption } from "../value.ts";

/** `set_match_v4()` of xt_set.c; a set that does not exist matches nothing. */
class SetMatch implements Match {
  readonly name = "set";
  /** Bit i is set where dimension i is a source. */
  private readonly sources: number;

  constructor(
    private readonly set: string,
    private readonly directions: readonly string[],
    private readonly not: boolean,
  ) {
    this.sources = directions.reduce((bits, direction, i) => (direction === "src" ? bits | (1 << i) : bits), 0);
  }

  matches(packet: Packet, context: RuleContext): boolean {
    const set = context.net.sets.get(this.set);
    const found = set !== undefined && this.directions.length >= set.dimensions && set.test(packet, this.sources);
    return found !== this.not;
  }

  print(): string {
    return printOption("match-set", `${this.set} ${this.directions.join(",")}`, this.not);
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
  parse(options) {
    const given = options.need("match-set");
    const [set, list] = given.values as [(typeof given.values)[0], (typeof given.values)[0]];
    const items = splitList(list);
    for (const [i, item] of items.entries())
      if ((item.text !== "src" && item.text !== "dst") || i >= 6)
        throw unexpected(item, "src or dst, at most six, parted by commas");
    return new SetMatch(
      set.text,
      items.map((item) => item.text),
      given.not,
    );
  },
};
