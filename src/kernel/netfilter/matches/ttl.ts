import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { printOption, readInteger } from "../value.ts";

const OPTIONS = ["ttl-eq", "ttl-lt", "ttl-gt"] as const;
type Comparison = (typeof OPTIONS)[number];

/** `ttl_mt()` of xt_hl.c. */
class TtlMatch implements Match {
  readonly name = "ttl";

  constructor(
    private readonly comparison: Comparison,
    private readonly value: number,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet): boolean {
    const ttl = ipv4.ttl(packet.view, NETWORK);
    if (this.comparison === "ttl-lt") return ttl < this.value;
    if (this.comparison === "ttl-gt") return ttl > this.value;
    return (ttl === this.value) !== this.not;
  }

  print(): string {
    return printOption(this.comparison, `${this.value}`, this.not);
  }
}

export const ttlKind: MatchKind = {
  name: "ttl",
  options: [
    { name: "ttl-eq", aliases: ["ttl"], not: true, excludes: ["ttl-lt", "ttl-gt"] },
    { name: "ttl-lt", excludes: ["ttl-gt"] },
    { name: "ttl-gt" },
  ],
  parse(options) {
    for (const comparison of OPTIONS) {
      const given = options.get(comparison);
      if (given !== null) return new TtlMatch(comparison, readInteger(given.values[0]!, 0, 255, "a TTL"), given.not);
    }
    throw options.lacks(
      "--ttl-eq, --ttl-lt or --ttl-gt",
      "TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt",
    );
  },
};
