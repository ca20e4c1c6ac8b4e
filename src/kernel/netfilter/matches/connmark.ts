import type { Packet } from "../../../packet/packet.ts";
import type { Connection } from "../../conntrack/connection.ts";
import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { readMasked } from "../value.ts";
import { printMark } from "./mark.ts";

/** `connmark_mt()` of xt_connmark.c. */
class ConnmarkMatch implements Match {
  readonly name = "connmark";

  constructor(
    private readonly mark: number,
    private readonly mask: number,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet): boolean {
    const connection = packet.connection as Connection | null;
    return connection !== null && ((connection.mark & this.mask) === this.mark) !== this.not;
  }

  print(): string {
    return printMark(this.mark, this.mask, this.not);
  }
}

export const connmarkKind: MatchKind = {
  name: "connmark",
  options: [{ name: "mark", not: true }],
  parse(options) {
    const given = options.need("mark");
    const { value, mask } = readMasked(given.values[0]!);
    return new ConnmarkMatch(value, mask, given.not);
  },
};
