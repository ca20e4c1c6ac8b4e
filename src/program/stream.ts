import type { Errno } from "../socket/strerror.ts";
import type { TcpSocket } from "../socket/tcp-socket.ts";

/** What a stream socket is to its program, TCP or unix. */
export interface StreamSocket {
  onReadable: (() => void) | null;
  onWritable: (() => void) | null;
  onError: ((errno: Errno) => void) | null;
  /** Empty for nothing yet, null at the end. */
  read(): Uint8Array | null;
  /** How many bytes were taken, or why none. */
  write(data: Uint8Array): number | Errno;
  shutdown(how: "write"): unknown;
  close(): void;
}

/**
 * A connected socket as programs use it: what the send buffer has no room for waits here, and what arrives is handed
 * over at once unless its reader has paused.
 */
export class Stream<S extends StreamSocket = TcpSocket> {
  onData: ((data: Uint8Array) => void) | null = null;
  /** The other side sends no more. */
  onEnd: (() => void) | null = null;
  onError: ((errno: Errno) => void) | null = null;
  /** All that was written is in the send buffer. */
  onDrain: (() => void) | null = null;
  private readonly waiting: Uint8Array[] = [];
  private paused = false;
  private ended = false;
  private closing: "write" | "close" | null = null;
  private over = false;

  constructor(readonly socket: S) {
    socket.onReadable = () => this.read();
    socket.onWritable = () => this.flush();
    socket.onError = (errno) => this.fail(errno);
  }

  /** Hands over what arrived before anyone listened. */
  start(): this {
    this.read();
    return this;
  }

  /** Keeps `data` until it is sent; the caller writes into it no more. */
  write(data: Uint8Array): void {
    if (this.over || this.closing !== null || data.length === 0) return;
    this.waiting.push(data);
    this.flush();
  }

  get drained(): boolean {
    return this.waiting.length === 0;
  }

  /** Sends no more, once all is sent: `shutdown(SHUT_WR)`. */
  end(): void {
    this.closing ??= "write";
    this.flush();
  }

  /** Closes, once all is sent. */
  close(): void {
    if (this.over) return;
    this.closing = "close";
    this.flush();
  }

  /** Closes at once; what waits is lost. */
  destroy(): void {
    if (this.over) return;
    this.over = true;
    this.socket.close();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.read();
  }

  private read(): void {
    while (!this.paused && !this.ended && !this.over) {
      const data = this.socket.read();
      if (data === null) {
        this.ended = true;
        this.onEnd?.();
      } else if (data.length === 0) return;
      else this.onData?.(data);
    }
  }

  private flush(): void {
    if (this.over) return;
    const waited = this.waiting.length > 0;
    while (this.waiting.length > 0) {
      const data = this.waiting[0]!;
      const taken = this.socket.write(data);
      if (typeof taken === "string") {
        this.fail(taken);
        return;
      }
      if (taken < data.length) {
        this.waiting[0] = data.subarray(taken);
        return;
      }
      this.waiting.shift();
    }
    if (this.closing === "write") this.socket.shutdown("write");
    else if (this.closing === "close") this.destroy();
    if (waited && !this.over) this.onDrain?.();
  }

  private fail(errno: Errno): void {
    if (this.over) return;
    this.over = true;
    this.waiting.length = 0;
    this.onError?.(errno);
    this.socket.close();
  }
}

/** Both ways of a connection that is carried on, each with its end, and with no more under way than buffers hold. */
export function join(one: Stream<StreamSocket>, other: Stream<StreamSocket>, done: () => void): void {
  let open = 2;
  const finished = () => {
    if (--open > 0) return;
    one.close();
    other.close();
    done();
  };
  carry(one, other, finished);
  carry(other, one, finished);
  one.start();
  other.start();
}

/** `io.Copy()`, then the end. */
function carry(from: Stream<StreamSocket>, to: Stream<StreamSocket>, finished: () => void): void {
  let over = false;
  const finish = () => {
    if (over) return;
    over = true;
    to.end();
    finished();
  };
  from.onData = (data) => {
    to.write(data);
    if (!to.drained) from.pause();
  };
  to.onDrain = () => from.resume();
  from.onEnd = finish;
  from.onError = finish;
}
