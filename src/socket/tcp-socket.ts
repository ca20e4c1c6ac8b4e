import type { Errno, IcmpError, MtuDiscovery, SeenSocket, Sender } from "../kernel/protocol.ts";
import type { Packet } from "../packet/packet.ts";
import type { Connection, ConnectionOwner } from "../tcp/connection.ts";
import type { OutgoingSegment } from "../tcp/outgoing.ts";
import { maySend, type TcpErrno, type TcpState } from "../tcp/state.ts";
import { formatIpv4 } from "../wire/address.ts";
import { usesPathMtu } from "./mtu-discovery.ts";
import type { TcpSockets } from "./tcp.ts";
import type { Flow } from "./tcp-flows.ts";
import type { TcpBound } from "./tcp-ports.ts";

export interface Endpoint {
  readonly address: number;
  readonly port: number;
}

/** What is absent is as a Linux socket has it. Times are nanoseconds, sizes bytes. */
export interface TcpOptions {
  readonly ttl?: number;
  readonly tos?: number;
  readonly mark?: number;
  /** Index of the only device it uses (`SO_BINDTODEVICE`). */
  readonly device?: number;
  /** `IP_TRANSPARENT`. */
  readonly transparent?: boolean;
  readonly discovery?: MtuDiscovery;
  /** `SO_REUSEADDR`. */
  readonly reuse?: boolean;
  /** `TCP_NODELAY`. */
  readonly noDelay?: boolean;
  readonly congestion?: "cubic" | "reno";
  /** `SO_RCVBUF`, `SO_SNDBUF`: without them the buffers grow as needed. */
  readonly receiveBuffer?: number;
  readonly sendBuffer?: number;
  /** `SO_KEEPALIVE`, `TCP_KEEPIDLE`, `TCP_KEEPINTVL`, `TCP_KEEPCNT`. */
  readonly keepAlive?: { readonly idle?: number; readonly interval?: number; readonly probes?: number };
}

const CONNECTED = 1;
const ACCEPTABLE = 2;
const READABLE = 4;
const WRITABLE = 8;
const FAILED = 16;
const ENDED = 32;

/** A TCP socket. Its callbacks run once the segment that caused them is dealt with, and never inside a call to it. */
export class TcpSocket implements ConnectionOwner, Flow, TcpBound, SeenSocket, Sender {
  /** What it is bound to; 0.0.0.0 is every address. */
  address = 0;
  port = 0;
  readonly reuse: boolean;
  readonly discovery: MtuDiscovery;
  /** `connect()` chose its port. */
  autobound = false;
  /** What `bind()` asked for: where the next connection begins from. */
  boundAddress = 0;
  /** A program chose its port, which is its own until it is closed. */
  bound = false;
  /** Its own end, once it is connected. */
  localAddress = 0;
  remoteAddress = 0;
  remotePort = 0;
  /** Null before it is connected, and for a listener. */
  connection: Connection | null = null;
  /** What its program knows of the connection (`sock->state`). */
  phase: "unconnected" | "connecting" | "connected" | "disconnecting" = "unconnected";
  /** Where the sequence numbers of its next connection begin; undefined for a random one. */
  nextSequence: number | undefined = undefined;
  /** What it waits for to be accepted; null for a socket that does not listen. */
  backlog: number | null = null;
  /** Established and not accepted. */
  readonly waiting: TcpSocket[] = [];
  /** Answered SYNs that are not established. */
  requests = 0;
  /** It answers SYNs with cookies, or did until lately: acknowledgements of these count until then, virtual nanoseconds. */
  cookiesUntil = Number.NEGATIVE_INFINITY;
  /** Who accepted the SYN it came from. */
  listener: TcpSocket | null = null;
  /** `SO_ERROR`: reported once, by the next call. */
  error: Errno | null = null;
  /** The last ICMP error about this connection, as an error queue would have it. */
  lastIcmp: IcmpError | null = null;
  /** The peer said, or the program, that nothing more is read. */
  private readShut = false;
  private writeShut = false;
  /** The program has closed it. */
  closed = false;
  /** A program has it, until the end of `close()` (`sock_orphan()`). */
  held = true;
  /** IPv4 identification of the next segment. */
  identification = 0;
  /** A program is inside a call: what arrives waits in `pending`. */
  busy = false;
  readonly pending: { packet: Packet; at: number }[] = [];
  private cachedName = "";
  /** What the program has to hear after its call. */
  private news = 0;
  /** What an ICMP error said of the path meanwhile, bytes; 0 for nothing. */
  pendingMtu = 0;

  onConnect: (() => void) | null = null;
  /** A connection is here to accept. */
  onAccept: ((socket: TcpSocket) => void) | null = null;
  /** Data, or the end of the stream. */
  onReadable: (() => void) | null = null;
  onWritable: (() => void) | null = null;
  onError: ((errno: Errno) => void) | null = null;
  /** The connection is over: closed by both sides, or broken. */
  onClose: (() => void) | null = null;

