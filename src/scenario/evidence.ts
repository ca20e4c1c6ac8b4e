import type { Connection } from "../kernel/conntrack/connection.ts";
import type { Capture, CapturedFrame } from "../trace/capture.ts";
import { Headers } from "../trace/headers.ts";
import { birthHeaders } from "../trace/packet-title.ts";
import type { Recorder } from "../trace/recorder.ts";
import { type PacketTrace, readTrace, type Step, type StepOf, type Trace, type Where } from "../trace/trace.ts";
import { factsOf, kindsOf, readFacts } from "./packet-kind.ts";
import { fieldsOf, readFields, type Sight } from "./sight.ts";

/** A packet at a device, as its bytes were. */
export interface Sighting extends Sight {
  readonly at: string;
  readonly direction: "in" | "out";
  readonly time: number;
}

/** A rule or a policy that decided about a packet. */
export interface Decision extends Sight {
  readonly namespace: string;
  readonly table: string;
  readonly chain: string;
  /** From 1, 0 for the policy. */
  readonly number: number;
  /** The rule's text; empty for the policy. */
  readonly text: string;
  readonly verdict: string;
}

/** How a packet ended. */
export interface Ending extends Sight {
  readonly kind: "delivered" | "consumed" | "dropped";
  readonly namespace: string;
  /** The device, or the namespace where there is none. */
  readonly at: string;
  /** The drop reason, the socket or what used it up. */
  readonly why: string;
  /** What decided last about the packet. */
  readonly decision: Decision | null;
}

/** A flow of one namespace. */
export interface Flow {
  readonly namespace: string;
  readonly connection: Connection;
}

/** All that a run left behind, in the words of expectations. */
export class Evidence {
  readonly trace: Trace;
  readonly sightings: readonly Sighting[];
  readonly decisions: Decision[] = [];
  readonly endings: Ending[] = [];
  /** What each packet was when it came to be. */
  readonly births: Sight[] = [];

  constructor(
    private readonly recorder: Recorder,
    capture: Capture,
    readonly flows: readonly Flow[],
  ) {
    this.trace = readTrace(recorder);
    this.sightings = capture.frames.map((frame) => this.sighting(frame));
    for (const packet of this.trace.packets) this.readPacket(packet);
  }

  private sighting(frame: CapturedFrame): Sighting {
    const { bytes, packet, time, direction } = frame;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const name = this.recorder.names.get(frame.place);
    const at = name?.kind === "device" ? `${name.namespace}/${name.device}` : "";
    return { packet, time, direction, at, kinds: kindsOf(readFacts(view)), fields: readFields(view) };
  }

  private readPacket(packet: PacketTrace): void {
    this.births.push(sightOf(packet.id, birthHeaders(packet)));
    const headers = new Headers();
    let last: Decision | null = null;
    for (const step of packet.hops.flatMap((hop) => hop.steps)) {
      headers.apply(step);
      if (step.kind === "rule" || step.kind === "policy") {
        last = decisionOf(step, headers);
        this.decisions.push(last);
      } else this.readEnding(step, headers, last);
    }
  }

  private readEnding(step: Step, headers: Headers, decision: Decision | null): void {
    const { kind, packet, where } = step;
    if (kind !== "delivered" && kind !== "consumed" && kind !== "dropped") return;
    const why = kind === "dropped" ? step.reason : kind === "delivered" ? step.to : step.by;
    const namespace = where?.namespace ?? "";
    this.endings.push({ ...sightOf(packet, headers), kind, namespace, at: nameOf(where), why, decision });
  }
}

const nameOf = (where: Where | null): string =>
  where === null ? "" : where.device === null ? where.namespace : `${where.namespace}/${where.device}`;

const sightOf = (packet: number, headers: Headers): Sight => ({
  packet,
  kinds: kindsOf(factsOf(headers)),
  fields: fieldsOf(headers),
});

function decisionOf(step: StepOf<"rule"> | StepOf<"policy">, headers: Headers): Decision {
  const { packet, where, verdict } = step;
  const rule = step.kind === "rule" ? step.rule : null;
  const chain = step.kind === "rule" ? step.rule : step.chain;
  return {
    ...sightOf(packet, headers),
    namespace: where?.namespace ?? "",
    table: chain?.table ?? "",
    chain: chain?.chain ?? "",
    number: rule?.number ?? 0,
    text: rule?.text ?? "",
    verdict,
  };
}
