import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";

/** What stands behind a pipe: `grep`, `head`, `tail`, `wc`, `sort` and `cat`, over the whole text at once. */
export const FILTERS = ["cat", "grep", "head", "sort", "tail", "wc"];

export function filterText([name = "", ...args]: readonly string[], text: string): Printed {
  const rows = text.split("\n").slice(0, text.endsWith("\n") ? -1 : undefined);
  const joined = (kept: readonly string[]) => printed(kept.map((row) => `${row}\n`).join(""));
  if (name === "cat" && args.length === 0) return printed(text);
  if (name === "sort" && args.length === 0) return joined([...rows].sort());
  if (name === "head") return joined(rows.slice(0, countOf(name, args)));
  if (name === "tail") return joined(rows.slice(Math.max(0, rows.length - countOf(name, args))));
  if (name === "wc" && args.join() === "-l") return printed(`${rows.length}\n`);
  if (name === "grep") return grep(args, rows);
  if (FILTERS.includes(name))
    throw unmodelled([name, ...args].join(" "), "grep [-icnovE], head, tail [-n N], wc -l, sort, cat");
  throw new Refusal(`${name}: not known behind a pipe; hopscope knows ${FILTERS.join(", ")}`, 127);
}

function countOf(name: string, args: readonly string[]): number {
  const text = args.join(" ");
  const [, count] = /^(?:-n ?|--lines=|-)(\d+)$/.exec(text) ?? [];
  if (text === "") return 10;
  if (count === undefined) throw unmodelled(`${name} ${text}`, `${name} -n N`);
  return Number(count);
}

function grep(args: readonly string[], rows: readonly string[]): Printed {
  const options = args.filter((word) => /^-[icnovEFwq]+$/.test(word)).join("");
  const [pattern, ...rest] = args.filter((word) => !/^-[icnovEFwq]+$/.test(word));
  if (pattern === undefined) throw new Refusal("grep: a pattern is missing", 2);
  if (rest.length > 0 || pattern.startsWith("-"))
    throw unmodelled(`grep ${args.join(" ")}`, "grep [-icnovEFwq] PATTERN");
  const has = (letter: string) => options.includes(letter);
  const test = expression(pattern, has("i"), has("F"), has("E"), has("w"));
  const kept = [...rows.entries()].filter(([, row]) => row.search(test) >= 0 !== has("v"));
  const status = kept.length > 0 ? 0 : 1;
  if (has("q")) return { out: "", err: "", status };
  if (has("c")) return { out: `${kept.length}\n`, err: "", status };
  const shown = has("o")
    ? kept.flatMap(([i, row]) => row.match(new RegExp(test, `${test.flags}g`))?.map((part) => [i, part] as const) ?? [])
    : kept;
  return { out: shown.map(([i, row]) => `${has("n") ? `${i + 1}:` : ""}${row}\n`).join(""), err: "", status };
}

function expression(pattern: string, ignoreCase: boolean, fixed: boolean, extended: boolean, word: boolean): RegExp {
  const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  // In a basic expression + ? | ( ) { } are plain unless a backslash stands before them.
  const basic = (text: string) =>
    text.replace(/\\([+?|(){}])|([+?|(){}])/g, (_, escaped, plain) => escaped ?? `\\${plain}`);
  const source = fixed ? literal(pattern) : extended ? pattern : basic(pattern);
  try {
    return new RegExp(word ? `\\b(?:${source})\\b` : source, ignoreCase ? "i" : "");
  } catch {
    throw new Refusal(`grep: "${pattern}" is no pattern`, 2);
  }
}