  constructor(
    readonly sockets: TcpSockets,
    readonly options: TcpOptions,
    discovery: MtuDiscovery,
  ) {
    this.reuse = options.reuse ?? false;
    this.discovery = options.discovery ?? discovery;
  }

  get local(): Endpoint {
    return { address: this.localAddress || this.address, port: this.port };
  }

  get peer(): Endpoint | null {
    return this.remotePort === 0 ? null : { address: this.remoteAddress, port: this.remotePort };
  }

  /** What the trace calls it. */
  get name(): string {
    if (this.cachedName === "") this.cachedName = `tcp ${formatIpv4(this.local.address)}:${this.port}`;
    return this.cachedName;
  }

  get localPort(): number {
    return this.port;
  }

  get listening(): boolean {
    return this.backlog !== null;
  }

  get state(): TcpState {
    return this.connection?.state ?? (this.listening ? "LISTEN" : "CLOSE");
  }

  get device(): number {
    return this.options.device ?? 0;
  }

  /** For the output path. */
  get ignoresPathMtu(): boolean {
    return !usesPathMtu(this.discovery);
  }

  get mark(): number {
    return this.options.mark ?? 0;
  }

  get connected(): boolean {
    return !this.listening;
  }

  get transparent(): boolean {
    return this.options.transparent ?? false;
  }

  get full(): boolean {
    const { connection, listener } = this;
    if (listener !== null) return false;
    return (
      connection === null ||
      !(connection.state === "TIME_WAIT" || (connection.state === "FIN_WAIT2" && connection.orphan))
    );
  }

  get orphan(): boolean {
    return !this.held || this.connection?.window.isFrozen === true;
  }

  bind(address: number, port: number): Errno | null {
    this.sockets.onCall?.(this, { name: "bind", address, port });
    return this.sockets.bind(this, address, port);
  }

  listen(backlog = 4096): Errno | null {
    this.sockets.onCall?.(this, { name: "listen" });
    return this.sockets.listen(this, backlog);
  }

  /** The next established connection, or null. */
  accept(): TcpSocket | null {
    const accepted = this.waiting.shift() ?? null;
    if (accepted === null) return null;
    accepted.held = true;
    this.sockets.onCall?.(this, { name: "accept", accepted });
    return accepted;
  }

  /** Null when the handshake began, whose outcome comes by `onConnect` or `onError`; or, asked again, when it is done. */
  connect(address: number, port: number): Errno | null {
    this.sockets.onCall?.(this, { name: "connect", address, port });
    return this.locked(() => this.sockets.connect(this, address, port));
  }

  /** `tcp_sendmsg()`: how many bytes the send buffer took, 0 when it is full; or why it takes none. */
  write(data: Uint8Array, at = 0, length = data.length - at): number | Errno {
    const { connection } = this;
    if (this.error !== null) return this.takeError()!;
    if (connection === null) return "EPIPE";
    const { state } = connection;
    if (isOpening(state)) return "EAGAIN";
    if (!maySend(state) || this.writeShut) return "EPIPE";
    return this.told(data, at, () => this.locked(() => connection.write(data, at, length)));
  }

  /** Tells of a write, and of how much was taken. */
  private told(data: Uint8Array, at: number, write: () => number): number {
    const { onCall } = this.sockets;
    if (onCall === null) return write();
    const call = { name: "send" as const, data: EMPTY, to: null };
    onCall(this, call);
    const taken = write();
    call.data = data.slice(at, at + taken);
    return taken;
  }

  /** What arrived, at most `max` bytes: an empty array for nothing yet, null at the end of the stream. */
  read(max = Number.POSITIVE_INFINITY): Uint8Array | null {
    const { connection } = this;
    if (connection === null || connection.readable === 0) {
      if (!this.atEnd) return EMPTY;
      this.sockets.onCall?.(this, { name: "receive" });
      connection?.readEnd();
      return null;
    }
    this.sockets.onCall?.(this, { name: "receive" });
    return this.locked(() => connection.read(max));
  }

  /** `tcp_recvmsg()`: like `read()`, but says why there is nothing: an empty array is the end of the stream. */
  receive(max: number): Uint8Array | Errno {
    const { connection } = this;
    if (this.listening) return "ENOTCONN";
    if (connection !== null && connection.readable > 0) return this.locked(() => connection.read(max));
    if (connection?.finReceived === true) {
      connection.readEnd();
      return EMPTY;
    }
    if (this.error !== null) return this.takeError()!;
    if (this.readShut) return EMPTY;
    if (this.state === "CLOSE") return "ENOTCONN";
    return "EAGAIN";
  }

  private get atEnd(): boolean {
    return this.connection?.finReceived === true || this.readShut || this.state === "CLOSE";
  }

