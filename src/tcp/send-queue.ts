import { Ring } from "./ring.ts";
import { after } from "./sequence.ts";

/** What is known of a segment that was sent and not acknowledged. */
export const SACKED = 1;
export const LOST = 2;
/** Sent again, and that copy still counts as under way. */
export const RETRANSMITTED = 4;
/** Was ever sent again: its round trip says nothing (Karn). */
export const EVER_RETRANSMITTED = 8;
export const HAS_SYN = 16;
export const HAS_FIN = 32;
export const PUSHED = 64;
/** Left in one packet with the segment before it. */
export const CONTINUES = 128;

/**
 * What the program wrote and the peer has not acknowledged (`sk_write_queue`, `tcp_rtx_queue`): its bytes, and the
 * segments they left in. Segments are numbered from 0 on; those in [first, last) are outstanding. A table of typed arrays
 * holds them, so that sending allocates nothing.
 */
export class SendQueue {
  readonly data: Ring;
  first = 0;
  last = 0;
  private mask = 63;
  private starts = new Int32Array(64);
  private ends = new Int32Array(64);
  private stamps = new Float64Array(64);
  private marks = new Uint8Array(64);

  /** `start` is the sequence number of the first byte of data. */
  constructor(start: number) {
    this.data = new Ring(start);
  }

  get count(): number {
    return this.last - this.first;
  }

  start(segment: number): number {
    return this.starts[segment & this.mask]!;
  }

  end(segment: number): number {
    return this.ends[segment & this.mask]!;
  }

  /** When it was sent last, virtual nanoseconds. */
  sentAt(segment: number): number {
    return this.stamps[segment & this.mask]!;
  }

  flags(segment: number): number {
    return this.marks[segment & this.mask]!;
  }

  setFlags(segment: number, flags: number): void {
    this.marks[segment & this.mask] = flags;
  }

  setSentAt(segment: number, now: number): void {
    this.stamps[segment & this.mask] = now;
  }

  /** A segment leaves for the first time. */
  push(start: number, end: number, flags: number, now: number): void {
    if (this.count > this.mask) this.grow();
    const slot = this.last++ & this.mask;
    this.starts[slot] = start;
    this.ends[slot] = end;
    this.stamps[slot] = now;
    this.marks[slot] = flags;
  }

  /** Splits a segment in two at a sequence number inside it; those behind it get the next number (`tcp_fragment()`). */
  split(segment: number, at: number): void {
    const { mask } = this;
    if (this.count > mask) this.grow();
    for (let i = this.last; i > segment; i--) this.copySlot(i - 1, i);
    this.last++;
    const head = segment & this.mask;
    const tail = (segment + 1) & this.mask;
    this.ends[head] = at;
    this.starts[tail] = at;
    this.marks[head] = this.marks[head]! & ~(HAS_FIN | PUSHED);
    this.marks[tail] = this.marks[tail]! & ~(HAS_SYN | CONTINUES);
  }

  /** Cuts packets whose segments are longer than `size` anew, and marks them lost (`tcp_simple_retransmit()`). */
  recut(size: number): void {
    const old = { first: this.first, last: this.last, starts: this.starts, ends: this.ends, marks: this.marks };
    const { mask, stamps } = this;
    const mark = (i: number) => old.marks[i & mask]!;
    this.starts = new Int32Array(mask + 1);
    this.ends = new Int32Array(mask + 1);
    this.marks = new Uint8Array(mask + 1);
    this.stamps = new Float64Array(mask + 1);
    this.last = this.first;
    for (let i = old.first, next = i; i < old.last; i = next) {
      const start = old.starts[i & mask]!;
      const length = ((old.ends[i & mask]! - start) | 0) - (mark(i) & HAS_FIN ? 1 : 0);
      const tooLong = length > size && (mark(i) & SACKED) === 0;
      next = i + 1;
      while (tooLong && next < old.last && mark(next) & CONTINUES && !(mark(next) & SACKED)) next++;
      const end = old.ends[(next - 1) & mask]!;
      const ending = mark(next - 1) & (PUSHED | HAS_FIN);
      const flags = tooLong ? (mark(i) & EVER_RETRANSMITTED) | LOST : mark(i) & ~(PUSHED | HAS_FIN);
      const dataEnd = ending & HAS_FIN ? (end - 1) | 0 : end;
      const stamp = stamps[i & mask]!;
      let at = start;
      for (; tooLong && ((dataEnd - at) | 0) > size; at = (at + size) | 0)
        this.push(at, (at + size) | 0, at === start ? flags : flags | CONTINUES, stamp);
      this.push(at, end, (at === start ? flags : flags | CONTINUES) | ending, stamp);
    }
  }

  /** The bytes before `sequence` were acknowledged: the first segment begins there. */
  trim(sequence: number): void {
    this.starts[this.first & this.mask] = sequence;
  }

  /** Forgets bytes that were acknowledged. */
  acknowledge(sequence: number): void {
    if (after(sequence, this.data.end)) this.data.advance(this.data.end);
    else if (after(sequence, this.data.start)) this.data.advance(sequence);
  }

  clear(): void {
    this.first = this.last;
    this.data.free();
  }

  private copySlot(from: number, to: number): void {
    const a = from & this.mask;
    const b = to & this.mask;
    this.starts[b] = this.starts[a]!;
    this.ends[b] = this.ends[a]!;
    this.stamps[b] = this.stamps[a]!;
    this.marks[b] = this.marks[a]!;
  }

  private grow(): void {
    const size = (this.mask + 1) * 2;
    const starts = new Int32Array(size);
    const ends = new Int32Array(size);
    const stamps = new Float64Array(size);
    const marks = new Uint8Array(size);
    for (let i = this.first; i < this.last; i++) {
      const [from, to] = [i & this.mask, i & (size - 1)];
      starts[to] = this.starts[from]!;
      ends[to] = this.ends[from]!;
      stamps[to] = this.stamps[from]!;
      marks[to] = this.marks[from]!;
    }
    this.starts = starts;
    this.ends = ends;
    this.stamps = stamps;
    this.marks = marks;
    this.mask = size - 1;
  }
}
