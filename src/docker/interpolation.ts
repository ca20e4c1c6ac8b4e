import type { Path, Source } from "./source.ts";

/** Names and values of the environment that a compose file is read in: the shell's, and those of `.env`. */
export type Variables = Readonly<Record<string, string>>;

const VARIABLE = /\$(?:\$|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-?+])((?:[^{}]|\{[^{}]*\})*))?\})/g;

/**
 * `$NAME`, `${NAME:-default}`, `${NAME:?message}` and `${NAME:+other}` in every text of a value, as Compose has it.
 * @throws {InputError} for a variable that has to be set and is not.
 */
export function interpolate(source: Source, value: unknown, variables: Variables, path: Path = []): unknown {
  if (typeof value === "string") return interpolateText(source, value, variables, path);
  if (Array.isArray(value)) return value.map((item, i) => interpolate(source, item, variables, [...path, i]));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, interpolate(source, item, variables, [...path, key])]),
  );
}

function interpolateText(source: Source, text: string, variables: Variables, path: Path): string {
  return text.replace(VARIABLE, (whole, plain?: string, braced?: string, operator?: string, word = "") => {
    const name = plain ?? braced;
    if (name === undefined) return whole === "$$" ? "$" : whole;
    const value = Object.hasOwn(variables, name) ? variables[name]! : null;
    const given = operator?.startsWith(":") === true ? value !== null && value !== "" : value !== null;
    const fallback = () => interpolateText(source, word, variables, path);
    if (operator?.endsWith("+") === true) return given ? fallback() : "";
    if (given) return value!;
    if (operator?.endsWith("?") === true)
      throw source.error(path, `${name} to be set (Docker: required variable ${name} is missing a value: ${word})`);
    return operator?.endsWith("-") === true ? fallback() : "";
  });
}
