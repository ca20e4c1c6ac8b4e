import type { Namespace } from "../namespace.ts";
import type { Given, RuleScope } from "./extension.ts";
import type { IpSet } from "./ipset.ts";
import { splitList, type Token, unexpected } from "./tokenizer.ts";

/** A set that a rule names, and which address or port of a packet stands for each of its dimensions. */
export class SetDirections {
  /** Bit i is set where dimension i is a source. */
  readonly sources: number;

  constructor(
    private readonly set: string,
    private readonly directions: readonly string[],
  ) {
    this.sources = directions.reduce((bits, direction, i) => (direction === "src" ? bits | (1 << i) : bits), 0);
  }

  /** Null for a set that is not there or has more dimensions than the rule gives. */
  find(net: Namespace): IpSet | null {
    const set = net.sets.get(this.set);
    return set !== undefined && this.directions.length >= set.dimensions ? set : null;
  }

  /** As `iptables-save` prints it. */
  get text(): string {
    return `${this.set} ${this.directions.join(",")}`;
  }
}

/** `web src,dst` */
export function readDirections({ values }: Given, { sets }: RuleScope): SetDirections {
  const [set, list] = values as [Token, Token];
  if (sets !== null && !sets.has(set.text))
    throw unexpected(set, "a set that exists", `Set ${set.text} doesn't exist.`);
  const items = splitList(list);
  for (const [i, item] of items.entries())
    if ((item.text !== "src" && item.text !== "dst") || i >= 6)
      throw unexpected(item, "src or dst, at most six, parted by commas");
  return new SetDirections(
    set.text,
    items.map((item) => item.text),
  );
}
