/**
 * Where the bytes that are written and not sent yet are cut (`sk_write_queue`). What is in one piece leaves in one packet
 * as far as the windows allow; the first piece begins at SND.NXT. Positions are sequence numbers.
 */
export class WriteQueue {
  private first = 0;
  private last = 0;
  private mask = 7;
  private ends = new Int32Array(8);
  /** The program's write ended there (PSH). */
  private marks = new Uint8Array(8);

  get count(): number {
    return this.last - this.first;
  }

  /** Where the first piece ends. */
  get headEnd(): number {
    return this.ends[this.first & this.mask]!;
  }

  get headPushed(): boolean {
    return this.marks[this.first & this.mask] === 1;
  }

  /** Where the last piece begins. */
  tailStart(sndNxt: number): number {
    return this.count > 1 ? this.ends[(this.last - 2) & this.mask]! : sndNxt;
  }

  /** A new piece at the end, empty yet. */
  begin(at: number): void {
    if (this.count > this.mask) this.grow();
    this.ends[this.last & this.mask] = at;
    this.marks[this.last++ & this.mask] = 0;
  }

  /** The last piece reaches to `end`. */
  extend(end: number): void {
    this.ends[(this.last - 1) & this.mask] = end;
  }

  /** `tcp_mark_push()` of the last piece, or that it no longer ends a write. */
  mark(pushed: boolean): void {
    if (this.count > 0) this.marks[(this.last - 1) & this.mask] = pushed ? 1 : 0;
  }

  /** The first piece is sent. */
  shift(): void {
    this.first++;
  }

  private grow(): void {
    const size = (this.mask + 1) * 2;
    const ends = new Int32Array(size);
    const marks = new Uint8Array(size);
    for (let i = this.first; i < this.last; i++) {
      ends[i & (size - 1)] = this.ends[i & this.mask]!;
      marks[i & (size - 1)] = this.marks[i & this.mask]!;
    }
    this.ends = ends;
    this.marks = marks;
    this.mask = size - 1;
  }
}
