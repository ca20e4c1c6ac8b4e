import { Refusal, unmodelled } from "./printed.ts";

const KNOWN = ".Field, range, if, else, end, json, index, len, join, println, eq and ne";

type Value = unknown;
type Scope = ReadonlyMap<string, Value>;

/** A word of an action, and where it stands in the text. */
interface Token {
  readonly text: string;
  readonly at: number;
}

type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly words: readonly Token[] }
  | {
      readonly kind: "if" | "range";
      readonly words: readonly Token[];
      /** `$key, $value :=` or `$value :=`. */
      readonly names: readonly string[];
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

/** A template of Go's `text/template`, as far as `docker --format` needs it. @throws {Refusal} */
export function formatTemplate(template: string, value: Value): string {
  const text = template.replace(/\\n/g, "\n").replace(/\\t/g, "\t");
  const nodes = parse(text);
  return execute(nodes, value, new Map([["$", value]]));
}

// Reading.

function parse(text: string): Node[] {
  const parts = [...text.matchAll(/\{\{(-?)([\s\S]*?)(-?)\}\}/g)];
  const items: (string | Token[])[] = [];
  let at = 0;
  let trims = false;
  for (const part of parts) {
    const [whole, left, inner = "", right] = part;
    let before = text.slice(at, part.index);
    if (trims) before = before.trimStart();
    if (left !== "") before = before.trimEnd();
    items.push(before, tokens(inner, part.index + 2 + left!.length));
    trims = right !== "";
    at = part.index + whole.length;
  }
  const rest = text.slice(at);
  if (/\{\{/.test(rest)) throw new Refusal(`template parsing error: template: :1: unclosed action`, 64);
  items.push(trims ? rest.trimStart() : rest);
  const reader = new Reader(items);
  return reader.block().nodes;
}

const WORD = /"(?:[^"\\]|\\.)*"|`[^`]*`|:=|[(),|]|[^\s(),|]+/g;

const tokens = (inner: string, from: number): Token[] =>
  [...inner.matchAll(WORD)].map((match) => ({ text: match[0], at: from + match.index }));

class Reader {
  private at = 0;

  constructor(private readonly items: readonly (string | readonly Token[])[]) {}

  /** Up to its `end` or `else`, or the end of the text. */
  block(inside = false): { readonly nodes: Node[]; readonly closedBy: string } {
    const nodes: Node[] = [];
    while (this.at < this.items.length) {
      const item = this.items[this.at++]!;
      if (typeof item === "string") {
        if (item !== "") nodes.push({ kind: "text", text: item });
        continue;
      }
      const [first, ...rest] = item;
      const word = first?.text ?? "";
      if (word === "end" || word === "else") {
        if (!inside) throw new Refusal(`template parsing error: template: :1: unexpected {{${word}}}`, 64);
        return { nodes, closedBy: word };
      }
      nodes.push(word === "if" || word === "range" ? this.branch(word, rest) : { kind: "print", words: item });
    }
    if (inside) throw new Refusal("template parsing error: template: :1: unexpected EOF", 64);
    return { nodes, closedBy: "" };
  }

  private branch(kind: "if" | "range", words: readonly Token[]): Node {
    const sign = words.findIndex(({ text }) => text === ":=");
    const names = words.slice(0, Math.max(0, sign)).flatMap(({ text }) => (text === "," ? [] : [text]));
    const body = this.block(true);
    const otherwise = body.closedBy === "else" ? this.block(true).nodes : [];
    return { kind, words: words.slice(sign + 1), names, body: body.nodes, otherwise };
  }
}

// Executing.

function execute(nodes: readonly Node[], dot: Value, scope: Scope): string {
  let out = "";
  for (const node of nodes) {
    if (node.kind === "text") out += node.text;
    else if (node.kind === "print") out += printable(evaluate(node.words, dot, scope));
    else if (node.kind === "if")
      out += execute(isTrue(evaluate(node.words, dot, scope)) ? node.body : node.otherwise, dot, scope);
    else {
      const entries = entriesOf(evaluate(node.words, dot, scope));
      if (entries.length === 0) out += execute(node.otherwise, dot, scope);
      for (const [key, item] of entries) {
        const [one, two] = node.names;
        const named =
          two === undefined
            ? [[one ?? "", item]]
            : [
                [one!, key],
                [two, item],
              ];
        out += execute(node.body, item, new Map([...scope, ...(named as [string, Value][])]));
      }
    }
  }
  return out;
}

/** Maps are walked in the order of their keys. */
function entriesOf(value: Value): [Value, Value][] {
  if (Array.isArray(value)) return value.map((item, i) => [i, item]);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

const isTrue = (value: Value): boolean =>
  typeof value === "object" && value !== null ? entriesOf(value).length > 0 : Boolean(value);

/** A pipeline: what one command answers is the last operand of the next. */
function evaluate(words: readonly Token[], dot: Value, scope: Scope): Value {
  let result: Value;
  let piped = false;
  for (const command of split(words)) {
    const operands = operandsOf(command, dot, scope);
    result = call(command[0]!, piped ? [...operands, { value: result }] : operands);
    piped = true;
  }
  return result;
}

function split(words: readonly Token[]): Token[][] {
  const commands: Token[][] = [[]];
  let depth = 0;
  for (const word of words) {
    if (word.text === "(") depth++;
    if (word.text === ")") depth--;
    if (word.text === "|" && depth === 0) commands.push([]);
    else commands.at(-1)!.push(word);
  }
  if (commands.some((command) => command.length === 0))
    throw new Refusal("template parsing error: template: :1: missing value for command", 64);
  return commands;
}

interface Operand {
  readonly value: Value;
  /** A function's name is no value. */
  readonly name?: string;
}

function operandsOf(words: readonly Token[], dot: Value, scope: Scope): Operand[] {
  const found: Operand[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word.text !== "(") {
      found.push(operand(word, dot, scope));
      continue;
    }
    let end = i;
    for (let depth = 0; end < words.length; end++) {
      if (words[end]!.text === "(") depth++;
      if (words[end]!.text === ")" && --depth === 0) break;
    }
    const value = evaluate(words.slice(i + 1, end), dot, scope);
    const after = words[end + 1];
    const close = words[end];
    // `(index .A 0).B`: the field stands at the bracket.
    const joined =
      after !== undefined && close !== undefined && after.text.startsWith(".") && after.at === close.at + 1;
    found.push({ value: joined ? field(value, after) : value });
    i = joined ? end + 1 : end;
  }
  return found;
}

function operand(word: Token, dot: Value, scope: Scope): Operand {
  const { text, at } = word;
  if (text === ".") return { value: dot };
  if (text.startsWith('"')) return { value: unquote(text) };
  if (text.startsWith("`")) return { value: text.slice(1, -1) };
  if (/^-?\d+$/.test(text)) return { value: Number(text) };
  if (text === "true" || text === "false") return { value: text === "true" };
  if (text.startsWith(".")) return { value: field(dot, word) };
  if (!text.startsWith("$")) return { value: undefined, name: text };
  const dots = text.indexOf(".");
  const name = dots < 0 ? text : text.slice(0, dots);
  if (!scope.has(name)) throw new Refusal(`template parsing error: template: :1: undefined variable "${name}"`, 64);
  const value = scope.get(name);
  return { value: dots < 0 ? value : field(value, { text: text.slice(dots), at: at + dots }) };
}

function unquote(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    throw new Refusal("template parsing error: template: :1: invalid syntax", 64);
  }
}

