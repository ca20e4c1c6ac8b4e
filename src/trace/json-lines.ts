import { DROP_REASONS } from "./reason.ts";
import { type BitField, type Operand, STEP_KINDS, type StepKind, WORDS } from "./step.ts";
import type { Disposition, PacketTrace, Step, Trace, Where } from "./trace.ts";

/**
 * A trace as JSON Lines: one object a packet, in the order of birth, and one for each thing that happens to no packet. A
 * packet's whole journey stands in one line, so that `jq 'select(.disposition.reason == "NETFILTER_DROP")'` and `grep`
 * answer a question about it; what happened in between, across packets, is in the order of the steps' `row`.
 */
export function formatJsonLines(trace: Trace): string {
  let text = "";
  let next = 0;
  const events = (before: number): void => {
    while (next < trace.events.length && trace.events[next]!.row < before)
      text += `${JSON.stringify(eventObject(trace.events[next++]!))}\n`;
  };
  for (const packet of trace.packets) {
    events(packet.hops[0]!.steps[0]!.row);
    text += `${JSON.stringify(packetObject(packet))}\n`;
  }
  events(Number.POSITIVE_INFINITY);
  return text;
}

function packetObject({ id, origin, parent, children, time, disposition, hops }: PacketTrace): object {
  return {
    type: "packet",
    id,
    origin,
    parent,
    children,
    time,
    disposition: dispositionObject(disposition),
    hops: hops.map((hop) => ({ ...hop, steps: hop.steps.map(stepObject) })),
  };
}

function dispositionObject({ where, ...rest }: Disposition): object {
  return { ...rest, ...placeObject(where) };
}

function eventObject(event: Step): object {
  return { type: "event", namespace: event.where?.namespace ?? null, ...stepObject(event) };
}

function stepObject({ kind, row, time, where, packet: _, ...operands }: Step): object {
  return { kind, row, time, at: where?.device ?? null, ...operands };
}

const placeObject = (where: Where | null) => ({ namespace: where?.namespace ?? null, device: where?.device ?? null });

/** As much of JSON Schema as the trace needs. */
export interface Schema {
  readonly $schema?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string;
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly pattern?: string;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
}

const INTEGER: Schema = { type: "integer" };
const NATURAL: Schema = { type: "integer", minimum: 0 };
const STRING: Schema = { type: "string" };
const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: "null" }] });

function closed(properties: Readonly<Record<string, Schema>>, description?: string): Schema {
  const said = description === undefined ? {} : { description };
  return { type: "object", ...said, properties, required: Object.keys(properties), additionalProperties: false };
}

const CHAIN = { table: STRING, chain: STRING };
const RULE = { ...CHAIN, number: NATURAL, text: STRING };
const PLAIN: Readonly<Record<Exclude<(Operand | BitField)["type"], "word" | "bits">, Schema>> = {
  number: INTEGER,
  hex: NATURAL,
  flag: { type: "boolean" },
  address: { type: "string", pattern: "^\\d{1,3}(\\.\\d{1,3}){3}$" },
  mac: { type: "string", pattern: "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$" },
  place: orNull({ type: "string", description: "a device of the step's namespace" }),
  rule: orNull({ ...closed(RULE), properties: { ...RULE, unmodelled: STRING } }),
  chain: orNull(closed(CHAIN)),
  text: STRING,
  packet: { type: "integer", minimum: 0, description: "the id of a packet, 0 for none" },
  reason: { type: "string", enum: DROP_REASONS },
};

const valueSchema = (operand: Exclude<Operand, { type: "bits" }> | BitField): Schema =>
  operand.type === "word" ? { type: "string", enum: WORDS[operand.words] } : PLAIN[operand.type];

const STEP_HEAD = {
  row: { ...NATURAL, description: "orders all steps of the trace, across packets" },
  time: { ...NATURAL, description: "virtual nanoseconds" },
  at: orNull({ type: "string", description: "the device, null for the namespace at large" }),
};

function stepSchema({ name, says, operands }: StepKind, before: Readonly<Record<string, Schema>> = {}): Schema {
  const properties: Record<string, Schema> = { ...before, kind: { type: "string", const: name }, ...STEP_HEAD };
  for (const operand of operands)
    for (const field of operand.type === "bits" ? operand.fields : [operand])
      properties[field.name] = valueSchema(field);
  return closed(properties, says);
}

const kinds: readonly StepKind[] = STEP_KINDS;
const EVENT = { type: { type: "string", const: "event" }, namespace: orNull(STRING) } satisfies Record<string, Schema>;
const ENDING = { time: NATURAL, namespace: orNull(STRING), device: orNull(STRING) };
const ending = (kind: string, more: Readonly<Record<string, Schema>> = {}): Schema =>
  closed({ kind: { type: "string", const: kind }, ...more, ...ENDING });

/** What each line of {@link formatJsonLines} looks like, made from the step table. */
export const traceSchema: Schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "hopscope trace, one line",
  anyOf: [
    closed(
      {
        type: { type: "string", const: "packet" },
        id: NATURAL,
        origin: { type: "string", enum: [...WORDS.origin, "unknown"] },
        parent: { ...NATURAL, description: "the packet that it is a copy of, answers, quotes or asks for; 0 for none" },
        children: { type: "array", items: NATURAL },
        time: { ...NATURAL, description: "virtual nanoseconds of its birth" },
        disposition: {
          anyOf: [
            ending("delivered", { to: STRING }),
            ending("consumed", { by: STRING }),
            ending("dropped", { reason: PLAIN.reason }),
            ending("queued"),
          ],
        },
        hops: {
          type: "array",
          items: closed({
            namespace: STRING,
            in: orNull(STRING),
            out: orNull(STRING),
            steps: { type: "array", items: { anyOf: kinds.map((kind) => stepSchema(kind)) } },
          }),
        },
      },
      "a packet: where it was, what happened to it there, how it ended",
    ),
    ...kinds.map((kind) => stepSchema(kind, EVENT)),
  ],
};
