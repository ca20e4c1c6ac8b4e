import type { Random } from "../sim/random.ts";
import type { Scheduler, Timer } from "../sim/scheduler.ts";
import { AckSchedule } from "./ack-schedule.ts";
import { Congestion } from "./congestion.ts";
import { Cubic } from "./cubic.ts";
import type { Fate } from "./fate.ts";
import { arrive } from "./input.ts";
import { NewReno } from "./new-reno.ts";
import { CLOSED, ESTABLISHED, FAILED, READABLE, WRITABLE } from "./news.ts";
import { OutgoingSegment } from "./outgoing.ts";
import { queueFin, sendAck, sendActiveReset, sendSyn, sendSynAck, updateMss } from "./output.ts";
import { ReceiveQueue } from "./receive-queue.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { Recovery, resendTooLong } from "./recovery.ts";
import { RTO_INITIAL, Rtt } from "./rtt.ts";
import type { Segment } from "./segment.ts";
import { SendQueue } from "./send-queue.ts";
import { maySend, type TcpErrno, type TcpState } from "./state.ts";
import { ackTimeout, idleTimeout, writeTimeout } from "./timeouts.ts";
import { armKeepAlive, timeWait } from "./timers.ts";
import { submit } from "./write.ts";
import { WriteQueue } from "./write-queue.ts";

const TIMESTAMP_BYTES = 12;
const HEADERS = 40;
/** What a peer that names no MSS can take (RFC 9293, 3.7.1). */
const DEFAULT_MSS = 536;

/** Sizes in bytes, times in nanoseconds. What is absent is as Linux has it. */
export interface ConnectionOptions {
  /** Of the first link. */
  readonly mtu: number;
  readonly timestamps?: boolean;
  /** What the clock of the timestamps begins with; random without. */
  readonly tsOffset?: number;
  readonly sack?: boolean;
  readonly windowScaling?: boolean;
  readonly congestion?: "cubic" | "reno";
  /** `TCP_NODELAY`. */
  readonly noDelay?: boolean;
  /** A long write leaves in packets of up to 64 KB, which the owner has cut (`sk_can_gso()`). */
  readonly gso?: boolean;
  readonly receiveBuffer?: number;
  readonly receiveBufferMax?: number;
  readonly sendBuffer?: number;
  readonly sendBufferMax?: number;
  /** `SO_KEEPALIVE`: idle time before the first probe, time between probes, and how many; null for none. */
  readonly keepAlive?: { readonly idle: number; readonly interval: number; readonly probes: number } | null;
  readonly synRetries?: number;
  /** How many timeouts of a SYN pass before they grow; they count beside `synRetries`. */
  readonly synLinearTimeouts?: number;
  readonly synAckRetries?: number;
  /** A full accept queue refuses (`tcp_abort_on_overflow`). */
  readonly abortOnOverflow?: boolean;
  readonly retries?: number;
  /** How long a closed connection waits for the peer's FIN. */
  readonly finTimeout?: number;
}

/** The one who holds a connection. Nothing is called before the constructor of the connection has returned. */
export interface ConnectionOwner {
  /** Sends what `segment` describes, which is valid during this call alone. False when it could not leave this host. */
  send(connection: Connection, segment: OutgoingSegment): boolean;
  /** May a passive connection be established? False leaves it in SYN_RECV: the accept queue is full. */
  admit(connection: Connection): boolean;
  established(connection: Connection): void;
  /** Data arrived, or the end of the stream. */
  readable(connection: Connection): void;
  /** There is room in the send buffer again. */
  writable(connection: Connection): void;
  /** It is over, for this reason. `ended` follows. */
  failed(connection: Connection, error: TcpErrno): void;
  /** Nothing is left of it: its ports are free. Called once. */
  ended(connection: Connection): void;
}

/**
 * One end of a TCP connection (RFC 9293), without any I/O: segments come in by `receive()`, go out by the owner's `send()`.
 * Its methods are those of a program's socket; the parts of `src/tcp/` share its fields, which are RFC 9293's.
 */