/** `.A.B` of a value. @throws {Refusal} where it has no such key. */
function field(value: Value, { text, at }: Token): Value {
  let found = value;
  for (const key of text.slice(1).split(".")) {
    const has = typeof found === "object" && found !== null && Object.hasOwn(found, key);
    if (!has) {
      const where = `template parsing error: template: :1:${at}: executing "" at <${text}>`;
      throw new Refusal(`${where}: map has no entry for key "${key}"`, 1);
    }
    found = (found as Record<string, Value>)[key];
  }
  return found;
}

function call(first: Token, operands: readonly Operand[]): Value {
  const [head, ...rest] = operands;
  if (head?.name === undefined) return head?.value;
  const values = rest.map(({ value, name }) => {
    if (name !== undefined) throw unmodelled(`${name} in a template`, KNOWN);
    return value;
  });
  const [one, two] = values;
  switch (head.name) {
    case "json":
      return JSON.stringify(one);
    case "index":
      return values.slice(1).reduce(entry, one);
    case "len":
      return typeof one === "string" ? one.length : entriesOf(one).length;
    case "join":
      return entriesOf(one)
        .map(([, item]) => printable(item))
        .join(String(two));
    case "println":
      return `${values.map(printable).join(" ")}\n`;
    case "eq":
      return one === two;
    case "ne":
      return one !== two;
  }
  throw unmodelled(`${first.text} in a template`, KNOWN);
}

const entry = (value: Value, key: Value): Value =>
  typeof value === "object" && value !== null && Object.hasOwn(value, String(key))
    ? (value as Record<string, Value>)[String(key)]
    : undefined;

/** As `fmt.Print()` shows it. */
function printable(value: Value): string {
  if (value === undefined) return "<no value>";
  if (value === null) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(printable).join(" ")}]`;
  if (typeof value === "object")
    return `map[${entriesOf(value)
      .map(([key, item]) => `${String(key)}:${printable(item)}`)
      .join(" ")}]`;
  return String(value);
}
