import { Refusal } from "./printed.ts";

/** The words of a command line, read one after the other. */
export class Words {
  private at = 0;

  constructor(private readonly words: readonly string[]) {}

  get done(): boolean {
    return this.at >= this.words.length;
  }

  /** The next word, which stays; an empty string at the end. */
  get peek(): string {
    return this.words[this.at] ?? "";
  }

  /** An empty string at the end. */
  next(): string {
    return this.words[this.at++] ?? "";
  }

  /** `NEXT_ARG()` of iproute2. @throws {Refusal} at the end. */
  need(): string {
    if (this.done) throw new Refusal('Command line is not complete. Try option "help"', 255);
    return this.next();
  }

  rest(): string[] {
    const rest = this.words.slice(this.at);
    this.at = this.words.length;
    return rest;
  }
}

/** `matches()` of iproute2: a word stands for the first name that it begins; null for none. */
export function matching<T extends string>(word: string, names: readonly T[]): T | null {
  return word === "" ? null : (names.find((name) => name.startsWith(word)) ?? null);
}
