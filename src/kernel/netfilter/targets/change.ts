import type { Packet } from "../../../packet/packet.ts";
import { STEP, WORDS, wordNumber } from "../../../trace/step.ts";
import type { RuleContext } from "../rule.ts";

type Field = (typeof WORDS.field)[number];

const NUMBERS = Object.fromEntries(WORDS.field.map((word) => [word, wordNumber("field", word)])) as Readonly<
  Record<Field, number>
>;

/** Tells the trace that a target has changed a field of a packet. */
export function traceChange(packet: Packet, context: RuleContext, field: Field, from: number, to: number): void {
  const trace = context.net.fabric.trace;
  if (trace !== null && from !== to) trace.step(STEP.set, packet.id, context.net.place, NUMBERS[field], from, to);
}
