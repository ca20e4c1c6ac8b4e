import { type Alias, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from "yaml";
import type { z } from "zod";
import { InputError } from "../wire/input-error.ts";

export type Path = readonly (string | number)[];

/** A YAML text whose every value knows where it stands. */
export class Source {
  private readonly lines = new LineCounter();
  private readonly document;
  readonly value: unknown;

  /** @throws {InputError} for text that is no YAML. */
  constructor(
    readonly text: string,
    readonly file: string,
    /** Where in the text the value begins that all paths are seen from. */
    private readonly root: Path = [],
  ) {
    this.document = parseDocument(text, { lineCounter: this.lines, prettyErrors: false, merge: true });
    const [problem] = this.document.errors;
    if (problem !== undefined)
      throw this.errorAt(problem.pos[0], this.lineAt(problem.pos[0]), `YAML (${problem.message})`);
    try {
      this.value = root.reduce<unknown>((value, key) => (value as never)?.[key], this.document.toJS());
    } catch (error) {
      throw this.errorAt(0, "aliases that cannot be followed", `YAML (${(error as Error).message})`);
    }
  }

  /**
   * Reads the whole value with a schema, or one that was made of it by changing texts.
   * @throws {InputError} for the first thing that does not fit.
   */
  read<T extends z.ZodType>(schema: T, value = this.value): z.infer<T> {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    const errors = result.error.issues.map((issue) => this.errorOf(issue));
    errors.sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
    throw errors[0]!;
  }

  private errorOf(issue: z.core.$ZodIssue): InputError {
    const path = issue.path as Path;
    if (issue.code === "unrecognized_keys") {
      const key = issue.keys[0]!;
      return this.error([...path, key], issue.message, "key");
    }
    if (issue.code === "invalid_key") return this.error(path, issue.issues[0]?.message ?? issue.message, "key");
    return this.error(path, issue.message);
  }

  /** An error about the value at a path, or about its key. */
  error(path: Path, expected: string, part: "value" | "key" = "value"): InputError {
    const pair = this.pair(path);
    const node = part === "key" ? ((pair?.key ?? null) as Node | null) : this.node(path);
    if (node === null && path.length === 0) return this.errorAt(0, "nothing", expected);
    if (node === null) {
      const key = path.at(-1);
      return this.errorAt(this.offset(path.slice(0, -1)), `no ${typeof key === "string" ? key : "item"}`, expected);
    }
    return this.errorAt(node.range?.[0] ?? 0, describe(node), expected);
  }

  /** An error about a place inside the text of a scalar, where an error of that text's own reader points. */
  inside(path: Path, error: InputError): InputError {
    return new InputError(this.placeInside(path, error.place.line, error.place.column), error.found, error.expected);
  }

  /** Where the letter at `line` and `column` of a scalar's text stands in the file. */
  placeInside(path: Path, line: number, column: number) {
    const node = this.node(path);
    const place = this.place(path);
    if (!isScalar(node) || typeof node.value !== "string") return place;
    if (node.type === "BLOCK_LITERAL")
      return { ...place, line: place.line + line, column: column + this.indentOf(node.value, place.line) };
    const [start = 0, end = 0] = node.range ?? [];
    if (node.type === "BLOCK_FOLDED" || this.text.slice(start, end).includes("\n")) return place;
    return { ...place, column: place.column + (node.type === "PLAIN" ? 0 : 1) + column - 1 };
  }

  /** How far the lines of a block are indented; its header stands on the line `header`. */
  private indentOf(block: string, header: number): number {
    const lines = block.split("\n");
    const filled = lines.findIndex((line) => line !== "");
    const raw = (this.text.split("\n")[header + filled] ?? "").replace(/\r$/, "");
    return filled < 0 ? 0 : raw.length - lines[filled]!.length;
  }

  /** The text of a scalar or key as it is written, and where. */
  word(path: Path, part: "value" | "key" = "value") {
    const node = part === "key" ? ((this.pair(path)?.key ?? null) as Node | null) : this.node(path);
    const text = isScalar(node) ? String(node.source ?? node.value) : "";
    return { text, place: this.placeAt(node?.range?.[0] ?? this.offset(path)) };
  }

  place(path: Path) {
    return this.placeAt(this.offset(path));
  }

  private placeAt(offset: number) {
    const { line, col } = this.lines.linePos(offset);
    return { file: this.file, line, column: col };
  }

  private errorAt(offset: number, found: string, expected: string): InputError {
    return new InputError(this.placeAt(offset), found, expected);
  }

  /** What stands on the line of an offset. */
  private lineAt(offset: number): string {
    const { line } = this.lines.linePos(offset);
    const text = (this.text.split("\n")[line - 1] ?? "").trim();
    return text === "" ? "the end of the text" : quoted(text);
  }

  private offset(path: Path): number {
    return this.node(path)?.range?.[0] ?? 0;
  }

  private node(path: Path): Node | null {
    let node = this.resolve(this.document.contents as Node | null);
    for (const key of [...this.root, ...path]) {
      if (isMap(node)) node = this.resolve((this.pairIn(node.items, key)?.value ?? null) as Node | null);
      else if (isSeq(node)) node = this.resolve((node.items[key as number] ?? null) as Node | null);
      else return null;
    }
    return node;
  }

  private pair(path: Path): Pair | null {
    const parent = this.node(path.slice(0, -1));
    return isMap(parent) ? this.pairIn(parent.items, path.at(-1)!) : null;
  }

  /** The pair of a key, also where `<<` brought it. */
  private pairIn(items: readonly Pair[], key: string | number): Pair | null {
    const own = pairOf(items, key);
    const merged = this.resolve((pairOf(items, "<<")?.value ?? null) as Node | null);
    if (own !== null || merged === null) return own;
    for (const source of isSeq(merged) ? (merged.items as Node[]) : [merged]) {
      const map = this.resolve(source);
      const found = isMap(map) ? this.pairIn(map.items, key) : null;
      if (found !== null) return found;
    }
    return null;
  }

  private resolve(node: Node | null): Node | null {
    return isAlias(node) ? ((node as Alias).resolve(this.document) ?? null) : node;
  }
}

function pairOf(items: readonly Pair[], key: string | number): Pair | null {
  return items.find((pair) => isScalar(pair.key) && String(pair.key.value) === String(key)) ?? null;
}

function describe(node: Node): string {
  if (isMap(node)) return "a map";
  if (isSeq(node)) return "a list";
  if (!isScalar(node) || node.value === null) return "nothing";
  return typeof node.value === "string" ? quoted(node.value) : String(node.value);
}

function quoted(text: string): string {
  const [line = ""] = text.split("\n");
  const cut = line.length > 60 || line.length < text.trimEnd().length;
  return `"${line.slice(0, 60)}${cut ? "..." : ""}"`;
}
