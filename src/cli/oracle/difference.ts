import { type ByNamespace, type Canonical, type CanonicalStep, END_PARTS } from "./canonical.ts";
import { type Fields, frameText, sameFields } from "./frame-fields.ts";

const STEP_PARTS = ["result", "frames", "trace", "connections"] as const;
type Part = (typeof STEP_PARTS)[number] | (typeof END_PARTS)[number];

/** The first place where two runs of one case part. */
export interface Difference {
  /** From 0; null for what stands at the end of the case. */
  readonly step: number | null;
  readonly action: string;
  readonly part: Part;
  readonly namespace: string;
  /** From 0. */
  readonly index: number;
  /** What both did just before. */
  readonly before: readonly Fields[];
  /** Null for nothing. */
  readonly kernel: Fields | null;
  readonly hopscope: Fields | null;
}

/** Null when the two runs are the same. */
export function compare(kernel: Canonical, hopscope: Canonical): Difference | null {
  for (let i = 0; i < Math.max(kernel.steps.length, hopscope.steps.length); i++) {
    const found = compareStep(i, kernel.steps[i], hopscope.steps[i]);
    if (found !== null) return found;
  }
  for (const part of END_PARTS) {
    const found = compareAll({ step: null, action: "", part }, kernel.end[part], hopscope.end[part]);
    if (found !== null) return found;
  }
  return null;
}

interface Where {
  readonly step: number | null;
  readonly action: string;
  readonly part: Part;
}

function compareStep(
  i: number,
  kernel: CanonicalStep | undefined,
  hopscope: CanonicalStep | undefined,
): Difference | null {
  const { action } = (kernel ?? hopscope)!;
  for (const part of STEP_PARTS) {
    const [theirs, ours] = [kernel, hopscope].map((step) =>
      part === "result" ? answerOf(step) : (step?.[part] ?? {}),
    );
    const found = compareAll({ step: i, action, part }, theirs!, ours!);
    if (found !== null) return found;
  }
  return null;
}

function compareAll(where: Where, kernel: ByNamespace<Fields>, hopscope: ByNamespace<Fields>): Difference | null {
  for (const namespace of new Set([...Object.keys(kernel), ...Object.keys(hopscope)])) {
    const [theirs, ours] = [kernel[namespace] ?? [], hopscope[namespace] ?? []];
    for (let index = 0; index < Math.max(theirs.length, ours.length); index++) {
      const a = theirs[index] ?? null;
      const b = ours[index] ?? null;
      if (a !== null && b !== null && sameFields(a, b)) continue;
      const before = theirs.slice(Math.max(0, index - CONTEXT), index);
      return { ...where, namespace, index, before, kernel: a, hopscope: b };
    }
  }
  return null;
}

const CONTEXT = 2;
const answerOf = (step: CanonicalStep | undefined): ByNamespace<Fields> => ({
  "": step === undefined ? [] : [step.result],
});

const NOUNS: Readonly<Record<Part, string>> = {
  result: "what the program was answered",
  frames: "frame",
  trace: "trace record",
  connections: "conntrack event",
  conntrack: "conntrack entry",
  counters: "counter",
  neighbours: "neighbour",
  fdb: "bridge entry",
};

/** The first difference, side by side. */
export function formatDifference(difference: Difference): string {
  const { step, action, part, namespace, index, before, kernel, hopscope } = difference;
  const when = step === null ? "at the end" : `step ${step + 1} (${action})`;
  const place = part === "result" ? "" : `, ${namespace}, ${NOUNS[part]} ${index + 1}`;
  const lines = [`They differ: ${when}${place}${part === "result" ? `, ${NOUNS.result}` : ""}`];
  for (const item of before) lines.push(`  both       ${itemText(part, item)}`);
  lines.push(`  kernel     ${kernel === null ? "nothing" : itemText(part, kernel)}`);
  lines.push(`  hopscope   ${hopscope === null ? "nothing" : itemText(part, hopscope)}`);
  if (kernel !== null && hopscope !== null)
    for (const key of new Set([...Object.keys(kernel), ...Object.keys(hopscope)]))
      if (kernel[key] !== hopscope[key])
        lines.push(`    ${key}: the kernel has ${valueText(kernel[key])}, hopscope ${valueText(hopscope[key])}`);
  return `${lines.join("\n")}\n`;
}

const LONG = 80;

function valueText(value: string | number | undefined): string {
  if (value === undefined || value === "") return "none";
  const text = String(value);
  return text.length > LONG ? `${text.slice(0, LONG)}... (${text.length} letters)` : text;
}

function itemText(part: Part, item: Fields): string {
  if (part === "frames")
    return [item["device"], item["direction"], item["class"] ?? "", "", frameText(item)]
      .join(" ")
      .replace(/ {2,}/, "  ");
  if (part === "trace") return traceText(item);
  const words = Object.entries(item).map(([key, value]) => `${key} ${valueText(value)}`);
  return words.length === 0 ? "nothing" : words.join(", ");
}

function traceText(item: Fields): string {
  const { family, hook, at, iif, oif, ct, ctdir, mark, table, chain, type, rule, verdict, to } = item;
  if (hook === undefined)
    return `${table} ${chain} ${type === "policy" ? "policy" : `rule ${rule}`} ${verdict}${to === undefined ? "" : ` ${to}`}`;
  const words = [`${family} ${hook} ${at}`];
  if (iif !== undefined) words.push(`in ${iif}`);
  if (oif !== undefined) words.push(`out ${oif}`);
  if (ct !== undefined) words.push(`${ct}${ctdir === undefined ? "" : ` (${ctdir})`}`);
  if (mark !== undefined) words.push(`mark ${mark}`);
  return words.join(", ");
}
