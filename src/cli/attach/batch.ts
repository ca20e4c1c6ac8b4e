import type { Socket } from "node:net";

/** Bytes of one buffer. */
export const BATCH = 1 << 16;
/** Buffers that are kept for the next writes. */
const MOST_FREE = 256;
const free: Buffer[] = [];

/**
 * What one turn writes to a socket goes to the kernel together, in buffers that are used again once it has them: buffers
 * by the thousand would keep the garbage collector busy.
 */
export class BatchWriter {
  buffer = take();
  view = viewOf(this.buffer);
  /** Bytes of the buffer that are written. */
  held = 0;
  /** Bytes that the kernel has not taken. */
  waiting = 0;
  private scheduled = false;

  constructor(
    private readonly socket: Socket,
    /** The kernel has taken some. */
    private readonly taken: () => void = () => {},
    /** The turn's bytes are on their way. */
    private readonly flushed: () => void = () => {},
  ) {}

  /** Makes room for `length` bytes, at most {@link BATCH}, at `held`. */
  reserve(length: number): void {
    if (this.held + length > BATCH) this.flush();
    this.schedule();
  }

  advance(length: number): void {
    this.held += length;
    this.waiting += length;
  }

  /** Flushes at the end of this turn. */
  schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    process.nextTick(this.turnEnds);
  }

  private readonly turnEnds = (): void => {
    this.scheduled = false;
    this.flush();
    this.flushed();
  };

  private flush(): void {
    const { buffer, held } = this;
    if (held === 0) return;
    this.held = 0;
    this.buffer = take();
    this.view = viewOf(this.buffer);
    this.socket.write(held === BATCH ? buffer : buffer.subarray(0, held), () => {
      this.waiting -= held;
      if (free.length < MOST_FREE) free.push(buffer);
      this.taken();
    });
  }
}

const viewOf = (buffer: Buffer): DataView => new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
const take = (): Buffer => free.pop() ?? Buffer.allocUnsafeSlow(BATCH);
