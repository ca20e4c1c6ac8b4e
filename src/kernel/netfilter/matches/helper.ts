import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { quote } from "../tokenizer.ts";
import { printOption } from "../value.ts";

const LONGEST = 29;

/** `helper_mt()` of xt_helper.c. No connection here has a helper, so none was expected by one. */
class HelperMatch implements Match {
  readonly name = "helper";

  constructor(
    private readonly helper: string,
    private readonly not: boolean,
  ) {}

  matches(): boolean {
    return this.not;
  }

  print(): string {
    return printOption("helper", quote(this.helper), this.not);
  }
}

export const helperKind: MatchKind = {
  name: "helper",
  options: [{ name: "helper", not: true, without: "no connection has a helper" }],
  parse(options) {
    const given = options.need("helper");
    return new HelperMatch(given.values[0]!.text.slice(0, LONGEST), given.not);
  },
};
