import { FRAME, type Packet } from "../packet/packet.ts";
import { Pool } from "../packet/pool.ts";
import { Random } from "../sim/random.ts";
import { Scheduler } from "../sim/scheduler.ts";
import type { Capture } from "../trace/capture.ts";
import { Names } from "../trace/names.ts";
import { DROP_REASONS, type DropReason, reasonNumber } from "../trace/reason.ts";
import { Recorder } from "../trace/recorder.ts";
import type { CallListener } from "../trace/socket-call.ts";
import { STEP } from "../trace/step.ts";

/**
 * What every device and namespace of one world shares: the clock, chance, the buffers, the trace, and the books on how
 * each packet begins and ends. injected + generated + cloned = delivered + consumed + dropped + held.
 */
export class Fabric {
  readonly scheduler = new Scheduler();
  readonly random: Random;
  readonly pool = new Pool();
  readonly names = new Names();
  /** Null while nobody asked for a trace. */
  trace: Recorder | null = null;
  /** Null while nobody asked for frame bytes. */
  capture: Capture | null = null;
  /** Null while nobody asked what programs do with their sockets. */
  onCall: CallListener | null = null;
  /** Packets by how they began and ended. */
  readonly books = { injected: 0, generated: 0, cloned: 0, delivered: 0, consumed: 0, dropped: 0 };
  /** Dropped packets by reason, in the order of `DROP_REASONS`. */
  readonly drops = new Float64Array(DROP_REASONS.length);
  /** What is generated for no packet in particular is on behalf of this one; 0 for none. */
  cause = 0;
  private lastDevice = 0;

  constructor(seed = 1) {
    this.random = new Random(seed);
  }

  /** Turns the trace on. */
  record(): Recorder {
    this.trace ??= new Recorder(this.scheduler, this.names);
    return this.trace;
  }

  nextDeviceIndex(): number {
    return ++this.lastDevice;
  }

  /** A frame from outside the world; the bytes are copied. `place` is where it enters. */
  inject(frame: Uint8Array, place: number): Packet {
    const packet = this.pool.take(frame.length);
    packet.bytes.set(frame, FRAME);
    this.books.injected++;
    const trace = this.trace;
    if (trace !== null) {
      trace.step(STEP.born, packet.id, place, 0, 0);
      trace.headers(packet.id, place, packet.view, FRAME, packet.end);
    }
    return packet;
  }

  /** An empty packet whose frame has `length` bytes; `parent` is the id of what it answers, or 0. */
  generate(length: number, parent: number): Packet {
    const packet = this.pool.take(length);
    packet.parent = parent || this.cause;
    this.books.generated++;
    return packet;
  }

  /** Borrows `from`. */
  clone(from: Packet, place: number): Packet {
    const packet = this.pool.clone(from);
    this.books.cloned++;
    const trace = this.trace;
    if (trace !== null) {
      trace.step(STEP.born, packet.id, place, 2, from.id);
      trace.headers(packet.id, place, packet.view, FRAME, packet.end);
    }
    return packet;
  }

  /** `kfree_skb_reason()`. Takes ownership. */
  drop(packet: Packet, place: number, reason: DropReason): void {
    const number = reasonNumber(reason);
    this.drops[number]!++;
    this.books.dropped++;
    if (this.trace !== null) this.trace.step(STEP.dropped, packet.id, place, number);
    this.pool.release(packet);
  }

  /** `consume_skb()`: it did its work inside the kernel. Takes ownership. */
  consume(packet: Packet, place: number, by: string): void {
    this.books.consumed++;
    if (this.trace !== null) this.trace.step(STEP.consumed, packet.id, place, this.names.text(by));
    this.pool.release(packet);
  }

  /** It reached a socket. Takes ownership. */
  deliver(packet: Packet, place: number, to: string): void {
    this.books.delivered++;
    if (this.trace !== null) this.trace.step(STEP.delivered, packet.id, place, this.names.text(to));
    this.pool.release(packet);
  }
}
