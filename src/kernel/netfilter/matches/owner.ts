import type { Packet } from "../../../packet/packet.ts";
import type { SocketOwner } from "../../socket-owner.ts";
import type { MatchKind, Options } from "../extension.ts";
import type { Match } from "../rule.ts";
import { part, type Token, unexpected } from "../tokenizer.ts";
import { printOption, readInteger } from "../value.ts";

interface Range {
  readonly min: number;
  readonly max: number;
  readonly not: boolean;
}

const LAST_ID = 0xfffffffe;

/** `owner_mt()` of xt_owner.c. */
class OwnerMatch implements Match {
  readonly name = "owner";

  constructor(
    private readonly user: Range | null,
    private readonly group: Range | null,
    /** Null for "do not care". */
    private readonly exists: boolean | null,
    private readonly supplementary: boolean,
  ) {}

  matches(packet: Packet): boolean {
    const owner = packet.socket as SocketOwner | null;
    const exists = owner !== null && owner.orphan !== true;
    if (exists !== (this.exists ?? exists)) return false;
    // Where no user is behind a packet, only what is inverted passes.
    if (!exists || owner.kernel === true) return (this.user?.not ?? true) && (this.group?.not ?? true);
    return covers(this.user, owner.uid ?? 0) && covers(this.group, owner.gid ?? 0);
  }

  print(): string {
    const words: string[] = [];
    if (this.exists !== null) words.push(printOption("socket-exists", "", !this.exists));
    if (this.user !== null) words.push(printRange("uid-owner", this.user));
    if (this.group !== null) words.push(printRange("gid-owner", this.group));
    if (this.supplementary) words.push("--suppl-groups");
    return words.join(" ");
  }
}

const covers = (range: Range | null, id: number): boolean =>
  range === null || (id >= range.min && id <= range.max) !== range.not;

const printRange = (name: string, { min, max, not }: Range): string =>
  printOption(name, min === max ? `${min}` : `${min}-${max}`, not);

function readId(token: Token, what: string): number {
  return token.text === "root" ? 0 : readInteger(token, 0, LAST_ID, `${what} (a number, or root)`);
}

function readIds(options: Options, name: string, what: string): Range | null {
  const given = options.get(name);
  if (given === null) return null;
  const token = given.values[0]!;
  const dash = token.text.indexOf("-");
  if (dash < 0) {
    const id = readId(token, what);
    return { min: id, max: id, not: given.not };
  }
  const min = readId(part(token, 0, dash), what);
  const max = readId(part(token, dash + 1), what);
  if (max < min) throw unexpected(token, "a range whose first number is not above its last");
  return { min, max, not: given.not };
}

export const ownerKind: MatchKind = {
  name: "owner",
  options: [
    { name: "uid-owner", not: true },
    { name: "gid-owner", not: true },
    { name: "socket-exists", values: 0, not: true },
    { name: "suppl-groups", values: 0 },
  ],
  parse(options) {
    const user = readIds(options, "uid-owner", "a user");
    const group = readIds(options, "gid-owner", "a group");
    const exists = options.get("socket-exists");
    const supplementary = options.get("suppl-groups");
    if (supplementary !== null && !options.before("gid-owner", "suppl-groups"))
      throw unexpected(
        supplementary.token,
        "--gid-owner before --suppl-groups",
        'owner: Bad value for "--suppl-groups" option: "you need to use --gid-owner first"',
      );
    if (user === null && group === null && exists === null)
      throw options.lacks("--uid-owner, --gid-owner or --socket-exists");
    options.limit(["output", "postrouting"]);
    return new OwnerMatch(user, group, exists === null ? null : !exists.not, supplementary !== null);
  },
};
