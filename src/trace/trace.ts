import { type OperandsOf, readOperands } from "./operand.ts";
import type { DropReason } from "./reason.ts";
import { type Recorder, ROW } from "./recorder.ts";
import { STEP_KINDS, type StepName, type WORDS } from "./step.ts";

/** Where something happens: a namespace, and the device in it where there is one. */
export interface Where {
  readonly namespace: string;
  readonly device: string | null;
}

interface StepBase<N extends StepName> {
  readonly kind: N;
  /** Its place in the recording, which orders what happens at one time. */
  readonly row: number;
  /** Virtual nanoseconds. */
  readonly time: number;
  /** 0 for what happens to no packet. */
  readonly packet: number;
  /** Null for the world at large. */
  readonly where: Where | null;
}

/** One kind of step, its operands by name. */
export type StepOf<N extends StepName> = StepBase<N> & OperandsOf<N>;
export type Step = { [N in StepName]: StepOf<N> }[StepName];

/** A packet's stay in one namespace, from its arrival (or birth) to its leaving (or end). */
export interface Hop {
  readonly namespace: string;
  /** The device that it arrived by; null where it was made. */
  readonly in: string | null;
  /** The device that it left by last; null where it ended. */
  readonly out: string | null;
  readonly steps: readonly Step[];
}

/** How a packet ends; one that is still under way is queued. */
export type Disposition = { readonly time: number; readonly where: Where | null } & (
  | { readonly kind: "delivered"; readonly to: string }
  | { readonly kind: "consumed"; readonly by: string }
  | { readonly kind: "dropped"; readonly reason: DropReason }
  | { readonly kind: "queued" }
);

export interface PacketTrace {
  readonly id: number;
  /** Unknown where the packet is older than the recording. */
  readonly origin: (typeof WORDS.origin)[number] | "unknown";
  /** The packet that it is a copy of, answers, quotes or asks for; 0 for none. */
  readonly parent: number;
  /** In the order of birth. */
  readonly children: readonly number[];
  /** Virtual nanoseconds of its first step. */
  readonly time: number;
  readonly hops: readonly Hop[];
  readonly disposition: Disposition;
}

export interface Trace {
  /** In the order of birth. */
  readonly packets: readonly PacketTrace[];
  readonly byId: ReadonlyMap<number, PacketTrace>;
  /** What happens to no packet: neighbours that change, flows that end, what programs say. */
  readonly events: readonly Step[];
}

/** The read side: what a recorder wrote, packet by packet. */
export function readTrace(recorder: Recorder): Trace {
  const events: Step[] = [];
  const journeys = new Map<number, Journey>();
  for (let row = 0; row < recorder.length; row++) {
    const step = readStep(recorder, row);
    if (step.packet === 0) {
      events.push(step);
      continue;
    }
    let journey = journeys.get(step.packet);
    if (journey === undefined) journeys.set(step.packet, (journey = new Journey(step)));
    journey.add(step);
  }
  for (const journey of journeys.values()) journeys.get(journey.parent)?.children.push(journey.id);
  const packets = [...journeys.values()].map((journey) => journey.end());
  return { packets, byId: new Map(packets.map((packet) => [packet.id, packet])), events };
}

function readStep({ rows, times, names }: Recorder, row: number): Step {
  const at = row * ROW;
  const kind = rows[at]!;
  const name = names.get(rows[at + 2]!);
  const where =
    name?.kind === "device"
      ? { namespace: name.namespace, device: name.device }
      : name?.kind === "namespace"
        ? { namespace: name.namespace, device: null }
        : null;
  return {
    kind: STEP_KINDS[kind]!.name,
    row,
    time: times[row]!,
    packet: rows[at + 1]!,
    where,
    ...readOperands(kind, rows, at + 3, names),
  } as unknown as Step;
}

interface OpenHop {
  readonly namespace: string;
  in: string | null;
  out: string | null;
  readonly steps: Step[];
}

/** A packet whose steps are still being read. */
class Journey {
  readonly id: number;
  readonly parent: number;
  readonly children: number[] = [];
  private readonly hops: OpenHop[] = [];
  private ending: Disposition | null = null;
  private last: Step;

  constructor(private readonly first: Step) {
    this.id = first.packet;
    this.parent = first.kind === "born" ? first.parent : 0;
    this.last = first;
  }

  add(step: Step): void {
    this.last = step;
    const { time, where } = step;
    const hop = this.hopOf(step);
    hop.steps.push(step);
    if (step.kind === "tx") hop.out = where?.device ?? null;
    else if (step.kind === "rx") hop.in ??= where?.device ?? null;
    else if (step.kind === "delivered") this.ending ??= { kind: "delivered", to: step.to, time, where };
    else if (step.kind === "consumed") this.ending ??= { kind: "consumed", by: step.by, time, where };
    else if (step.kind === "dropped") this.ending ??= { kind: "dropped", reason: step.reason, time, where };
  }

  /** What is received after it was sent has crossed a cable, be it to the same namespace. */
  private hopOf(step: Step): OpenHop {
    const current = this.hops[this.hops.length - 1];
    const namespace = step.where?.namespace ?? current?.namespace ?? "";
    if (current !== undefined && current.namespace === namespace && (step.kind !== "rx" || current.out === null))
      return current;
    const hop: OpenHop = { namespace, in: null, out: null, steps: [] };
    this.hops.push(hop);
    return hop;
  }

  end(): PacketTrace {
    const { id, first, last, parent, children, hops } = this;
    const origin = first.kind === "born" ? first.origin : "unknown";
    const disposition = this.ending ?? { kind: "queued", time: last.time, where: last.where };
    return { id, origin, parent, children, time: first.time, hops, disposition };
  }
}
