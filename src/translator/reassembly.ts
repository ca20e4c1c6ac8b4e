import type { Fabric } from "../link/fabric.ts";
import { FRAME, NETWORK, type Packet } from "../packet/packet.ts";
import type { Timer } from "../sim/scheduler.ts";
import type { DropReason } from "../trace/reason.ts";
import { STEP } from "../trace/step.ts";
import * as ipv4 from "../wire/ipv4.ts";

/** RFC 791, 3.2: how long the first fragment waits for the rest, nanoseconds. */
const PATIENCE = 30e9;
/** Datagrams that may wait at once. */
const MOST = 64;

/** A datagram of which some fragments are here, ordered by their offset. */
interface Incomplete {
  readonly parts: Packet[];
  readonly since: number;
}

/** Puts the fragments of one guest together, RFC 791, 3.2. An overlap is never resolved: the fragment that makes it goes. */
export class GuestReassembly {
  private waiting: Incomplete[] = [];
  private readonly timer: Timer;

  constructor(
    private readonly fabric: Fabric,
    private readonly place: number,
  ) {
    this.timer = fabric.scheduler.timer(() => this.expire(), true);
  }

  /** The whole datagram once its last piece is here, else null. Takes ownership. */
  add(packet: Packet): Packet | null {
    const from = offset(packet);
    if (end(packet) > 65_535 - ipv4.IPV4_HEADER || end(packet) === from) {
      this.fabric.drop(packet, this.place, "IP_INHDR");
      return null;
    }
    const datagram = this.datagramOf(packet);
    const { parts } = datagram;
    const later = parts.findIndex((part) => offset(part) >= from);
    const slot = later < 0 ? parts.length : later;
    const before = parts[slot - 1];
    const after = parts[slot];
    if ((before !== undefined && end(before) > from) || (after !== undefined && end(packet) > offset(after))) {
      this.fabric.drop(packet, this.place, "DUP_FRAG");
      return null;
    }
    parts.splice(slot, 0, packet);
    return isWhole(parts) ? this.join(datagram) : null;
  }

  private datagramOf(packet: Packet): Incomplete {
    const known = this.waiting.find(({ parts }) => isSame(parts[0]!, packet));
    if (known !== undefined) return known;
    if (this.waiting.length === MOST) this.abandon(this.waiting.shift()!, "FRAG_TOO_FAR");
    const datagram = { parts: [], since: this.fabric.scheduler.now };
    this.waiting.push(datagram);
    if (!this.timer.armed) this.timer.armIn(PATIENCE);
    return datagram;
  }

  private join(datagram: Incomplete): Packet | null {
    const { parts } = datagram;
    this.waiting.splice(this.waiting.indexOf(datagram), 1);
    const first = parts[0]!;
    const last = parts[parts.length - 1]!;
    const header = ipv4.headerLength(first.view, NETWORK);
    const length = header + end(last);
    if (length > 65_535) {
      this.abandon(datagram, "IP_INHDR");
      return null;
    }
    const whole = this.fabric.generate(NETWORK - FRAME + length, last.id);
    whole.bytes.set(first.bytes.subarray(FRAME, NETWORK + header), FRAME);
    for (const part of parts) {
      const data = NETWORK + ipv4.headerLength(part.view, NETWORK);
      whole.bytes.set(part.bytes.subarray(data, part.end), NETWORK + header + offset(part));
      this.fabric.consume(part, this.place, "reassembly");
    }
    whole.view.setUint16(NETWORK + 2, length);
    whole.view.setUint16(NETWORK + 6, 0);
    ipv4.setChecksum(whole.view, NETWORK);
    const { trace } = this.fabric;
    if (trace !== null) {
      trace.step(STEP.born, whole.id, this.place, 1, whole.parent);
      trace.headers(whole.id, this.place, whole.view, FRAME, whole.end);
      trace.step(STEP.reassemble, whole.id, this.place, length);
    }
    return whole;
  }

  private expire(): void {
    const { now } = this.fabric.scheduler;
    while (this.waiting.length > 0 && this.waiting[0]!.since + PATIENCE <= now)
      this.abandon(this.waiting.shift()!, "FRAG_REASM_TIMEOUT");
    if (this.waiting.length > 0) this.timer.arm(this.waiting[0]!.since + PATIENCE);
  }

  private abandon({ parts }: Incomplete, reason: DropReason): void {
    for (const part of parts) this.fabric.drop(part, this.place, reason);
  }
}

const offset = ({ view }: Packet): number => ipv4.fragmentOffset(view, NETWORK);
/** The offset behind its last byte. */
const end = (part: Packet): number => offset(part) + part.end - NETWORK - ipv4.headerLength(part.view, NETWORK);

function isSame({ view: a }: Packet, { view: b }: Packet): boolean {
  return (
    ipv4.identification(a, NETWORK) === ipv4.identification(b, NETWORK) &&
    ipv4.source(a, NETWORK) === ipv4.source(b, NETWORK) &&
    ipv4.destination(a, NETWORK) === ipv4.destination(b, NETWORK) &&
    ipv4.protocol(a, NETWORK) === ipv4.protocol(b, NETWORK)
  );
}

function isWhole(parts: readonly Packet[]): boolean {
  let next = 0;
  for (const part of parts) {
    if (offset(part) !== next) return false;
    next = end(part);
  }
  return (ipv4.fragmentWord(parts[parts.length - 1]!.view, NETWORK) & ipv4.MORE_FRAGMENTS) === 0;
}
