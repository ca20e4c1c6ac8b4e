import type { Packet } from "../../../packet/packet.ts";
import type { Connection } from "../../conntrack/connection.ts";
import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { quote } from "../tokenizer.ts";
import { printOption } from "../value.ts";

const LONGEST = 29;

/** `helper_mt()` of xt_helper.c: was the flow announced by one with this helper, or with any for an empty name? */
class HelperMatch implements Match {
  readonly name = "helper";

  constructor(
    private readonly helper: string,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet): boolean {
    const helper = (packet.connection as Connection | null)?.master?.helper ?? null;
    if (helper === null) return this.not;
    return (this.helper === "" || this.helper.startsWith(helper.name)) !== this.not;
  }

  print(): string {
    return printOption("helper", quote(this.helper), this.not);
  }
}

export const helperKind: MatchKind = {
  name: "helper",
  options: [{ name: "helper", not: true }],
  parse(options) {
    const given = options.need("helper");
    if (!/^(ftp.*)?$/.test(given.values[0]!.text))
      options.note(given.token, "--helper of helper: only ftp announces connections here");
    return new HelperMatch(given.values[0]!.text.slice(0, LONGEST), given.not);
  },
};