export class Connection {
  state: TcpState = "CLOSE";
  /** Opened by the peer's SYN, and not established yet. */
  passive = false;
  /** The program has closed it. */
  orphan = false;
  /** What ended it. */
  error: TcpErrno | null = null;
  /** What an ICMP error said, which ends it only if nothing else comes. */
  softError: TcpErrno | null = null;
  // Sending.
  readonly iss: number;
  sndUna: number;
  sndNxt: number;
  /** Behind the last byte written, FIN included. */
  writeSequence: number;
  sndWnd = 0;
  /** Sequence number of the segment that last updated the window. */
  sndWl1 = 0;
  maxWindow = 0;
  /** The peer's window shift. */
  sndScale = 0;
  /** Behind the last segment shorter than the MSS (RFC 896, Minshall). */
  sndSml: number;
  /** Up to where the peer was asked to hand the data on (`pushed_seq`). */
  pushSequence: number;
  finQueued = false;
  /** The MSS that the peer announced. */
  mssClamp = DEFAULT_MSS;
  /** Bytes of data a segment may carry. */
  mss = DEFAULT_MSS;
  pathMtu: number;
  readonly queue: SendQueue;
  readonly unsent = new WriteQueue();
  sendBuffer: number;
  /** The program found no room. */
  private wantsRoom = false;
  bytesAcked = 0;
  lastSent = 0;
  /** When the first retransmission of this timeout left; 0 for none. */
  retransmitStamp = 0;
  readonly rtt = new Rtt();
  readonly congestion: Congestion;
  readonly recovery = new Recovery();
  /** The present timeout, backed off. */
  rto = RTO_INITIAL;
  retransmits = 0;
  backoff = 0;
  probes = 0;
  /** SND.NXT at the beginning of the round trip for which the window's use is noted. */
  roundEnd: number;
  // Receiving.
  irs = 0;
  rcvNxt = 0;
  incoming: ReceiveQueue | null = null;
  finReceived = false;
  /** The program reads no more. */
  readShut = false;
  readonly window: ReceiveWindow;
  readonly acks: AckSchedule;
  lastReceivedAt = 0;
  /** When an acknowledgement of something out of the window left last (`tcp_invalid_ratelimit`). */
  lastChallenge = Number.NEGATIVE_INFINITY;
  // Options in use.
  timestampsOk: boolean;
  sackOk: boolean;
  scalingOk: boolean;
  tsRecent = 0;
  tsRecentAt = Number.NEGATIVE_INFINITY;
  readonly tsOffset: number;
  // Timers.
  readonly writeTimer: Timer;
  /** What the write timer is for. */
  waitsFor: "nothing" | "retransmit" | "probe" = "nothing";
  /** Keep-alive, FIN_WAIT2 and TIME_WAIT. */
  readonly idleTimer: Timer;
  readonly outgoing = new OutgoingSegment();
  private over = false;
  /** A segment is being dealt with. */
  private busy = false;
  private news = 0;

  constructor(
    readonly owner: ConnectionOwner,
    readonly scheduler: Scheduler,
    random: Random,
    readonly options: ConnectionOptions,
    iss = random.next(),
  ) {
    this.iss = this.sndUna = this.sndNxt = this.sndSml = this.pushSequence = this.roundEnd = iss;
    this.writeSequence = iss;
    this.queue = new SendQueue((iss + 1) | 0);
    this.tsOffset = options.tsOffset ?? random.next();
    this.timestampsOk = options.timestamps ?? true;
    this.sackOk = options.sack ?? true;
    this.scalingOk = options.windowScaling ?? true;
    this.pathMtu = options.mtu;
    this.sendBuffer = options.sendBuffer ?? 16_384;
    this.congestion = new Congestion(options.congestion === "reno" ? new NewReno() : new Cubic());
    this.window = this.makeWindow(options);
    this.writeTimer = scheduler.timer(() => this.timed(writeTimeout));
    this.acks = new AckSchedule(scheduler.timer(() => this.timed(ackTimeout)));
    this.idleTimer = scheduler.timer(() => this.timed(idleTimeout), true);
    updateMss(this);
  }

