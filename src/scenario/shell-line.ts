/** One command of a shell line: its words as written, each with its quotes taken off. */
export interface ShellCommand {
  readonly words: readonly string[];
  /** The filters that its output goes through. */
  readonly filters: readonly (readonly string[])[];
  readonly background: boolean;
}

/** What a shell would do and hopscope does not, in one line. */
export class ShellError extends Error {}

type Token = { readonly kind: "word"; readonly text: string } | { readonly kind: "sign"; readonly text: string };

/**
 * Reads `a | b; c &`. `run` answers what a command in backquotes prints.
 * @throws {ShellError} for what hopscope's shell does not do.
 */
export function parseShellLine(line: string, run: (line: string) => string): ShellCommand[] {
  const commands: ShellCommand[] = [];
  let stages: string[][] = [[]];
  const end = (background: boolean) => {
    const [words = [], ...filters] = stages;
    if (filters.length > 0 && [words, ...filters].some((stage) => stage.length === 0))
      throw new ShellError("a command is missing before or after |");
    if (words.length > 0) commands.push({ words, filters, background });
    stages = [[]];
  };
  for (const { kind, text } of tokens(line, run)) {
    if (kind === "word") stages.at(-1)!.push(text);
    else if (text === "|") stages.push([]);
    else if (text === ";" || text === "&") end(text === "&");
    else throw new ShellError(`"${text}" is not understood here; a line may have | ; and &, quotes and backquotes`);
  }
  end(false);
  return commands;
}

function* tokens(line: string, run: (line: string) => string): Generator<Token> {
  let word: string | null = null;
  for (let at = 0; at < line.length; at++) {
    const letter = line[at]!;
    if (letter === "'" || letter === '"') {
      const close = line.indexOf(letter, at + 1);
      if (close < 0) throw new ShellError(`a closing ${letter} is missing`);
      word = (word ?? "") + line.slice(at + 1, close);
      at = close;
    } else if (letter === "`") {
      const close = line.indexOf("`", at + 1);
      if (close < 0) throw new ShellError("a closing ` is missing");
      word = (word ?? "") + run(line.slice(at + 1, close)).trim();
      at = close;
    } else if (letter === "\\" && at + 1 < line.length) word = (word ?? "") + line[++at];
    else if (/\s/.test(letter)) {
      if (word !== null) yield { kind: "word", text: word };
      word = null;
    } else if (letter === "#" && word === null) break;
    else if (/[|;&<>]/.test(letter)) {
      if (word !== null) yield { kind: "word", text: word };
      word = null;
      const sign = /^(\|\||&&|>>|2>)/.exec(line.slice(at))?.[0] ?? letter;
      at += sign.length - 1;
      yield { kind: "sign", text: sign };
    } else word = (word ?? "") + letter;
  }
  if (word !== null) yield { kind: "word", text: word };
}
