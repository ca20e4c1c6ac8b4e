import { Refusal } from "./printed.ts";

/** What stands behind a command of the Docker client. */
export interface DockerOptions {
  has(name: string): boolean;
  /** Every value that was given, in order. */
  values(name: string): readonly string[];
  readonly operands: readonly string[];
}

/** Options by their long names: letters, whether they take a value. */
export type OptionNames = Readonly<Record<string, { readonly letter?: string; readonly value?: true }>>;

/** @throws {Refusal} in the client's words. */
export function readOptions(command: string, args: readonly string[], names: OptionNames): DockerOptions {
  const found = new Map<string, string[]>();
  const operands: string[] = [];
  const refuse = (why: string) => new Refusal(`${why}\nhopscope knows ${usage(command, names)}`, 125);
  const add = (name: string, value: string) => found.set(name, [...(found.get(name) ?? []), value]);
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (!/^-./.test(word)) {
      operands.push(word);
      continue;
    }
    const [, long, given] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (long !== undefined) {
      const option = Object.hasOwn(names, long) ? names[long]! : null;
      if (option === null) throw refuse(`unknown flag: --${long}`);
      const value = option.value === true ? (given ?? args[++i]) : (given ?? "true");
      if (value === undefined) throw refuse(`flag needs an argument: --${long}`);
      if (value !== "false") add(long, value);
      continue;
    }
    for (let at = 1; at < word.length; at++) {
      const letter = word[at]!;
      const [name, option] = Object.entries(names).find(([, each]) => each.letter === letter) ?? [];
      if (name === undefined) throw refuse(`unknown shorthand flag: '${letter}' in ${word}`);
      if (option!.value !== true) {
        add(name, "true");
        continue;
      }
      const value = word.slice(at + 1).replace(/^=/, "") || args[++i];
      if (value === undefined) throw refuse(`flag needs an argument: '${letter}' in ${word}`);
      add(name, value);
      break;
    }
  }
  return { has: (name) => found.has(name), values: (name) => found.get(name) ?? [], operands };
}

const usage = (command: string, names: OptionNames): string =>
  [
    `docker ${command}`,
    ...Object.entries(names).map(([name, { letter }]) => (letter ? `[-${letter}]` : `[--${name}]`)),
  ].join(" ");
