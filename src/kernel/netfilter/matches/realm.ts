import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { part, type Token, unexpected } from "../tokenizer.ts";
import { hex, parseInteger, printOption } from "../value.ts";

/** The one name in Debian's `/etc/iproute2/rt_realms`. */
const NO_REALM = "cosmos";
const U32 = 0xffffffff;

/** `realm_mt()` of xt_realm.c. No route here has a realm, and so every route's is 0. */
class RealmMatch implements Match {
  readonly name = "realm";

  constructor(
    private readonly realm: number,
    private readonly mask: number,
    private readonly not: boolean,
  ) {}

  matches(): boolean {
    return (this.realm === 0) !== this.not;
  }

  print(): string {
    const masked = this.mask !== U32;
    const value = this.realm === 0 && !masked ? NO_REALM : hex(this.realm);
    return printOption("realm", masked ? `${value}/${hex(this.mask)}` : value, this.not);
  }
}

const readRealm = (token: Token): number => {
  const value = token.text === NO_REALM ? 0 : parseInteger(token.text);
  if (value >= 0 && value <= U32) return value;
  throw unexpected(
    token,
    `a realm (0-${U32}, or ${NO_REALM})`,
    (_, option) => `realm: could not map name ${token.text} to an integer value for option "--${option}".`,
  );
};

function readMask(token: Token): number {
  const value = parseInteger(token.text);
  if (value >= 0 && value <= U32) return value;
  throw unexpected(
    token,
    `a mask (0-${U32})`,
    (_, option) => `realm: bad integer value for option "--${option}", or out of range.`,
  );
}

export const realmKind: MatchKind = {
  name: "realm",
  options: [{ name: "realm", not: true }],
  parse(options) {
    const given = options.need("realm");
    options.limit(["input", "forward", "output", "postrouting"]);
    const token = given.values[0]!;
    const slash = token.text.indexOf("/");
    const realm = readRealm(slash < 0 ? token : part(token, 0, slash));
    return new RealmMatch(realm, slash < 0 ? U32 : readMask(part(token, slash + 1)), given.not);
  },
};
