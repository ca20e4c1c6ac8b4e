import { InputError } from "../../wire/input-error.ts";

/** A word of rule text and where it stands. */
export interface Token {
  readonly text: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** It had quotes, so it is a value even where it looks like something else. */
  readonly quoted: boolean;
  /** It stands for the end of its line: there was nothing more. */
  readonly end: boolean;
}

/** What iptables says of a refusal; a function of the extension and the option where it names them. */
export type Reason = string | ((extension: string, option: string) => string);

/** Rule text that iptables refuses, or that hopscope does not model. */
export class RuleError extends InputError {
  constructor(
    readonly token: Token,
    expected: string,
    /** iptables' own words; empty where none are known. */
    readonly reason: Reason,
  ) {
    const found = token.end ? "the end of the line" : `"${token.text}"`;
    super({ file: token.file, line: token.line, column: token.column }, found, expected);
  }
}

/** The one way in which rule text is refused. */
export const unexpected = (token: Token, expected: string, reason: Reason = ""): RuleError =>
  new RuleError(token, expected, reason);

/** The reason for a rule that only the kernel refuses. */
export const kernelRefuses = ({ line }: Token, chain: string, error = "Invalid argument"): string =>
  `\nline ${line}: RULE_APPEND failed (${error}): rule in chain ${chain}`;

/** Words are parted by blanks; double quotes hold them together, and inside them a backslash takes the next character as it is. */
export function tokenize(text: string, file: string, line: number): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    if (isBlank(text[at]!)) {
      at++;
      continue;
    }
    const start = at;
    let word = "";
    let quoted = false;
    for (let open = false; at < text.length && (open || !isBlank(text[at]!)); at++) {
      const character = text[at]!;
      if (character === '"') {
        open = !open;
        quoted = true;
        if (open && !text.slice(at + 1).includes('"'))
          throw unexpected({ text: text.slice(at), file, line, column: at + 1, quoted, end: false }, 'a closing "');
      } else if (open && character === "\\" && at + 1 < text.length) word += text[++at]!;
      else word += character;
    }
    tokens.push({ text: word, file, line, column: start + 1, quoted, end: false });
  }
  return tokens;
}

/** What stands where a line has nothing more. */
export function endOfLine(text: string, file: string, line: number): Token {
  return { text: "", file, line, column: text.length + 1, quoted: false, end: true };
}

/** A part of a token, such as one item of a list. */
export function part(token: Token, from: number, to = token.text.length): Token {
  const column = token.quoted || token.end ? token.column : token.column + from;
  return { ...token, text: token.text.slice(from, to), column };
}

/** The items of `a,b,c`. */
export function splitList(token: Token, separator = ","): Token[] {
  const parts: Token[] = [];
  let from = 0;
  for (const text of token.text.split(separator)) {
    parts.push(part(token, from, from + text.length));
    from += text.length + separator.length;
  }
  return parts;
}

const isBlank = (character: string): boolean => character === " " || character === "\t";
const PLAIN = /^[A-Za-z0-9_-]+$/;

/** As `xtables_save_string()`: quotes around all but the plainest words. */
export function quote(text: string): string {
  return PLAIN.test(text) ? text : `"${text.replace(/["\\']/g, "\\$&")}"`;
}
