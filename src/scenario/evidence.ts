import type { Connection } from "../kernel/conntrack/connection.ts";
import type { Capture, CapturedFrame } from "../trace/capture.ts";
import { DROP_REASONS } from "../trace/reason.ts";
import { type Recorder, ROW } from "../trace/recorder.ts";
import { STEP, WORDS } from "../trace/step.ts";
import { formatIpv4 } from "../wire/address.ts";
import * as ipv4 from "../wire/ipv4.ts";
import { kindsOf, type PacketFacts, type PacketKind, readFacts } from "./packet-kind.ts";
import { type Fields, readFields, type Sight } from "./sight.ts";

/** A packet at a device. */
export interface Sighting extends Sight {
  readonly at: string;
  readonly direction: "in" | "out";
}

/** A rule or a policy that decided about a packet. */
export interface Decision {
  readonly packet: number;
  readonly row: number;
  readonly namespace: string;
  /** As `filter FORWARD policy` or `nat POSTROUTING 1`. */
  readonly name: string;
  readonly table: string;
  readonly chain: string;
  /** From 1, 0 for the policy. */
  readonly number: number;
  /** The rule's text; empty for the policy. */
  readonly text: string;
  readonly verdict: string;
}

/** How a packet ended. */
export interface Ending {
  readonly packet: number;
  readonly row: number;
  readonly kind: "delivered" | "consumed" | "dropped";
  readonly namespace: string;
  /** The device, or the namespace where there is none. */
  readonly at: string;
  /** The drop reason, the socket or what used it up. */
  readonly why: string;
  readonly decision: Decision | null;
}

/** A flow of one namespace. */
export interface Flow {
  readonly namespace: string;
  readonly connection: Connection;
}

/** All that a run left behind, in the words of expectations. */
export class Evidence {
  readonly sightings: readonly Sighting[];
  readonly decisions: Decision[] = [];
  readonly endings: Ending[] = [];
  /** What each packet was when it came to be. */
  readonly births = new Map<number, Sight>();
  private readonly lastDecision = new Map<number, Decision>();
  private readonly framesOf = new Map<number, Sighting[]>();

  constructor(
    private readonly recorder: Recorder,
    capture: Capture,
    readonly flows: readonly Flow[],
  ) {
    this.sightings = capture.frames.map((frame) => this.sighting(frame));
    for (const sighting of this.sightings) {
      const list = this.framesOf.get(sighting.packet);
      if (list === undefined) this.framesOf.set(sighting.packet, [sighting]);
      else list.push(sighting);
    }
    for (let row = 0; row < recorder.length; row++) this.read(row);
  }

  /** Where a packet was seen, in order. */
  seen(packet: number): readonly Sighting[] {
    return this.framesOf.get(packet) ?? [];
  }

  /** The packet as it was at a time: as last seen at a device, else as it came to be. */
  sightAt(packet: number, time: number): Sight | null {
    let last: Sight | null = this.births.get(packet) ?? null;
    for (const sighting of this.seen(packet)) if (sighting.time <= time) last = sighting;
    return last;
  }

  timeOf(row: number): number {
    return this.recorder.times[row]!;
  }

  endingOf(packet: number): Ending | null {
    return this.endings.find((ending) => ending.packet === packet) ?? null;
  }

  private place(number: number): { namespace: string; at: string } {
    const name = this.recorder.names.get(number);
    if (name?.kind === "device") return { namespace: name.namespace, at: `${name.namespace}/${name.device}` };
    return name?.kind === "namespace" ? { namespace: name.namespace, at: name.namespace } : { namespace: "", at: "" };
  }

  private sighting(frame: CapturedFrame): Sighting {
    const { bytes, packet, time, direction } = frame;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const kinds = kindsOf(readFacts(view, 0));
    return { packet, time, direction, at: this.place(frame.place).at, kinds, fields: readFields(view) };
  }

  private read(row: number): void {
    const { rows, names } = this.recorder;
    const at = row * ROW;
    const kind = rows[at]!;
    const packet = rows[at + 1]!;
    if (kind === STEP.rule || kind === STEP.policy) {
      const name = names.get(rows[at + 3]!);
      if (name?.kind !== "rule" && name?.kind !== "chain") return;
      const { namespace, table, chain } = name;
      const number = name.kind === "rule" ? name.number : 0;
      const text = name.kind === "rule" ? name.text : "";
      const verdict = WORDS.verdict[rows[at + 4]!] ?? "";
      const title = `${table} ${chain} ${number === 0 ? "policy" : number}`;
      const decision = { packet, row, namespace, name: title, table, chain, number, text, verdict };
      this.decisions.push(decision);
      this.lastDecision.set(packet, decision);
    } else if (kind === STEP.delivered || kind === STEP.consumed || kind === STEP.dropped) this.readEnding(row, packet);
    else if (kind === STEP.arp || kind === STEP.ipv4 || kind === STEP.transport) this.readBirth(row, packet);
  }

  private readEnding(row: number, packet: number): void {
    const { rows, names } = this.recorder;
    const at = row * ROW;
    const kind = rows[at] === STEP.delivered ? "delivered" : rows[at] === STEP.consumed ? "consumed" : "dropped";
    const word = names.get(rows[at + 3]!);
    const text = word?.kind === "text" ? word.text : "";
    const why = kind === "dropped" ? DROP_REASONS[rows[at + 3]!]! : text;
    const decision = this.lastDecision.get(packet) ?? null;
    this.endings.push({ packet, row, kind, ...this.place(rows[at + 2]!), why, decision });
  }

  /** The header steps of a birth; a transport step follows its ipv4 step. */
  private readBirth(row: number, packet: number): void {
    const { rows, times } = this.recorder;
    const [kind, , , a = 0, b = 0, c = 0, , e = 0] = rows.subarray(row * ROW, (row + 1) * ROW);
    const facts: PacketFacts = {
      protocol: -1,
      operation: 0,
      fragment: false,
      icmpType: -1,
      icmpCode: -1,
      tcpFlags: 0,
    };
    const fields: Fields = { ...this.births.get(packet)?.fields };
    if (kind === STEP.arp) {
      facts.operation = a;
      fields.source = formatIpv4(b);
      fields.destination = formatIpv4(c);
    } else if (kind === STEP.ipv4) {
      facts.protocol = c >>> 16;
      facts.fragment = (e & (ipv4.MORE_FRAGMENTS | ipv4.OFFSET_MASK)) !== 0;
      Object.assign(fields, { source: formatIpv4(a), destination: formatIpv4(b), ttl: (c >>> 8) & 255, tos: c & 255 });
    } else {
      const protocol = protocolOf(this.births.get(packet)?.kinds ?? []);
      Object.assign(facts, { protocol, icmpType: a >>> 24, icmpCode: (a >>> 16) & 255, tcpFlags: c });
      if (protocol === ipv4.PROTOCOL_ICMP) fields.id = b >>> 16;
      else Object.assign(fields, { source_port: a >>> 16, destination_port: a & 0xffff });
    }
    this.births.set(packet, { packet, time: times[row]!, kinds: kindsOf(facts), fields });
  }
}

function protocolOf(kinds: readonly PacketKind[]): number {
  if (kinds.includes("udp")) return ipv4.PROTOCOL_UDP;
  if (kinds.includes("icmp")) return ipv4.PROTOCOL_ICMP;
  return kinds.includes("tcp") ? ipv4.PROTOCOL_TCP : 0;
}