  shutdown(how: "read" | "write" | "both"): Errno | null {
    const { connection } = this;
    this.sockets.onCall?.(this, { name: "shutdown", how });
    if (this.listening) {
      if (how !== "write") this.sockets.stopListening(this);
      return null;
    }
    const { state } = this;
    if (this.phase === "connecting") this.phase = isOpening(state) || state === "CLOSE" ? "disconnecting" : "connected";
    if (state === "SYN_SENT") {
      this.error = "ECONNRESET";
      this.locked(() => connection!.abort());
      this.disconnect();
      return null;
    }
    if (how !== "write") {
      this.readShut = true;
      connection?.shutdownRead();
    }
    if (how !== "read") {
      this.writeShut = true;
      this.locked(() => connection?.shutdownWrite());
    }
    // `tcp_time_wait()` leaves a closed socket to the program.
    return connection === null || state === "CLOSE" || state === "TIME_WAIT" ? "ENOTCONN" : null;
  }

  /** `tcp_disconnect()` of a connection that is over: the socket can begin another. */
  disconnect(): void {
    const { writeSequence, maxWindow } = this.connection!;
    this.nextSequence = (writeSequence + maxWindow + 2) | 0;
    this.phase = "unconnected";
    this.connection = null;
    this.address = this.boundAddress;
    if (!this.bound) {
      this.port = 0;
      this.autobound = false;
    }
    this.readShut = this.writeShut = false;
  }

  /** What was written still goes out. */
  close(): void {
    if (this.closed) return;
    this.sockets.onCall?.(this, { name: "close" });
    this.closed = true;
    this.forgetCallbacks();
    if (this.listening) this.sockets.stopListening(this);
    else if (this.connection !== null) {
      if (this.state !== "CLOSE") this.sockets.tell("closes", this);
      this.locked(() => {
        this.connection?.close();
        this.held = false;
      });
    }
    if (this.state === "CLOSE") this.sockets.release(this);
  }

  /** Ends the connection with a RST. */
  abort(): void {
    if (this.closed) return;
    this.sockets.onCall?.(this, { name: "close" });
    this.closed = true;
    this.forgetCallbacks();
    if (this.listening) this.sockets.stopListening(this);
    else if (this.connection !== null) {
      if (this.state !== "CLOSE") this.sockets.tell("aborts", this);
      this.locked(() => {
        this.connection?.abort();
        this.held = false;
      });
    }
    if (this.state === "CLOSE") this.sockets.release(this);
  }

  private forgetCallbacks(): void {
    this.onConnect = this.onReadable = this.onWritable = this.onClose = null;
    this.onAccept = null;
    this.onError = null;
  }

  /** `SO_ERROR`. */
  takeError(): Errno | null {
    const { error } = this;
    this.error = null;
    return error;
  }

  /** `lock_sock()`, `release_sock()`: what arrives during a call is dealt with at its end. */
  private locked<T>(call: () => T): T {
    if (this.busy) return call();
    this.busy = true;
    const result = call();
    this.sockets.unlock(this);
    if (this.news !== 0) this.sockets.wakeLater(this);
    return result;
  }

  // ConnectionOwner.

  send(connection: Connection, segment: OutgoingSegment): boolean {
    return this.sockets.transmit(this, connection, segment);
  }

  admit(): boolean {
    const { listener } = this;
    return listener?.backlog != null && listener.waiting.length <= listener.backlog;
  }

  established(): void {
    const { listener } = this;
    this.sockets.tell(listener === null ? "established" : "accepts", this);
    if (listener === null) {
      this.tell(CONNECTED);
      return;
    }
    this.listener = null;
    this.phase = "connected";
    listener.requests--;
    this.sockets.inherit(this);
    listener.waiting.push(this);
    listener.tell(ACCEPTABLE);
  }

  readable(): void {
    this.tell(READABLE);
  }

  writable(): void {
    this.tell(WRITABLE);
  }

  failed(_connection: Connection, error: TcpErrno): void {
    this.error = error;
    this.sockets.tell("fails", this, error);
    this.tell(FAILED);
  }

  /** `inet_csk_destroy_sock()`. */
  ended(): void {
    if (this.error === null && this.listener === null) this.sockets.tell("ends", this);
    this.readShut = this.writeShut = true;
    this.sockets.release(this);
    this.tell(ENDED);
  }

  /** A program hears of nothing while it is inside a call. */
  private tell(news: number): void {
    if (this.closed) return;
    this.news |= news;
    this.wake();
  }

  /** Runs the callbacks, unless the program is inside a call: then they follow its end. */
  wake(): void {
    const { news } = this;
    if (this.busy || news === 0) return;
    this.news = 0;
    if (news & CONNECTED) this.onConnect?.();
    if (news & ACCEPTABLE) this.offer();
    if (news & READABLE) this.onReadable?.();
    if (news & WRITABLE) this.onWritable?.();
    if (news & FAILED && this.onError !== null && this.error !== null) this.onError(this.takeError()!);
    if (news & ENDED) this.onClose?.();
  }

  private offer(): void {
    while (this.onAccept !== null && this.waiting.length > 0) this.onAccept(this.accept()!);
  }
}

export const isOpening = (state: TcpState): boolean => state === "SYN_SENT" || state === "SYN_RECV";

const EMPTY = new Uint8Array(0);
