/** One command of a shell line: its words as written, each with its quotes taken off. */
export interface ShellCommand {
  readonly words: readonly string[];
  /** The filters that its output goes through. */
  readonly filters: readonly (readonly string[])[];
  readonly background: boolean;
  /** Whether it runs: always, or depending on how the command before it ended. */
  readonly when: "always" | "success" | "failure";
  /** Of what it prints, this is thrown away (`> /dev/null`), or goes where the rest goes (`2>&1`). */
  readonly discards: readonly ("out" | "err")[];
  readonly mergesErrors: boolean;
}

/** What a shell would do and hopscope does not, in one line. */
export class ShellError extends Error {}

type Token = { readonly kind: "word"; readonly text: string } | { readonly kind: "sign"; readonly text: string };

const WHEN = { "&&": "success", "||": "failure", ";": "always", "&": "always" } as const;
const REDIRECTION = /^([012&]?>>?)\s*(&1|[^\s;|&<>]*)/;

/**
 * Reads `a | b; c && d &`. `run` answers what a command in backquotes or `$( )` prints.
 * @throws {ShellError} for what hopscope's shell does not do.
 */
export function parseShellLine(line: string, run: (line: string) => string): ShellCommand[] {
  const commands: ShellCommand[] = [];
  let stages: string[][] = [[]];
  let discards: ("out" | "err")[] = [];
  let mergesErrors = false;
  let when: ShellCommand["when"] = "always";
  const end = (sign: keyof typeof WHEN) => {
    const [words = [], ...filters] = stages;
    if (filters.length > 0 && [words, ...filters].some((stage) => stage.length === 0))
      throw new ShellError("a command is missing before or after |");
    const plain = withoutSudo(words);
    if (plain.length > 0)
      commands.push({ words: plain, filters, background: sign === "&", when, discards, mergesErrors });
    else if (WHEN[sign] !== "always") throw new ShellError(`a command is missing before ${sign}`);
    stages = [[]];
    discards = [];
    mergesErrors = false;
    when = WHEN[sign];
  };
  for (const { kind, text } of tokens(line, run)) {
    if (kind === "word") stages.at(-1)!.push(text);
    else if (text === "|") stages.push([]);
    else if (Object.hasOwn(WHEN, text)) end(text as keyof typeof WHEN);
    else if (/^2>>?&1$/.test(text)) mergesErrors = true;
    else {
      const [, sign = "", target = ""] = REDIRECTION.exec(text) ?? [];
      if (target !== "/dev/null")
        throw new ShellError(
          `"${text}" is not understood here: no files are written or read, save > /dev/null; | grep, head and others work`,
        );
      if (!sign.startsWith("2")) discards.push("out");
      if (/^[2&]/.test(sign)) discards.push("err");
    }
  }
  const open = when !== "always";
  const before = commands.length;
  end(";");
  if (open && commands.length === before) throw new ShellError("a command is missing after && or ||");
  return commands;
}

/** One command with nothing around it. */
export const plainCommand = (words: readonly string[]): ShellCommand => ({
  words: withoutSudo(words),
  filters: [],
  background: false,
  when: "always",
  discards: [],
  mergesErrors: false,
});

/** Everybody is root here. */
function withoutSudo([name, ...rest]: readonly string[]): readonly string[] {
  if (name === undefined) return [];
  if (name !== "sudo") return [name, ...rest];
  while (rest[0]?.startsWith("-")) rest.shift();
  return withoutSudo(rest);
}

function* tokens(line: string, run: (line: string) => string): Generator<Token> {
  let word: string | null = null;
  for (let at = 0; at < line.length; at++) {
    const letter = line[at]!;
    if (letter === "'" || letter === '"') {
      // Between double quotes a backslash takes the meaning of " \ $ and of a backquote.
      const [quoted] = (letter === "'" ? /^'[^']*'/ : /^"(?:[^"\\]|\\.)*"/s).exec(line.slice(at)) ?? [];
      if (quoted === undefined) throw new ShellError(`a closing ${letter} is missing`);
      const inner = quoted.slice(1, -1);
      word = (word ?? "") + (letter === "'" ? inner : inner.replace(/\\(["\\$`])/g, "$1"));
      at += quoted.length - 1;
    } else if (letter === "`" || line.startsWith("$(", at)) {
      const start = letter === "`" ? at + 1 : at + 2;
      const close = line.indexOf(letter === "`" ? "`" : ")", start);
      if (close < 0) throw new ShellError(`a closing ${letter === "`" ? "`" : ")"} is missing`);
      word = (word ?? "") + run(line.slice(start, close)).trim();
      at = close;
    } else if (letter === "\\" && at + 1 < line.length) word = (word ?? "") + line[++at];
    else if (/\s/.test(letter)) {
      if (word !== null) yield { kind: "word", text: word };
      word = null;
    } else if (letter === "#" && word === null) break;
    else if (/[|;&<>]/.test(letter) || (word === null && /^[012]>/.test(line.slice(at)))) {
      if (word !== null) yield { kind: "word", text: word };
      word = null;
      const rest = line.slice(at);
      const sign = (REDIRECTION.exec(rest) ?? /^(\|\||&&|<<?\s*\S*)/.exec(rest))?.[0] ?? letter;
      at += sign.length - 1;
      yield { kind: "sign", text: sign.replace(/\s/g, "") };
    } else word = (word ?? "") + letter;
  }
  if (word !== null) yield { kind: "word", text: word };
}
