/** A stretch of a byte stream, addressed by sequence number. It grows as needed and never shrinks until it is freed. */
export class Ring {
  private bytes: Uint8Array;
  private mask: number;
  /** Sequence number of the first byte. */
  start: number;
  /** Sequence number behind the last byte. */
  end: number;
  /** Where `start` is in the buffer. */
  private head = 0;

  constructor(start: number, capacity = 4096) {
    this.bytes = new Uint8Array(capacity);
    this.mask = capacity - 1;
    this.start = this.end = start;
  }

  get length(): number {
    return (this.end - this.start) | 0;
  }

  /** Appends `length` bytes of `from` at `at`. */
  append(from: Uint8Array, at: number, length: number): void {
    this.put(this.end, from, at, length);
  }

  /** Stores bytes at a sequence number from `start` on, and moves the end behind them if need be. */
  put(sequence: number, from: Uint8Array, at: number, length: number): void {
    const offset = (sequence - this.start) | 0;
    if (offset + length > this.bytes.length) this.grow(offset + length);
    const place = (this.head + offset) & this.mask;
    const first = Math.min(length, this.bytes.length - place);
    copy(from, at, this.bytes, place, first);
    if (first < length) copy(from, at + first, this.bytes, 0, length - first);
    const end = (sequence + length) | 0;
    if (((end - this.end) | 0) > 0) this.end = end;
  }

  /** Copies `length` bytes from a sequence number on to `to` at `at`. */
  copyTo(sequence: number, length: number, to: Uint8Array, at: number): void {
    const place = (this.head + ((sequence - this.start) | 0)) & this.mask;
    const first = Math.min(length, this.bytes.length - place);
    copy(this.bytes, place, to, at, first);
    if (first < length) copy(this.bytes, 0, to, at + first, length - first);
  }

  /** A view of at most `length` bytes at the start, up to where the buffer wraps. It is valid until the next change. */
  peek(length: number): Uint8Array {
    return this.bytes.subarray(this.head, this.head + Math.min(length, this.bytes.length - this.head));
  }

  /** Forgets everything before `sequence`. */
  advance(sequence: number): void {
    const count = (sequence - this.start) | 0;
    this.head = (this.head + count) & this.mask;
    this.start = sequence;
    if (((sequence - this.end) | 0) > 0) this.end = sequence;
  }

  free(): void {
    this.start = this.end;
    this.head = 0;
    this.bytes = EMPTY;
    this.mask = 0;
  }

  private grow(needed: number): void {
    let capacity = Math.max(this.bytes.length, 2048);
    while (capacity < needed) capacity *= 2;
    const bytes = new Uint8Array(capacity);
    const held = this.length;
    if (held > 0) this.copyTo(this.start, held, bytes, 0);
    this.bytes = bytes;
    this.mask = capacity - 1;
    this.head = 0;
  }
}

const EMPTY = new Uint8Array(0);
/** Below this many bytes a loop is faster than a subarray. */
const SHORT = 64;

/** Copies bytes between arrays. */
export function copy(from: Uint8Array, at: number, to: Uint8Array, place: number, length: number): void {
  if (length > SHORT) to.set(at === 0 && length === from.length ? from : from.subarray(at, at + length), place);
  else for (let i = 0; i < length; i++) to[place + i] = from[at + i]!;
}
