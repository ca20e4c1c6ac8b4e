import { type Machine, readFile } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";

/** `jsonpp FILE...`, which leaves a line for what is empty. */
export function jsonpp(args: readonly string[], machine: Machine): Printed {
  if (args.length === 0) throw new Refusal("a file is missing", 1);
  return printed(args.map((path) => `${spread(read(path, machine), "")}\n`).join(""));
}

/** `jq . FILE...`: the whole, in jq's own shape. */
export function jq(args: readonly string[], machine: Machine): Printed {
  const [filter, ...paths] = args;
  if (filter !== "." || paths.length === 0 || paths.some((path) => path.startsWith("-")))
    throw unmodelled(`jq ${args.join(" ")}`, "jq . FILE");
  return printed(paths.map((path) => `${JSON.stringify(read(path, machine), null, 2)}\n`).join(""));
}

function read(path: string, machine: Machine): unknown {
  const text = readFile(machine, path);
  if (text === null) throw new Refusal(`${path}: No such file or directory`, 2);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Refusal(`${path} is no JSON`, 2);
  }
}

function spread(value: unknown, indent: string): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value))
    return `[\n${value.map((item) => `${inner}${spread(item, inner)}`).join(",\n")}\n${indent}]`;
  const rows = Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${spread(item, inner)}`);
  return rows.length === 0 ? `{\n${indent}}` : `{\n${rows.join(",\n")}\n${indent}}`;
}
