import type { OptionSpec, Options } from "../extension.ts";
import { formatPortRange, type PortRange, readPortRange } from "../port.ts";
import { unexpected } from "../tokenizer.ts";
import { printOption } from "../value.ts";

/** `--sport` and `--dport` of the matches that look at ports only where a rule names some. */
export const PORT_OPTIONS: readonly OptionSpec[] = [
  { name: "sport", aliases: ["source-port"], not: true },
  { name: "dport", aliases: ["destination-port"], not: true },
];

export interface GivenPorts extends PortRange {
  readonly not: boolean;
}

/** Null where the rule does not name it. Services are looked up by protocol; those of `numeric` ones have no names. */
export function readGivenPorts(options: Options, name: "sport" | "dport", numeric = false): GivenPorts | null {
  const given = options.get(name);
  if (given === null) return null;
  const token = given.values[0]!;
  const [word] = (numeric && /[a-z][a-z-]*/i.exec(token.text)) || [];
  if (word !== undefined) throw unexpected(token, "a port (0-65535)", `invalid port/service \`${word}' specified`);
  return { ...readPortRange(token), not: given.not };
}

export const passes = (port: number, wanted: GivenPorts | null): boolean =>
  wanted === null || (port >= wanted.min && port <= wanted.max) !== wanted.not;

export const printGivenPorts = (name: "sport" | "dport", wanted: GivenPorts | null): string[] =>
  wanted === null ? [] : [printOption(name, formatPortRange(wanted.min, wanted.max), wanted.not)];
