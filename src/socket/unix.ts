import type { Errno } from "../kernel/protocol.ts";
import type { Scheduler, Sink } from "../sim/scheduler.ts";
import type { UnixCall } from "../trace/step.ts";

/** `net.core.wmem_default`: bytes that may be under way to a reader. */
const BUFFER = 212_992;

const ACCEPTABLE = 1;
const READABLE = 2;
const WRITABLE = 4;
const CLOSED = 8;
const FAILED = 16;

/** A stream socket of `AF_UNIX`. Its callbacks run in the same instant, behind what caused them. */
export class UnixSocket {
  /** Where it is bound; "" for a socket without a name. */
  path = "";
  /** The name that its connection was made to. */
  to = "";
  /** `connect()` was called here, not there. */
  private asked = false;
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
  onError: ((errno: Errno) => void) | null = null;
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
    this.to = path;
    this.asked = true;
    const refused = this.sockets.connect(this, path);
    this.note("connect", 0, refused ?? "");
    return refused;
  }

  private note(call: UnixCall, bytes: number, text: string): void {
    this.sockets.trace?.(call, this.asked ? "client" : "server", this.to, bytes, text);
  }

  /** How many bytes were taken, 0 when too many are under way; or why none. */
  write(data: Uint8Array): number | Errno {
    const { peer } = this;
    if (!this.connected) return "ENOTCONN";
    if (peer === null || peer.readShut || this.writeShut) return "EPIPE";
    const taken = Math.min(data.length, BUFFER - peer.held);
    if (taken < data.length) this.full = true;
    if (taken > 0) {
      this.note("write", taken, firstLine(data));
      peer.take(data.slice(0, taken));
    }
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
    this.onAccept = this.onReadable = this.onWritable = this.onError = this.onClose = null;
    for (const child of this.waiting.splice(0)) child.close();
    this.backlog = null;
    if (this.path !== "") this.sockets.release(this);
    const { peer } = this;
    this.peer = null;
    if (peer === null) return;
    this.note("close", 0, "");
    peer.peer = null;
    peer.end();
    // unix_release_sock(): what was never read is lost, and the writer is told.
    peer.tell(this.held > 0 ? FAILED | CLOSED : CLOSED);
  }

  /** The other end of a connection to this listener, which was called `path`. */
  child(path: string): UnixSocket {
    const child = new UnixSocket(this.sockets);
    child.to = path;
    return child;
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
    if (news & FAILED) this.onError?.("ECONNRESET");
    if (news & CLOSED) this.onClose?.();
  }
}

/** The first line of what is written, where it is text. */
function firstLine(data: Uint8Array): string {
  let line = "";
  for (let at = 0; at < data.length && data[at]! >= 32 && data[at]! < 127; at++) line += String.fromCharCode(data[at]!);
  return line;
}

/** `/var/run` is a link to `/run` on every system that runs systemd. */
const canonical = (path: string): string => path.replace(/^\/var\/run\//, "/run/");

/** Told of each call: by which side of the connection to `path`, how many bytes, and their first line or an error. */
export type UnixTrace = (call: UnixCall, side: "client" | "server", path: string, bytes: number, text: string) => void;

/** Unix sockets by their path, of hosts that share a file system. */
export class UnixSockets {
  trace: UnixTrace | null = null;
  private readonly bound = new Map<string, UnixSocket>();
  /** Sockets of another file system, by the path that they are mounted at. */
  private readonly mounts = new Map<string, { readonly sockets: UnixSockets; readonly path: string }>();
  private readonly waker: Sink<UnixSocket> = { receive: (socket) => socket.wake() };

  constructor(private readonly scheduler: Scheduler) {}

  open(): UnixSocket {
    return new UnixSocket(this);
  }

  bind(socket: UnixSocket, path: string): Errno | null {
    if (socket.path !== "" || path === "") return "EINVAL";
    const real = canonical(path);
    if (this.bound.has(real)) return "EADDRINUSE";
    socket.path = path;
    this.bound.set(real, socket);
    return null;
  }

  /** `mount --bind`: `path` here is a socket there. A mount that is read-only keeps nobody from connecting. */
  mount(path: string, sockets: UnixSockets, from: string): void {
    this.mounts.set(canonical(path), { sockets, path: from });
  }

  has(path: string): boolean {
    return this.find(path) !== undefined;
  }

  private find(path: string): UnixSocket | undefined {
    const real = canonical(path);
    const mount = this.mounts.get(real);
    return mount === undefined ? this.bound.get(real) : mount.sockets.find(mount.path);
  }

  /** `unix_stream_connect()`. */
  connect(socket: UnixSocket, path: string): Errno | null {
    const listener = this.find(path);
    if (listener === undefined) return "ENOENT";
    if (listener.backlog === null) return "ECONNREFUSED";
    if (listener.waiting.length > listener.backlog) return "EAGAIN";
    const child = listener.child(path);
    child.join(socket);
    listener.waiting.push(child);
    listener.tell(ACCEPTABLE);
    return null;
  }

  /** Unlike Linux, the name goes with the socket: nothing has to be unlinked. */
  release(socket: UnixSocket): void {
    this.bound.delete(canonical(socket.path));
    socket.path = "";
  }

  wakeLater(socket: UnixSocket): void {
    this.scheduler.defer(this.waker, socket);
  }
}
