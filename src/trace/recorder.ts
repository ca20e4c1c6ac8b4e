import type { Scheduler } from "../sim/scheduler.ts";
import * as arp from "../wire/arp.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as tcp from "../wire/tcp.ts";
import { Names } from "./names.ts";
import { STEP } from "./step.ts";

/** Integers of a row: kind, packet, place and five operands. */
export const ROW = 8;

/**
 * The write side of the trace: rows of integers, nothing allocated per step. A site is one line,
 * `if (trace !== null) trace.step(...)`.
 */
export class Recorder {
  readonly names: Names;
  rows = new Int32Array(ROW * 4096);
  /** Virtual nanoseconds, one a row. */
  times = new Float64Array(4096);
  length = 0;

  constructor(
    private readonly scheduler: Scheduler,
    names: Names = new Names(),
  ) {
    this.names = names;
  }

  step(kind: number, packet: number, place: number, a = 0, b = 0, c = 0, d = 0, e = 0): void {
    const row = this.length;
    if (row === this.times.length) this.grow();
    const rows = this.rows;
    const at = row * ROW;
    rows[at] = kind;
    rows[at + 1] = packet;
    rows[at + 2] = place;
    rows[at + 3] = a;
    rows[at + 4] = b;
    rows[at + 5] = c;
    rows[at + 6] = d;
    rows[at + 7] = e;
    this.times[row] = this.scheduler.now;
    this.length = row + 1;
  }

  /** Says what a new packet looks like: `at` is the offset of the Ethernet header, `end` that behind the last byte. */
  headers(packet: number, place: number, view: DataView, at: number, end: number): void {
    const type = ethernet.etherType(view, at);
    this.step(
      STEP.ethernet,
      packet,
      place,
      ethernet.destinationHigh(view, at),
      ethernet.destinationLow(view, at),
      ethernet.sourceHigh(view, at),
      ethernet.sourceLow(view, at),
      type,
    );
    const network = at + ethernet.ETHERNET_HEADER;
    if (type === ethernet.ETHERTYPE_ARP && end - network >= arp.ARP_LENGTH) {
      this.step(
        STEP.arp,
        packet,
        place,
        arp.operation(view, network),
        arp.senderAddress(view, network),
        arp.targetAddress(view, network),
        arp.senderHigh(view, network),
        arp.senderLow(view, network),
      );
    } else if (type === ethernet.ETHERTYPE_IPV4 && end - network >= ipv4.IPV4_HEADER) {
      this.ipv4(packet, place, view, network, end);
    }
  }

  /** The IPv4 part of {@link headers}; `at` is the offset of the IPv4 header. */
  ipv4(packet: number, place: number, view: DataView, at: number, end: number): void {
    this.step(
      STEP.ipv4,
      packet,
      place,
      ipv4.source(view, at),
      ipv4.destination(view, at),
      (ipv4.protocol(view, at) << 16) | (ipv4.ttl(view, at) << 8) | ipv4.tos(view, at),
      (ipv4.totalLength(view, at) << 16) | ipv4.identification(view, at),
      ipv4.fragmentWord(view, at),
    );
    const transport = at + ipv4.headerLength(view, at);
    if (ipv4.fragmentOffset(view, at) !== 0 || end - transport < 8) return;
    const flags =
      ipv4.protocol(view, at) === ipv4.PROTOCOL_TCP && end - transport >= 14 ? tcp.flags(view, transport) : 0;
    this.step(STEP.transport, packet, place, view.getInt32(transport), view.getInt32(transport + 4), flags);
  }

  clear(): void {
    this.length = 0;
  }

  private grow(): void {
    const rows = new Int32Array(this.rows.length * 2);
    rows.set(this.rows);
    this.rows = rows;
    const times = new Float64Array(this.times.length * 2);
    times.set(this.times);
    this.times = times;
  }
}
