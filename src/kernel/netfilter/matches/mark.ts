import type { Packet } from "../../../packet/packet.ts";
import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { hex, printOption, readMasked } from "../value.ts";

/** `mark_mt()` of xt_mark.c. */
class MarkMatch implements Match {
  readonly name = "mark";

  constructor(
    private readonly mark: number,
    private readonly mask: number,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet): boolean {
    return ((packet.mark & this.mask) === this.mark) !== this.not;
  }

  print(): string {
    return printMark(this.mark, this.mask, this.not);
  }
}

/** A mask of all ones is not printed. */
export const printMark = (mark: number, mask: number, not: boolean): string =>
  printOption("mark", mask === -1 ? hex(mark) : `${hex(mark)}/${hex(mask)}`, not);

export const markKind: MatchKind = {
  name: "mark",
  options: [{ name: "mark", not: true }],
  parse(options) {
    const given = options.need("mark");
    const { value, mask } = readMasked(given.values[0]!);
    return new MarkMatch(value, mask, given.not);
  },
};
