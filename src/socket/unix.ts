import type { Errno } from "../kernel/protocol.ts";
import type { Scheduler, Sink } from "../sim/scheduler.ts";

/** `net.core.wmem_default`: bytes that may be under way to a reader. */
const BUFFER = 212_992;

const ACCEPTABLE = 1;
const READABLE = 2;
const WRITABLE = 4;
const CLOSED = 8;

/** A stream socket of `AF_UNIX`. Its callbacks run in the same instant, behind what caused them. */
export class UnixSocket {
  /** Where it is bound; "" for a socket without a name. */
  path = "";
  peer: UnixSocket | null = null;
  /** Connections that it lets wait; null for a socket that does not listen. */
  backlog: number | null = null;
  /** Connected and not accepted. */
  readonly waiting: UnixSocket[] = [];
  private readonly pieces: Uint8Array[] = [];
  private held = 0;
  private ended = false;
  private writeShut = false;
  private readShut = false;
  /** The writer found no room. */
  private full = false;
  private connected = false;
  private closed = false;
  private news = 0;

  onAccept: ((socket: UnixSocket) => void) | null = null;
  /** Data, or the end of the stream. */
  onReadable: (() => void) | null = null;
  onWritable: (() => void) | null = null;
  /** The other side is gone. */
  onClose: (() => void) | null = null;

  constructor(private readonly sockets: UnixSockets) {}

  bind(path: string): Errno | null {
    return this.sockets.bind(this, path);
  }

  listen(backlog = 128): Errno | null {
    if (this.path === "" || this.connected) return "EINVAL";
    this.backlog = backlog;
    return null;
  }

  accept(): UnixSocket | null {
    return this.waiting.shift() ?? null;
  }

  /** A connection stands at once, accepted or not. */
  connect(path: string): Errno | null {
    if (this.connected) return "EISCONN";
    return this.sockets.connect(this, path);
  }

  /** How many bytes were taken, 0 when too many are under way; or why none. */
  write(data: Uint8Array): number | Errno {
    const { peer } = this;
    if (!this.connected) return "ENOTCONN";
    if (peer === null || peer.readShut || this.writeShut) return "EPIPE";
    const taken = Math.min(data.length, BUFFER - peer.held);
    if (taken < data.length) this.full = true;
    if (taken > 0) peer.take(data.slice(0, taken));
    return taken;
  }

  private take(piece: Uint8Array): void {
    this.pieces.push(piece);
    this.held += piece.length;
    this.tell(READABLE);
  }

  /** What arrived, at most `max` bytes: an empty array for nothing yet, null at the end of the stream. */
  read(max = Number.POSITIVE_INFINITY): Uint8Array | null {
    const length = Math.min(this.held, max);
    if (length === 0) return this.ended || this.readShut ? null : new Uint8Array(0);
    const data = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const piece = this.pieces[0]!;
      const part = piece.subarray(0, length - at);
      data.set(part, at);
      at += part.length;
      if (part.length === piece.length) this.pieces.shift();
      else this.pieces[0] = piece.subarray(part.length);
    }
    this.held -= length;
    if (this.peer?.full === true) {
      this.peer.full = false;
      this.peer.tell(WRITABLE);
    }
    return data;
  }

  shutdown(how: "read" | "write" | "both"): Errno | null {
    if (!this.connected) return "ENOTCONN";
    if (how !== "write") this.readShut = true;
    if (how !== "read") {
      this.writeShut = true;
      this.peer?.end();
    }
    return null;
  }

  private end(): void {
    this.ended = true;
    this.tell(READABLE);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.onAccept = this.onReadable = this.onWritable = this.onClose = null;
    for (const child of this.waiting.splice(0)) child.close();
    this.backlog = null;
    if (this.path !== "") this.sockets.release(this);
    const { peer } = this;
    this.peer = null;
    if (peer === null) return;
    peer.peer = null;
    peer.end();
    peer.tell(CLOSED);
  }

  /** Both ends of a connection, `socketpair()`. */
  join(peer: UnixSocket): void {
    this.peer = peer;
    peer.peer = this;
    this.connected = peer.connected = true;
  }

  tell(news: number): void {
    if (this.closed) return;
    if (this.news === 0) this.sockets.wakeLater(this);
    this.news |= news;
  }

  wake(): void {
    const { news } = this;
    this.news = 0;
    while (news & ACCEPTABLE && this.onAccept !== null && this.waiting.length > 0) this.onAccept(this.waiting.shift()!);
    if (news & READABLE) this.onReadable?.();
    if (news & WRITABLE) this.onWritable?.();
    if (news & CLOSED) this.onClose?.();
  }
}

/** Unix sockets by their path, of hosts that share a file system. */
export class UnixSockets {
  private readonly bound = new Map<string, UnixSocket>();
  private readonly waker: Sink<UnixSocket> = { receive: (socket) => socket.wake() };

  constructor(private readonly scheduler: Scheduler) {}

  open(): UnixSocket {
    return new UnixSocket(this);
  }

  bind(socket: UnixSocket, path: string): Errno | null {
    if (socket.path !== "" || path === "") return "EINVAL";
    if (this.bound.has(path)) return "EADDRINUSE";
    socket.path = path;
    this.bound.set(path, socket);
    return null;
  }

  /** `unix_stream_connect()`. */
  connect(socket: UnixSocket, path: string): Errno | null {
    const listener = this.bound.get(path);
    if (listener === undefined) return "ENOENT";
    if (listener.backlog === null) return "ECONNREFUSED";
    if (listener.waiting.length > listener.backlog) return "EAGAIN";
    const child = new UnixSocket(this);
    child.join(socket);
    listener.waiting.push(child);
    listener.tell(ACCEPTABLE);
    return null;
  }

  /** Unlike Linux, the name goes with the socket: nothing has to be unlinked. */
  release(socket: UnixSocket): void {
    this.bound.delete(socket.path);
    socket.path = "";
  }

  wakeLater(socket: UnixSocket): void {
    this.scheduler.defer(this.waker, socket);
  }
}
