import { NETWORK, type Packet } from "../../../packet/packet.ts";
import type { MatchKind, Options } from "../extension.ts";
import type { Match } from "../rule.ts";
import { type Token, unexpected } from "../tokenizer.ts";
import { readInteger } from "../value.ts";

/** `XT_STRING_MAX_PATTERN_SIZE`. */
const LONGEST = 128;
const LAST = 0xffff;

interface Search {
  readonly pattern: Uint8Array;
  readonly algorithm: "bm" | "kmp";
  /** Offsets from the start of the IPv4 header. */
  readonly from: number;
  readonly to: number;
  readonly ignoreCase: boolean;
}

const lower = (byte: number): number => (byte >= 65 && byte <= 90 ? byte + 32 : byte);

/**
 * `string_mt()` of xt_string.c. Both algorithms find the first place behind `from`; the match holds when the pattern
 * ends before `to`.
 */
class StringMatch implements Match {
  readonly name = "string";

  constructor(
    private readonly search: Search,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet): boolean {
    return this.found(packet) !== this.not;
  }

  private found({ bytes, end }: Packet): boolean {
    const { pattern, from, to } = this.search;
    const last = Math.min(end, NETWORK + to) - pattern.length;
    for (let at = NETWORK + from; at <= last; at++) if (this.stands(bytes, at)) return true;
    return false;
  }

  private stands(bytes: Uint8Array, at: number): boolean {
    const { pattern, ignoreCase } = this.search;
    for (let i = 0; i < pattern.length; i++) {
      const byte = bytes[at + i]!;
      if (byte !== pattern[i] && !(ignoreCase && lower(byte) === lower(pattern[i]!))) return false;
    }
    return true;
  }

  print(): string {
    const { algorithm, from, to, ignoreCase } = this.search;
    const words = [`${this.not ? "! " : ""}${this.printPattern()}`, `--algo ${algorithm}`];
    if (from !== 0) words.push(`--from ${from}`);
    if (to !== LAST) words.push(`--to ${to}`);
    if (ignoreCase) words.push("--icase");
    return words.join(" ");
  }

  /** Bytes that are not plain ASCII make the whole pattern hexadecimal. */
  private printPattern(): string {
    const bytes = [...this.search.pattern];
    if (bytes.some((byte) => byte < 32 || byte > 126))
      return `--hex-string "|${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")}|"`;
    return `--string "${String.fromCharCode(...bytes).replace(/["\\]/g, "\\$&")}"`;
  }
}

/** UTF-8, as iptables gets it from its arguments. */
function encode(text: string): number[] {
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
  return bytes;
}

/** `GET /|0d 0a|`: text, with hexadecimal bytes between bars; a backslash takes the next character as it is. */
function readHexString(token: Token): number[] {
  const bytes: number[] = [];
  const { text } = token;
  for (let at = 0; at < text.length; ) {
    if (text[at] === "\\" && at + 1 < text.length) {
      bytes.push(...encode(text[at + 1]!));
      at += 2;
    } else if (text[at] !== "|") bytes.push(...encode(text[at++]!));
    else {
      const close = text.indexOf("|", at + 1);
      const digits = text.slice(at + 1, close).replaceAll(" ", "");
      if (close < 0 || digits.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(digits))
        throw unexpected(token, "pairs of hexadecimal digits between two |");
      for (let i = 0; i < digits.length; i += 2) bytes.push(Number.parseInt(digits.slice(i, i + 2), 16));
      at = close + 1;
    }
  }
  return bytes;
}

function readPattern(options: Options): { pattern: Uint8Array; not: boolean } {
  const given = options.get("string") ?? options.get("hex-string");
  if (given === null)
    throw options.lacks("--string or --hex-string", "STRING match: You must specify `--string' or `--hex-string'");
  const token = given.values[0]!;
  const bytes = given.spec.name === "string" ? encode(token.text) : readHexString(token);
  if (bytes.length === 0 || bytes.length > LONGEST) throw unexpected(token, `a pattern of 1 to ${LONGEST} bytes`);
  return { pattern: Uint8Array.from(bytes), not: given.not };
}

function readOffset(token: Token | null, otherwise: number): number {
  return token === null ? otherwise : readInteger(token, 0, LAST, "an offset in bytes");
}

export const stringKind: MatchKind = {
  name: "string",
  options: [
    { name: "string", not: true, excludes: ["hex-string"] },
    { name: "hex-string", not: true },
    { name: "algo" },
    { name: "from" },
    { name: "to" },
    { name: "icase", values: 0 },
  ],
  parse(options) {
    const { pattern, not } = readPattern(options);
    const algorithm = options.need("algo").values[0]!;
    if (algorithm.text !== "bm" && algorithm.text !== "kmp") throw unexpected(algorithm, "bm or kmp");
    const from = readOffset(options.value("from"), 0);
    const to = readOffset(options.value("to"), LAST);
    if (to < from) throw unexpected(options.value("to") ?? options.value("from")!, "no --to before --from");
    return new StringMatch({ pattern, algorithm: algorithm.text, from, to, ignoreCase: options.has("icase") }, not);
  },
};
