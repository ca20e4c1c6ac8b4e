import type { Packet } from "../../../packet/packet.ts";
import type { Connection } from "../../conntrack/connection.ts";
import type { Namespace } from "../../namespace.ts";
import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { part, type Token, unexpected } from "../tokenizer.ts";
import { badEnd, printOption } from "../value.ts";

const MODES = ["packets", "bytes", "avgpkt"] as const;
type Mode = (typeof MODES)[number];
const DIRECTIONS = ["original", "reply", "both"] as const;
type Direction = (typeof DIRECTIONS)[number];
const MOST = 2n ** 64n - 1n;

/** `connbytes_mt()` of xt_connbytes.c. A flow from before packets were counted has no counts. */
class ConnbytesMatch implements Match {
  readonly name = "connbytes";
  private readonly first: number;
  private readonly last: number;

  constructor(
    private readonly min: bigint,
    private readonly max: bigint,
    private readonly not: boolean,
    private readonly mode: Mode,
    private readonly direction: Direction,
  ) {
    this.first = Number(min);
    this.last = Number(max);
  }

  /** The rule turns accounting on. */
  attach(net: Namespace): void {
    net.sysctls.set("net.netfilter.nf_conntrack_acct", 1);
  }

  matches(packet: Packet): boolean {
    const connection = packet.connection as Connection | null;
    if (connection === null || !connection.accounted) return false;
    const value = this.measure(connection);
    return (value >= this.first && value <= this.last) !== this.not;
  }

  private measure(connection: Connection): number {
    if (this.mode !== "avgpkt") return this.sum(this.mode === "packets" ? connection.packets : connection.bytes);
    const packets = this.sum(connection.packets);
    return packets === 0 ? 0 : Math.floor(this.sum(connection.bytes) / packets);
  }

  private sum(counts: readonly number[]): number {
    if (this.direction === "both") return counts[0]! + counts[1]!;
    return counts[this.direction === "original" ? 0 : 1]!;
  }

  print(): string {
    const range = this.max === MOST ? `${this.min}` : `${this.min}:${this.max}`;
    const words = `--connbytes-mode ${this.mode} --connbytes-dir ${this.direction}`;
    return `${printOption("connbytes", range, this.not)} ${words}`;
  }
}

function readCount(token: Token, otherwise: bigint): bigint {
  if (token.text === "") return otherwise;
  const count = /^\d+$/.test(token.text) ? BigInt(token.text) : -1n;
  if (count < 0n || count > MOST) throw unexpected(token, `a count (0-${MOST})`, badEnd(token, MOST));
  return count;
}

function readWord<T extends string>(token: Token, words: readonly T[]): T {
  const word = words.find((each) => each === token.text);
  if (word === undefined)
    throw unexpected(token, `one of ${words.join(", ")}`, (_, option) => `Unknown --${option} \`${token.text}'`);
  return word;
}

export const connbytesKind: MatchKind = {
  name: "connbytes",
  options: [{ name: "connbytes", not: true }, { name: "connbytes-mode" }, { name: "connbytes-dir" }],
  parse(options) {
    const given = options.need("connbytes");
    const token = given.values[0]!;
    const colon = token.text.indexOf(":");
    const min = readCount(colon < 0 ? token : part(token, 0, colon), 0n);
    const max = colon < 0 ? MOST : readCount(part(token, colon + 1), MOST);
    if (max < min)
      throw unexpected(token, "a range whose first count is not above its last", `${min} should be less than ${max}`);
    const mode = readWord(options.need("connbytes-mode").values[0]!, MODES);
    const direction = readWord(options.need("connbytes-dir").values[0]!, DIRECTIONS);
    return new ConnbytesMatch(min, max, given.not, mode, direction);
  },
};