  private makeWindow({ receiveBuffer = 131_072, receiveBufferMax = 33_554_432 }: ConnectionOptions): ReceiveWindow {
    return new ReceiveWindow({
      buffer: receiveBuffer,
      bufferMax: receiveBufferMax,
      scaling: this.scalingOk,
      mss: this.advertisedMss,
    });
  }

  /** What the SYN announces. */
  get advertisedMss(): number {
    return Math.max(Math.min(this.options.mtu - HEADERS, 65_495), 256);
  }

  get now(): number {
    return this.scheduler.now;
  }

  /** The clock of the timestamps option: milliseconds. */
  get timestamp(): number {
    return (Math.floor(this.now / 1e6) + this.tsOffset) | 0;
  }

  /** Bytes of options in every segment once the connection stands. */
  get optionBytes(): number {
    return this.timestampsOk ? TIMESTAMP_BYTES : 0;
  }

  // Opening.

  /** Active open: sends a SYN. */
  open(): void {
    this.state = "SYN_SENT";
    this.writeSequence = this.sndNxt = (this.iss + 1) | 0;
    this.pushSequence = this.writeSequence;
    sendSyn(this);
  }

  /** Passive open: answers the SYN that `s` is. */
  respond(s: Segment): void {
    this.expectAck(s);
    sendSynAck(this);
  }

  /** The SYN that `s` is was answered: its acknowledgement opens the connection. */
  expectAck(s: Segment): void {
    this.passive = true;
    this.state = "SYN_RECV";
    this.irs = s.sequence;
    this.rcvNxt = (s.sequence + 1) | 0;
    this.writeSequence = this.sndNxt = (this.iss + 1) | 0;
    this.pushSequence = this.writeSequence;
    this.agree(s);
    if (this.timestampsOk) this.window.initialise(this.advertisedMss - TIMESTAMP_BYTES);
    this.sndWnd = s.window;
    this.sndWl1 = s.sequence;
    this.maxWindow = s.window;
    this.window.advertisedAt = this.rcvNxt;
  }

  /** Takes the options that both sides know from a SYN. */
  agree(s: Segment): void {
    if (!s.timestamps) this.timestampsOk = false;
    else if (this.timestampsOk) {
      this.tsRecent = s.timestamp;
      this.tsRecentAt = this.now;
    }
    this.sackOk &&= s.sackPermitted;
    if (s.windowScale < 0 || !this.scalingOk) {
      this.scalingOk = false;
      this.window.unscale();
    } else this.sndScale = s.windowScale;
    this.mssClamp = s.mss || DEFAULT_MSS;
    updateMss(this);
  }

  /** Both SYNs are acknowledged. */
  establish(): void {
    const { now } = this;
    this.incoming = new ReceiveQueue(this.rcvNxt);
    this.state = "ESTABLISHED";
    this.acks.lastReceived = this.lastReceivedAt = this.lastSent = now;
    if (this.timestampsOk) this.window.advertisedMss -= TIMESTAMP_BYTES;
    this.window.begin(this.mss, this.rcvNxt, now);
    this.expandSendBuffer();
    armKeepAlive(this);
  }

  // What a program does.

  /** Takes a segment that arrived. What became of it: accepted, answered with a reset, or dropped for a reason. */
  receive(s: Segment): Fate {
    this.busy = true;
    const fate = arrive(this, s);
    this.busy = false;
    if (this.news !== 0) this.flush();
    return fate;
  }

  /** Bytes that {@link write} would take. */
  get room(): number {
    if (!maySend(this.state) || this.finQueued) return 0;
    return Math.max(this.sendBuffer - this.queue.data.length, 0);
  }

