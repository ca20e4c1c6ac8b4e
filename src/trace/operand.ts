import { formatIpv4, formatMac } from "../wire/address.ts";
import type { Name, Names } from "./names.ts";
import { DROP_REASONS, type DropReason } from "./reason.ts";
import { type BitField, type Operand, STEP_KINDS, type StepName, WORDS, type WordList } from "./step.ts";

/** A chain of a step. */
export interface ChainValue {
  readonly table: string;
  readonly chain: string;
}

/** A rule of a step: which one, and what it says. */
export interface RuleValue extends ChainValue {
  /** From 1, as `iptables -L --line-numbers` counts. */
  readonly number: number;
  /** As `iptables-save` prints it, without `-A CHAIN`. */
  readonly text: string;
  /** What of it hopscope does not do, in words. */
  readonly unmodelled?: string;
}

/** What an operand of each type reads as. Null stands for nothing: no device, no chain. */
interface Plain {
  number: number;
  /** Unsigned. */
  hex: number;
  flag: boolean;
  address: string;
  mac: string;
  /** The device's name; its namespace is the step's. */
  place: string | null;
  rule: RuleValue | null;
  chain: ChainValue | null;
  text: string;
  packet: number;
  reason: DropReason;
}

export type Value = Plain[keyof Plain];

type KindOf<N extends StepName> = Extract<(typeof STEP_KINDS)[number], { name: N }>;
/** What is packed into one operand stands beside the others. */
type Flat<O> = O extends { type: "bits"; fields: readonly (infer F)[] } ? F : O;
type ValueOf<O> = O extends { type: "word"; words: infer W extends WordList }
  ? (typeof WORDS)[W][number]
  : O extends { type: infer T extends keyof Plain }
    ? Plain[T]
    : never;

/** The operands of a kind of step by name, as the step table says. */
export type OperandsOf<N extends StepName> = {
  readonly [O in Flat<KindOf<N>["operands"][number]> as O extends { name: infer M extends string }
    ? M
    : never]: ValueOf<O>;
};

/** The operands of a step; `at` is the place of the first in `rows`. */
export function readOperands(kind: number, rows: Int32Array, at: number, names: Names): Record<string, Value> {
  const values: Record<string, Value> = {};
  for (const operand of STEP_KINDS[kind]!.operands as readonly Operand[]) {
    const cell = rows[at++]!;
    if (operand.type === "bits") for (const field of operand.fields) values[field.name] = bitsOf(field, cell);
    else if (operand.type === "mac") values[operand.name] = formatMac(cell, rows[at++]!);
    else if (operand.type === "word") values[operand.name] = wordOf(operand.words, cell);
    else values[operand.name] = plainOf(operand.type, cell, names);
  }
  return values;
}

function bitsOf(field: BitField, cell: number): Value {
  const above = cell >>> field.shift;
  const bits = field.width === undefined ? above : above & ((1 << field.width) - 1);
  if (field.type === "word") return wordOf(field.words, bits);
  return field.type === "flag" ? bits !== 0 : bits;
}

function wordOf(list: WordList, number: number): string {
  return WORDS[list][number] ?? `${list} ${number}`;
}

function plainOf(type: Exclude<Operand["type"], "bits" | "mac" | "word">, cell: number, names: Names): Value {
  switch (type) {
    case "number":
    case "packet":
      return cell;
    case "hex":
      return cell >>> 0;
    case "address":
      return formatIpv4(cell);
    case "reason":
      return DROP_REASONS[cell] ?? "NOT_SPECIFIED";
    default:
      return nameOf(type, names.get(cell));
  }
}

function nameOf(type: "place" | "rule" | "chain" | "text", name: Name | null): Value {
  if (type === "text") return name?.kind === "text" ? name.text : "";
  if (type === "place") return name?.kind === "device" ? name.device : null;
  if (name?.kind !== type) return null;
  const chain: ChainValue = { table: name.table, chain: name.chain };
  if (name.kind !== "rule") return chain;
  const { number, text, unmodelled = "" } = name;
  return { ...chain, number, text, ...(unmodelled === "" ? {} : { unmodelled }) };
}
