import { parseIpv4 } from "../wire/address.ts";
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

/** The arguments of a command: options as `getopt()` reads them, then operands. */
export class Arguments {
  private readonly options = new Map<string, Word>();
  readonly operands: Word[] = [];

  /**
   * `letters` is getopt's option string: a colon follows each letter that takes a value.
   * @throws {InputError} for an option that is not in it.
   */
  constructor(
    readonly command: string,
    words: readonly Word[],
    private readonly end: Place,
    letters: string,
  ) {
    for (let i = 0; i < words.length; i++) {
      const word = words[i]!;
      if (!/^-[A-Za-z]/.test(word.text)) {
        this.operands.push(word);
        continue;
      }
      i += this.readOption(word, words[i + 1] ?? null, letters);
    }
  }

  /** Answers how many words the option took besides its own. */
  private readOption(word: Word, next: Word | null, letters: string): 0 | 1 {
    for (let at = 1; at < word.text.length; at++) {
      const letter = word.text[at]!;
      const slot = letters.indexOf(letter);
      if (slot < 0) {
        const known = [...letters.replaceAll(":", "")].map((option) => `-${option}`);
        throw unexpected(word, this.end, `an option of ${this.command} that hopscope models (${known.join(", ")})`);
      }
      if (letters[slot + 1] !== ":") {
        this.options.set(letter, word);
        continue;
      }
      const rest = word.text.slice(at + 1);
      if (rest !== "") {
        const place = { ...word.place, column: word.place.column + at + 1 };
        this.options.set(letter, { text: rest, place });
        return 0;
      }
      if (next === null) throw unexpected(null, this.end, `a value for -${letter}`);
      this.options.set(letter, next);
      return 1;
    }
    return 0;
  }

  has(letter: string): boolean {
    return this.options.has(letter);
  }

  option(letter: string): Word | null {
    return this.options.get(letter) ?? null;
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
      throw unexpected(word, this.end, "an IPv4 address; hopscope does not resolve names yet");
    }
  }

  port(word: Word): number {
    return this.readInteger(word, 1, 65_535, "a port (1-65535)");
  }

  finish(): void {
    const word = this.operands[0];
    if (word !== undefined) throw unexpected(word, this.end, "the end of the command");
  }
}
