import { FRAME, NETWORK, type Packet } from "../packet/packet.ts";
import type { Scheduler } from "../sim/scheduler.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";

const KIB = 1024;
const DNS = 53;
const NTP = 123;
const HTTP_PROXY = [3128, 3129];

/** Names, sizes and snap lengths in bytes of vpnkit's rings, `slirp.ml` and `capture.ml`. */
export const RINGS = {
  all: { size: 256 * KIB, snap: 128 },
  dns: { size: 256 * KIB, snap: 1500 },
  ntp: { size: 64 * KIB, snap: 1500 },
  icmp: { size: 8 * KIB, snap: 1500 },
  http_proxy: { size: 1024 * KIB, snap: 1500 },
  bad: { size: 1024 * KIB, snap: 1500 },
} as const;

export type RingName = keyof typeof RINGS;

/** A captured frame, perhaps cut. */
export interface RingFrame {
  /** Virtual nanoseconds. */
  readonly time: number;
  /** Before it was cut, bytes. */
  readonly length: number;
  readonly bytes: Uint8Array;
}

const TIME = 8;
/** Time, length and captured length stand before each frame. */
const HEADER = TIME + 8;

/** The latest frames that fit `size` bytes. Nothing is allocated for a frame. */
export class CaptureRing {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  /** Offsets that only grow; their remainder is the place. */
  private head = 0;
  private tail = 0;

  constructor(
    readonly size: number,
    private readonly snap: number,
  ) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }

  add(time: number, { bytes, end }: Packet): void {
    const length = end - FRAME;
    const kept = Math.min(length, this.snap);
    const needed = HEADER + ((kept + 7) & ~7);
    // A frame that would reach over the end of the buffer starts anew at its beginning, behind a gap.
    const at = this.tail % this.size;
    const gap = at + needed > this.size ? this.size - at : 0;
    while (this.tail + gap + needed - this.head > this.size) this.forget();
    if (gap > 0) {
      if (gap >= HEADER) this.view.setUint32(at + TIME + 4, 0xffffffff);
      this.tail += gap;
    }
    const start = this.tail % this.size;
    this.view.setFloat64(start, time);
    this.view.setUint32(start + TIME, length);
    this.view.setUint32(start + TIME + 4, kept);
    this.bytes.set(bytes.subarray(FRAME, FRAME + kept), start + HEADER);
    this.tail += needed;
  }

  private forget(): void {
    const at = this.head % this.size;
    if (this.size - at < HEADER) this.head += this.size - at;
    else {
      const kept = this.view.getUint32(at + TIME + 4);
      this.head += kept === 0xffffffff ? this.size - at : HEADER + ((kept + 7) & ~7);
    }
  }

  /** From the oldest on. */
  *frames(): Iterable<RingFrame> {
    let head = this.head;
    while (head < this.tail) {
      const at = head % this.size;
      const kept = this.size - at < HEADER ? 0xffffffff : this.view.getUint32(at + TIME + 4);
      if (kept === 0xffffffff) {
        head += this.size - at;
        continue;
      }
      const bytes = this.bytes.slice(at + HEADER, at + HEADER + kept);
      yield { time: this.view.getFloat64(at), length: this.view.getUint32(at + TIME), bytes };
      head += HEADER + ((kept + 7) & ~7);
    }
  }
}

/** What vpnkit keeps for its diagnostics: the latest frames of all guests, by what they are. */
export class CaptureRings {
  private readonly rings = Object.fromEntries(
    Object.entries(RINGS).map(([name, { size, snap }]) => [name, new CaptureRing(size, snap)]),
  ) as Readonly<Record<RingName, CaptureRing>>;

  constructor(private readonly scheduler: Scheduler) {}

  frames(ring: RingName): Iterable<RingFrame> {
    return this.rings[ring].frames();
  }

  /** Borrows. */
  record(packet: Packet): void {
    const { now } = this.scheduler;
    this.rings.all.add(now, packet);
    const kind = kindOf(packet);
    if (kind !== null) this.rings[kind].add(now, packet);
  }

  /** A frame that the translator could not use. Borrows. */
  recordBad(packet: Packet): void {
    this.rings.bad.add(this.scheduler.now, packet);
  }
}

function kindOf({ view, end }: Packet): RingName | null {
  if (end < NETWORK + ipv4.IPV4_HEADER || ethernet.etherType(view, FRAME) !== ethernet.ETHERTYPE_IPV4) return null;
  const protocol = ipv4.protocol(view, NETWORK);
  if (protocol === ipv4.PROTOCOL_ICMP) return "icmp";
  if (protocol !== ipv4.PROTOCOL_TCP && protocol !== ipv4.PROTOCOL_UDP) return null;
  const at = NETWORK + ipv4.headerLength(view, NETWORK);
  if (at + 4 > end) return null;
  const source = view.getUint16(at);
  const destination = view.getUint16(at + 2);
  if (source === DNS || destination === DNS) return "dns";
  if (protocol === ipv4.PROTOCOL_UDP) return source === NTP || destination === NTP ? "ntp" : null;
  return HTTP_PROXY.includes(source) || HTTP_PROXY.includes(destination) ? "http_proxy" : null;
}
