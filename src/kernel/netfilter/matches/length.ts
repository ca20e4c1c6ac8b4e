import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { unexpected } from "../tokenizer.ts";
import { printOption, readIntegerRange } from "../value.ts";

/** `length_mt()` of xt_length.c: the total length of the IPv4 header, in bytes. */
class LengthMatch implements Match {
  readonly name = "length";

  constructor(
    private readonly min: number,
    private readonly max: number,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet): boolean {
    const length = ipv4.totalLength(packet.view, NETWORK);
    return (length >= this.min && length <= this.max) !== this.not;
  }

  print(): string {
    return printOption("length", this.min === this.max ? `${this.min}` : `${this.min}:${this.max}`, this.not);
  }
}

export const lengthKind: MatchKind = {
  name: "length",
  options: [{ name: "length", not: true }],
  parse(options) {
    const given = options.need("length");
    const { min, max } = readIntegerRange(given.values[0]!, 0xffff, "a length in bytes");
    if (max < min) throw unexpected(given.values[0]!, "a range of lengths whose first is not above its last");
    return new LengthMatch(min, max, given.not);
  },
};