  /** Takes bytes to send; how many were taken. `writable` is called once there is room for more. */
  write(bytes: Uint8Array, at = 0, length = bytes.length - at): number {
    const taken = Math.min(length, this.room);
    if (taken < length) this.wantsRoom = true;
    if (taken === 0) return 0;
    this.queue.data.append(bytes, at, taken);
    submit(this, taken);
    return taken;
  }

  /** Bytes that can be read now. */
  get readable(): number {
    return this.incoming === null ? 0 : this.incoming.readable;
  }

  /** The peer sends no more, and all it sent was read. */
  get ended(): boolean {
    return this.readable === 0 && (this.finReceived || this.readShut || this.over);
  }

  /** Reads at most `max` bytes; an empty array when there are none. */
  read(max = Number.POSITIVE_INFINITY): Uint8Array {
    const length = Math.min(this.readable, max);
    const bytes = new Uint8Array(length);
    if (length > 0) {
      this.incoming!.data.copyTo(this.incoming!.data.start, length, bytes, 0);
      this.skip(length);
    }
    return bytes;
  }

  /** A view of what can be read, up to where the buffer wraps; valid until the next call. {@link skip} takes it. */
  peek(max = Number.POSITIVE_INFINITY): Uint8Array {
    return this.incoming === null ? EMPTY : this.incoming.data.peek(Math.min(this.readable, max));
  }

  /** The program has read the end of the stream: the FIN that waited in the queue is gone. */
  readEnd(): void {
    if (this.incoming !== null && this.readable === 0) this.window.release(0, this.incoming.earlyBytes);
  }

  /** The program has read `count` bytes: `tcp_cleanup_rbuf()`. */
  skip(count: number): void {
    const queue = this.incoming!;
    this.window.release(count, queue.readable + queue.earlyBytes);
    queue.data.advance((queue.data.start + count) | 0);
    this.window.adjust(queue.data.start, this.now);
    this.acknowledgeRead(count);
  }

  private acknowledgeRead(count: number): void {
    const { acks, window } = this;
    if (this.over || this.state === "TIME_WAIT" || count === 0) return;
    if (acks.scheduled) {
      const full = ((this.rcvNxt - window.advertisedAt) | 0) > window.segment;
      const asked = acks.pushedTwice || (acks.pushed && !acks.pingpong);
      if (full || (asked && window.isEmpty)) {
        sendAck(this);
        return;
      }
    }
    if (this.finReceived || this.readShut) return;
    const left = window.left(this.rcvNxt);
    if (2 * left > window.clamp) return;
    const chosen = window.choose();
    if (chosen > 0 && chosen >= 2 * left) sendAck(this);
  }

  /** `shutdown(SHUT_WR)`: the FIN follows what was written. */
  shutdownWrite(): void {
    if (this.state === "SYN_SENT") this.abort();
    else if (this.state === "ESTABLISHED") this.state = "FIN_WAIT1";
    else if (this.state === "CLOSE_WAIT") this.state = "LAST_ACK";
    else return;
    if (!this.over) queueFin(this);
  }

  shutdownRead(): void {
    this.readShut = true;
  }

  /** `close()`: what was written still goes out; what was not read makes it a reset (RFC 2525, 2.17). */
  close(): void {
    if (this.orphan) return;
    this.orphan = true;
    const unread = this.readable;
    this.readShut = true;
    if (this.over || this.state === "TIME_WAIT") return;
    if (unread > 0) this.window.release(unread, unread);
    else this.readEnd();
    if (this.state === "CLOSE" || this.state === "SYN_SENT") this.finish();
    else if (unread > 0 || this.state === "SYN_RECV") this.abort();
    else {
      this.shutdownWrite();
      if (this.state === "FIN_WAIT2") this.awaitFin();
    }
  }

