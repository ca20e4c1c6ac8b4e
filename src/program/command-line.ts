import { parseIpv4 } from "../wire/address.ts";
import { isDomainName } from "../wire/dns.ts";
import { InputError } from "../wire/input-error.ts";

/** Where a text stands in the file that it came from. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A word of a command line and where it stands. */
export interface Word {
  readonly text: string;
  readonly place: Place;
}

/** An error about a word; null stands for the end of the command. */
export function unexpected(word: Word | null, end: Place, expected: string): InputError {
  return new InputError(word?.place ?? end, word === null ? "the end of the command" : `"${word.text}"`, expected);
}

/** Words are parted by blanks; quotes of either kind hold them together. */
export function splitWords(text: string, place: Place): Word[] {
  const words: Word[] = [];
  for (const match of text.matchAll(/"([^"]*)"|'([^']*)'|\S+/g))
    words.push({
      text: match[1] ?? match[2] ?? match[0],
      place: { ...place, column: place.column + match.index },
    });
  return words;
}

/**
 * The options of a command: getopt's option string, in which a colon follows each letter that takes a value, and long
 * names, each with the letter that it stands for, or with ":" (a value) or "" (none) where it has no letter.
 * Without letters one dash may stand before a long name, as Go's `flag` has it.
 */
export interface Grammar {
  readonly letters: string;
  readonly long?: Readonly<Record<string, string>>;
}

/** The arguments of a command: options as `getopt_long()` reads them, then operands. */
export class Arguments {
  /** By letter, or by long name where there is no letter; an option that is given again comes behind. */
  private readonly options = new Map<string, Word[]>();
  readonly operands: Word[] = [];
  private readonly words: Word[];

  /** @throws {InputError} for an option that is not in the grammar. */
  constructor(
    readonly command: string,
    words: readonly Word[],
    private readonly end: Place,
    private readonly grammar: Grammar,
  ) {
    const dash = grammar.letters === "" ? /^--?[A-Za-z]/ : /^--[A-Za-z]/;
    this.words = [...words];
    for (let word = this.words.shift(); word !== undefined; word = this.words.shift())
      if (dash.test(word.text)) this.readLong(word);
      else if (/^-[A-Za-z]/.test(word.text)) this.readLetters(word);
      else this.operands.push(word);
  }

  private readLong(word: Word): void {
    const { letters, long = {} } = this.grammar;
    const [, name = "", value] = /^--?([^=]+)(?:=(.*))?$/s.exec(word.text) ?? [];
    const meaning = Object.hasOwn(long, name) ? long[name]! : null;
    if (meaning === null) throw this.unknown(word);
    const key = meaning === "" || meaning === ":" ? name : meaning;
    const takes = meaning === ":" || (meaning !== "" && letters[letters.indexOf(meaning) + 1] === ":");
    if (!takes) this.add(key, word);
    else if (value === undefined) this.add(key, this.value(word.text));
    else
      this.add(key, { text: value, place: { ...word.place, column: word.place.column + word.text.indexOf("=") + 1 } });
  }

  /** `-vx value`, or `-vxvalue`. */
  private readLetters(word: Word): void {
    const { letters } = this.grammar;
    for (let at = 1; at < word.text.length; at++) {
      const letter = word.text[at]!;
      const slot = letters.indexOf(letter);
      if (slot < 0) throw this.unknown(word);
      if (letters[slot + 1] !== ":") {
        this.add(letter, word);
        continue;
      }
      const rest = word.text.slice(at + 1);
      const place = { ...word.place, column: word.place.column + at + 1 };
      this.add(letter, rest === "" ? this.value(`-${letter}`) : { text: rest, place });
      return;
    }
  }

  private value(option: string): Word {
    const word = this.words.shift();
    if (word === undefined) throw unexpected(null, this.end, `a value for ${option}`);
    return word;
  }

  private add(key: string, word: Word): void {
    const given = this.options.get(key);
    if (given === undefined) this.options.set(key, [word]);
    else given.push(word);
  }

  private unknown(word: Word): InputError {
    const { letters, long = {} } = this.grammar;
    const dashes = letters === "" ? "-" : "--";
    const known = [
      ...[...letters.replaceAll(":", "")].map((letter) => `-${letter}`),
      ...Object.keys(long).map((name) => `${dashes}${name}`),
    ];
    return unexpected(word, this.end, `an option of ${this.command} that hopscope models (${known.join(", ")})`);
  }

  has(letter: string): boolean {
    return this.options.has(letter);
  }

  /** The value of an option, the last one where it is given again. */
  option(letter: string): Word | null {
    return this.options.get(letter)?.at(-1) ?? null;
  }

  /** Every value of an option that may be given again. */
  all(letter: string): readonly Word[] {
    return this.options.get(letter) ?? [];
  }

  /** An error about a word of this command. */
  error(word: Word | null, expected: string): InputError {
    return unexpected(word, this.end, expected);
  }

  /** A whole number in [low, high]; `otherwise` where the option is absent. */
  integer(letter: string, otherwise: number, [low, high]: readonly [number, number]): number {
    const word = this.option(letter);
    return word === null ? otherwise : this.readInteger(word, low, high, `a number from ${low} to ${high}`);
  }

  /** One word of a list. */
  word<T extends string>(letter: string, otherwise: T, words: readonly T[]): T {
    const given = this.option(letter);
    if (given === null) return otherwise;
    const found = words.find((word) => word === given.text);
    if (found === undefined) throw unexpected(given, this.end, words.join(", "));
    return found;
  }

  /** Seconds, as nanoseconds. */
  seconds(letter: string, otherwise: number): number {
    const word = this.option(letter);
    if (word === null) return Math.round(otherwise * 1e9);
    if (!/^\d+(\.\d+)?$/.test(word.text) || Number(word.text) > 1e6)
      throw unexpected(word, this.end, "seconds such as 2 or 0.2");
    return Math.round(Number(word.text) * 1e9);
  }

  readInteger(word: Word, low: number, high: number, expected: string): number {
    const value = Number(word.text);
    if (!/^\d{1,10}$/.test(word.text) || value < low || value > high) throw unexpected(word, this.end, expected);
    return value;
  }

  /** The next operand. @throws {InputError} when there is none. */
  operand(expected: string): Word {
    const word = this.operands.shift();
    if (word === undefined) throw unexpected(null, this.end, expected);
    return word;
  }

  address(word: Word): number {
    try {
      return parseIpv4(word.text);
    } catch {
      throw unexpected(word, this.end, "an IPv4 address");
    }
  }

  /** An address, or a name to be resolved when the command runs. */
  target(word: Word): string {
    if (/^[\d.]+$/.test(word.text)) this.address(word);
    else if (!isDomainName(word.text.replace(/\.$/, ""))) throw unexpected(word, this.end, "an IPv4 address or a name");
    return word.text;
  }

  port(word: Word): number {
    return this.readInteger(word, 1, 65_535, "a port (1-65535)");
  }

  finish(): void {
    const word = this.operands[0];
    if (word !== undefined) throw unexpected(word, this.end, "the end of the command");
  }
}
