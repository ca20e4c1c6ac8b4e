import { Ring } from "./ring.ts";
import { after, before } from "./sequence.ts";

/** SACK blocks that fit into a segment without other options. */
const BLOCKS = 4;

/**
 * What arrived and the program has not read: bytes in order up to `next`, and behind it stretches that came early. Early
 * bytes lie in the ring already, at their place.
 */
export class ReceiveQueue {
  readonly data: Ring;
  /** RCV.NXT without a FIN: the first byte still missing. */
  next: number;
  /** Stretches that came early, in order of sequence: left and right edge each. */
  private early: number[] = [];
  /** The left edges of the stretches that changed last, newest first (RFC 2018, 4). */
  private recent: number[] = [];
  /** A stretch that arrived twice (RFC 2883); equal edges for none. */
  duplicateLeft = 0;
  duplicateRight = 0;

  /** A FIN came early, at this sequence number. */
  fin = false;
  finAt = 0;

  constructor(start: number) {
    this.data = new Ring(start);
    this.next = start;
  }

  /** Bytes that the program can read. */
  get readable(): number {
    return (this.next - this.data.start) | 0;
  }

  /** Bytes that came early. */
  get earlyBytes(): number {
    let bytes = 0;
    for (let i = 0; i < this.early.length; i += 2) bytes += (this.early[i + 1]! - this.early[i]!) | 0;
    return bytes;
  }

  get hasEarly(): boolean {
    return this.early.length > 0;
  }

  /** Takes `length` bytes that begin at or before `next` and end behind it. */
  append(sequence: number, bytes: Uint8Array, at: number, length: number): void {
    const skip = (this.next - sequence) | 0;
    this.data.put(this.next, bytes, at + skip, length - skip);
    this.next = (sequence + length) | 0;
  }

  /** Takes bytes that begin behind `next` (`tcp_data_queue_ofo()`). */
  insert(sequence: number, bytes: Uint8Array, at: number, length: number): void {
    const { early } = this;
    let left = sequence;
    let right = (sequence + length) | 0;
    let i = 0;
    while (i < early.length && before(early[i + 1]!, left)) i += 2;
    if (i < early.length && !before(left, early[i]!) && !after(right, early[i + 1]!)) {
      this.duplicateLeft = left;
      this.duplicateRight = right;
      this.touch(early[i]!);
      return;
    }
    this.data.put(sequence, bytes, at, length);
    let merged = 0;
    while (i + merged < early.length && !after(early[i + merged]!, right)) {
      if (before(early[i + merged]!, left)) left = early[i + merged]!;
      if (after(early[i + merged + 1]!, right)) right = early[i + merged + 1]!;
      this.forget(early[i + merged]!);
      merged += 2;
    }
    early.splice(i, merged, left, right);
    this.touch(left);
  }

  /** Moves `next` over what came early and is in order now (`tcp_ofo_queue()`). */
  catchUp(): void {
    const { early } = this;
    while (early.length > 0 && !after(early[0]!, this.next)) {
      if (after(early[1]!, this.next)) this.next = early[1]!;
      this.forget(early[0]!);
      early.splice(0, 2);
    }
  }

  /** Nothing behind a FIN counts. */
  dropEarly(): void {
    this.early = [];
    this.recent = [];
  }

  /** Writes the blocks to report, at most `room`, into `blocks`; how many. The duplicate, if any, stands first. */
  blocks(blocks: Int32Array, room: number): number {
    let count = 0;
    if (this.duplicateLeft !== this.duplicateRight) {
      blocks[0] = this.duplicateLeft;
      blocks[1] = this.duplicateRight;
      count = 1;
      this.duplicateLeft = this.duplicateRight;
    }
    for (const left of this.recent) {
      if (count === room) break;
      const i = this.early.indexOf(left);
      blocks[count * 2] = left;
      blocks[count * 2 + 1] = this.early[i + 1]!;
      count++;
    }
    return count;
  }

  /** How many blocks there are to report. */
  get blockCount(): number {
    return this.recent.length + (this.duplicateLeft !== this.duplicateRight ? 1 : 0);
  }

  private touch(left: number): void {
    this.forget(left);
    this.recent.unshift(left);
    // Stretches that fell out of the list come back when they change.
    if (this.recent.length > BLOCKS) this.recent.pop();
  }

  private forget(left: number): void {
    const i = this.recent.indexOf(left);
    if (i >= 0) this.recent.splice(i, 1);
  }
}