  /** A closed connection waits for the peer's FIN no longer than `tcp_fin_timeout`. */
  awaitFin(): void {
    this.waitsFor = "nothing";
    this.writeTimer.cancel();
    this.window.freeze(this.rcvNxt);
    this.idleTimer.armIn(this.options.finTimeout ?? 60e9);
  }

  /** Ends at once, with a RST where the peer knows of it. */
  abort(): void {
    if (this.over) return;
    this.orphan = true;
    const { state } = this;
    const known =
      state === "ESTABLISHED" ||
      state === "FIN_WAIT1" ||
      state === "FIN_WAIT2" ||
      state === "CLOSE_WAIT" ||
      state === "SYN_RECV" ||
      ((state === "CLOSING" || state === "LAST_ACK") && this.sndNxt !== this.writeSequence);
    if (known) sendActiveReset(this);
    this.finish();
  }

  /** An ICMP error: `final` ends a connection that is not established. */
  icmpError(error: TcpErrno, final: boolean): void {
    if (this.state === "SYN_SENT" || (this.state === "SYN_RECV" && !this.passive)) {
      if (final) this.fail(error);
      else this.softError = error;
    } else this.softError = error;
  }

  /** ICMP fragmentation needed (`tcp_v4_mtu_reduced()`): what was too long is sent again. `mtu` in bytes. */
  reducePathMtu(mtu: number): void {
    if (mtu >= this.pathMtu) return;
    this.pathMtu = mtu;
    const before = this.mss;
    updateMss(this);
    if (this.mss < before && this.queue.count > 0) resendTooLong(this);
  }

  /** A timer's work, all of it before what it causes. */
  private timed(handler: (connection: Connection) => void): void {
    this.scheduler.disable();
    this.busy = true;
    handler(this);
    this.busy = false;
    if (this.news !== 0) this.flush();
    this.scheduler.enable();
  }

  // News.

  /** Something for the owner to know, once the segment at hand is dealt with. */
  tell(news: number): void {
    this.news |= news;
    if (!this.busy) this.flush();
  }

  private flush(): void {
    const { news, owner } = this;
    this.news = 0;
    if (news & ESTABLISHED) owner.established(this);
    if (news & READABLE) owner.readable(this);
    if (news & WRITABLE) owner.writable(this);
    if (news & FAILED) owner.failed(this, this.error!);
    if (news & CLOSED) owner.ended(this);
  }

  // How it ends.

  /** The connection is over for a reason that the program must hear. */
  fail(error: TcpErrno): void {
    if (this.over) return;
    this.error = error;
    this.news |= FAILED;
    this.finish();
  }

  /** The peer knows no more: 60 s in TIME_WAIT. */
  enterTimeWait(): void {
    timeWait(this);
  }

  /** Nothing is left: `tcp_done()`. What arrived can still be read. */
  finish(): void {
    if (this.over) return;
    this.over = true;
    this.state = "CLOSE";
    this.stopTimers();
    this.queue.clear();
    this.tell(CLOSED);
  }

  stopTimers(): void {
    this.writeTimer.cancel();
    this.idleTimer.cancel();
    this.acks.clear();
    this.waitsFor = "nothing";
  }

  /** Bytes were acknowledged: `tcp_check_space()`. */
  roomMade(): void {
    if (!this.wantsRoom || this.room < this.sendBuffer / 3) return;
    this.wantsRoom = false;
    this.tell(WRITABLE);
  }

  /** `tcp_sndbuf_expand()`: twice the window, with what segments cost beside their data. */
  expandSendBuffer(): void {
    if (this.options.sendBuffer !== undefined) return;
    const cost = 2 ** Math.ceil(Math.log2(Math.max(this.mss, DEFAULT_MSS) + 640)) + 256;
    const wanted = 2 * Math.max(this.congestion.window, 10) * cost;
    if (wanted > this.sendBuffer) this.sendBuffer = Math.min(wanted, this.options.sendBufferMax ?? 4_194_304);
  }
}

const EMPTY = new Uint8Array(0);
