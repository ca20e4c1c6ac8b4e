import type { HostStream, HostStreamEvents } from "./host-sockets.ts";

/** Most that is read at once, bytes. */
const CHUNK = 65_536;

/** One direction: what `from` says, `to` gets. */
class Half {
  /** Read, and more than the other side could take. */
  private rest: Uint8Array = EMPTY;
  ended = false;

  move(from: HostStream, to: HostStream, cause: number): void {
    if (this.ended) return;
    for (;;) {
      if (this.rest.length === 0) {
        const bytes = from.read(CHUNK);
        if (bytes === null) break;
        if (bytes.length === 0) return;
        this.rest = bytes;
      }
      const taken = to.write(this.rest, cause);
      const whole = taken === this.rest.length;
      this.rest = whole ? EMPTY : this.rest.subarray(taken);
      if (!whole) return;
    }
    this.ended = true;
    to.end(cause);
  }
}

/** Two streams of which each says what the other hears; ends, resets and standstills pass through. */
export class StreamPair {
  /** Null until it is being opened. */
  second: HostStream | null = null;
  private connected = false;
  private readonly there = new Half();
  private readonly back = new Half();
  private over = false;

  constructor(readonly first: HostStream) {}

  readonly firstEvents: HostStreamEvents = {
    connected: () => {},
    failed: (_failure, cause) => this.breakOff(this.second, cause),
    readable: (cause) => this.move(cause),
    writable: (cause) => this.move(cause),
    closed: (errno, cause) => {
      if (errno !== null) this.breakOff(this.second, cause);
    },
  };

  readonly secondEvents: HostStreamEvents = {
    connected: (cause) => {
      this.connected = true;
      this.move(cause);
    },
    failed: (_failure, cause) => this.breakOff(this.first, cause),
    readable: (cause) => this.move(cause),
    writable: (cause) => this.move(cause),
    closed: (errno, cause) => {
      if (errno !== null) this.breakOff(this.first, cause);
    },
  };

  private move(cause: number): void {
    const { first, second } = this;
    if (this.over || !this.connected || second === null) return;
    this.there.move(first, second, cause);
    this.back.move(second, first, cause);
  }

  private breakOff(other: HostStream | null, cause: number): void {
    if (!this.over) other?.destroy(cause);
    this.over = true;
  }
}

const EMPTY = new Uint8Array(0);
