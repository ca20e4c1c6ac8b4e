import type { Packet } from "../../../packet/packet.ts";
import type { Connection } from "../../conntrack/connection.ts";
import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { kernelRefuses, unexpected } from "../tokenizer.ts";
import { parseInteger, printOption } from "../value.ts";

/** `XT_CONNLABEL_MAXBIT`. */
const LAST_LABEL = 127;

/** `connlabel_mt()` of xt_connlabel.c. A flow that began before any rule named labels has none. */
class ConnlabelMatch implements Match {
  readonly name = "connlabel";

  constructor(
    private readonly label: number,
    private readonly not: boolean,
    private readonly sets: boolean,
  ) {}

  matches(packet: Packet): boolean {
    const connection = packet.connection as Connection | null;
    const labels = connection?.labels ?? null;
    if (connection === null || labels === null) return this.not;
    const word = this.label >> 5;
    const bit = 1 << (this.label & 31);
    if ((labels[word]! & bit) !== 0) return !this.not;
    if (!this.sets) return this.not;
    labels[word]! |= bit;
    connection.news.label = true;
    return !this.not;
  }

  print(): string {
    return `${printOption("label", `"${this.label}"`, this.not)}${this.sets ? " --set" : ""}`;
  }
}

export const connlabelKind: MatchKind = {
  name: "connlabel",
  options: [
    { name: "label", not: true },
    { name: "set", values: 0 },
  ],
  parse(options, scope) {
    const given = options.need("label");
    const token = given.values[0]!;
    const label = parseInteger(token.text);
    if (Number.isNaN(label))
      throw unexpected(token, `a label (0-${LAST_LABEL})`, `label '${token.text}' not found or invalid value`);
    if (label > LAST_LABEL)
      throw unexpected(
        token,
        `a label (0-${LAST_LABEL})`,
        kernelRefuses(token, scope.chain, "Numerical result out of range"),
      );
    return new ConnlabelMatch(label, given.not, options.has("set"));
  },
};
