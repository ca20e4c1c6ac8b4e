import type { Errno, IcmpError, NetworkStack, TcpSettings, Transport } from "../kernel/protocol.ts";
import { NETWORK, type Packet } from "../packet/packet.ts";
import type { Random } from "../sim/random.ts";
import type { Scheduler, Sink } from "../sim/scheduler.ts";
import { Connection, type ConnectionOptions } from "../tcp/connection.ts";
import type { OutgoingSegment } from "../tcp/outgoing.ts";
import { Segment } from "../tcp/segment.ts";
import { between } from "../tcp/sequence.ts";
import type { TcpErrno } from "../tcp/state.ts";
import type { CallListener } from "../trace/socket-call.ts";
import type { SocketChange } from "../trace/step.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as tcp from "../wire/tcp.ts";
import { errnoOf } from "./icmp-errno.ts";
import { acceptsPathMtu } from "./mtu-discovery.ts";
import { SegmentDatagram } from "./segment-datagram.ts";
import { SynCookies } from "./syn-cookie.ts";
import { Flows } from "./tcp-flows.ts";
import { TcpPorts } from "./tcp-ports.ts";
import { isOpening, type TcpOptions, TcpSocket } from "./tcp-socket.ts";

export { type Endpoint, type TcpOptions, TcpSocket } from "./tcp-socket.ts";

/** Nanoseconds. `TCP_SYNCOOKIE_VALID`. */
const COOKIE_LIFE = 120e9;

/** TCP of one namespace (`tcp_v4_rcv()`, `tcp_v4_connect()`). */
export class TcpSockets implements Transport {
  private readonly ports = new TcpPorts<TcpSocket>();
  private readonly flows = new Flows<TcpSocket>();
  private readonly cookies: SynCookies;
  private readonly datagram = new SegmentDatagram();
  /** A segment for each level of nesting: what one causes may come back while it is dealt with. */
  private readonly segments: Segment[] = [new Segment()];
  private depth = 0;
  private readonly waker: Sink<TcpSocket> = { receive: (socket) => socket.wake() };
  /** The packet that is being dealt with, 0 for none: what it causes answers it. */
  cause = 0;

  constructor(
    private readonly stack: NetworkStack,
    private readonly scheduler: Scheduler,
    private readonly random: Random,
  ) {
    this.cookies = new SynCookies(random.fork("syn cookies").next());
    stack.register(ipv4.PROTOCOL_TCP, this);
  }

  /** Every socket that has a port. */
  get all(): TcpSocket[] {
    return [...this.ports];
  }

  get onCall(): CallListener | null {
    return this.stack.onCall;
  }

  open(options: TcpOptions = {}): TcpSocket {
    return new TcpSocket(this, options, this.stack.mtuDiscovery);
  }

  /** The sysctls of the namespace. */
  get sysctls(): TcpSettings {
    return this.stack.tcp;
  }

  /** All connections, TIME_WAIT included. */
  get connections(): Iterable<TcpSocket> {
    return this.flows;
  }

  // Calls.

  bind(socket: TcpSocket, address: number, port: number): Errno | null {
    if (socket.port !== 0 || socket.connection !== null) return "EINVAL";
    if (address !== 0 && this.stack.mayBind(address, socket.transparent) === null) return "EADDRNOTAVAIL";
    const chosen = port !== 0 ? port : this.ports.chooseToBind(this.stack.localPorts, this.random);
    if (chosen === 0 || this.ports.conflicts(socket, address, chosen)) return "EADDRINUSE";
    socket.address = address;
    socket.boundAddress = address;
    this.take(socket, chosen);
    socket.bound = port !== 0;
    return null;
  }

  private take(socket: TcpSocket, port: number): void {
    socket.port = port;
    this.ports.add(socket);
  }

  /** `inet_csk_listen_start()`. */
  listen(socket: TcpSocket, backlog: number): Errno | null {
    if (socket.closed || socket.connection !== null) return "EINVAL";
    if (!socket.listening) {
      if (socket.port === 0) {
        const failed = this.bind(socket, socket.address, 0);
        if (failed !== null) return failed;
      } else if (this.ports.conflicts(socket, socket.address, socket.port)) return "EADDRINUSE";
    }
    socket.backlog = Math.min(backlog, this.stack.tcp.maxBacklog);
    return null;
  }

  /** `inet_csk_listen_stop()`: who was not accepted is reset; answered SYNs are forgotten. */
  stopListening(socket: TcpSocket): void {
    socket.backlog = null;
    for (const child of socket.waiting.splice(0)) child.abort();
    if (socket.requests > 0)
      for (const flow of [...this.flows]) if (flow.listener === socket) flow.connection!.finish();
    this.release(socket);
  }

  /** `tcp_v4_connect()`. */
  connect(socket: TcpSocket, address: number, port: number): Errno | null {
    if (socket.phase !== "unconnected") return this.connectAgain(socket);
    if (socket.listening) return "EISCONN";
    const { options } = socket;
    const where = {
      destination: address,
      source: socket.address,
      tos: options.tos ?? 0,
      mark: options.mark ?? 0,
      device: options.device ?? 0,
      anySource: socket.transparent,
    };
    const path = this.stack.path(where);
    if (path.error !== null) return path.error;
    // To 0.0.0.0 is to this host.
    const to = address || path.source;
    if (path.broadcast || to >>> 28 === 14) return "ENETUNREACH";
    const local = socket.address || path.source;
    if (socket.port === 0) {
      const isFree = (candidate: number) => this.flows.find(local, candidate, to, port) === null;
      const chosen = this.ports.chooseToConnect(this.stack.localPorts, this.random, isFree);
      if (chosen === 0) return "EADDRNOTAVAIL";
      socket.autobound = true;
      socket.address = local;
      this.take(socket, chosen);
    } else if (this.flows.find(local, socket.port, to, port) !== null) return "EADDRNOTAVAIL";
    socket.error = null;
    socket.address = local;
    socket.localAddress = local;
    socket.remoteAddress = to;
    socket.remotePort = port;
    this.adopt(socket, path.mtu, socket.nextSequence);
    socket.phase = "connecting";
    this.tell("connects", socket);
    socket.connection!.open();
    return null;
  }

  /** `__inet_stream_connect()`: the call that follows the first says what became of that. */
  private connectAgain(socket: TcpSocket): Errno | null {
    if (socket.phase === "connected") return "EISCONN";
    if (socket.phase === "disconnecting") return "EINVAL";
    if (isOpening(socket.state)) return "EALREADY";
    if (socket.state !== "CLOSE") {
      socket.phase = "connected";
      return null;
    }
    socket.disconnect();
    return socket.takeError() ?? "ECONNABORTED";
  }

  /** Begins a connection between the two ends that the socket names. */
  private adopt(socket: TcpSocket, mtu: number, iss?: number, agreed: Partial<ConnectionOptions> = {}): void {
    const options = { ...this.settings(socket.options, mtu), ...agreed };
    socket.identification = this.random.below(65_536);
    socket.connection = new Connection(socket, this.scheduler, this.random, options, iss);
    this.flows.add(socket);
  }

  private settings(options: TcpOptions, mtu: number): ConnectionOptions {
    const { tcp } = this.stack;
    const keepAlive = options.keepAlive === undefined ? null : { ...tcp.keepAlive, ...options.keepAlive };
    return { ...tcp, mtu, gso: true, ...options, keepAlive };
  }

  /** A connection stands that came in by a listener (`__inet_inherit_port()`). */
  inherit(child: TcpSocket): void {
    this.ports.add(child);
  }

  /** Nothing of its connection is left (`tcp_done()`): the flow is free, and the port unless a program chose it. */
  release(socket: TcpSocket): void {
    this.flows.remove(socket);
    if (socket.listener !== null) {
      socket.listener.requests--;
      socket.listener = null;
    }
    if (socket.bound && !socket.closed) return;
    this.ports.remove(socket);
    if (!socket.bound) socket.address = 0;
  }

  tell(change: SocketChange, socket: TcpSocket, error: Errno | null = null): void {
    this.stack.tellSocket(change, socket, this.cause, error);
  }

  /** The socket's callbacks run in this instant, behind the call that its program is in. */
  wakeLater(socket: TcpSocket): void {
    this.scheduler.defer(this.waker, socket);
  }

  // Segments out.

  /** False when it could not leave this host. */
  transmit(socket: TcpSocket, connection: Connection, segment: OutgoingSegment): boolean {
    this.datagram.fill(socket, connection, segment, this.cause);
    return this.stack.send(this.datagram) === null;
  }

  // Segments in.

  /** `tcp_v4_rcv()`. Takes ownership. */
  receive(packet: Packet, at: number): void {
    const { view } = packet;
    const source = ipv4.source(view, NETWORK);
    const destination = ipv4.destination(view, NETWORK);
    const bytes = packet.end - at;
    const short =
      bytes < tcp.TCP_HEADER || tcp.headerLength(view, at) < tcp.TCP_HEADER || tcp.headerLength(view, at) > bytes;
    if (packet.type !== "host" || short) {
      this.stack.drop(packet, short ? "PKT_TOO_SMALL" : "OTHERHOST");
      return;
    }
    if (!tcp.isValid(view, at, bytes, source, destination)) {
      this.stack.drop(packet, "TCP_CSUM");
      return;
    }
    const port = tcp.destinationPort(view, at);
    // inet_steal_sock(): TPROXY has found it.
    const given = packet.socket as TcpSocket | null;
    const socket =
      given?.listening === true
        ? null
        : (given ?? this.flows.find(destination, port, source, tcp.sourcePort(view, at)));
    if (socket === null)
      this.receiveByListener(
        packet,
        at,
        given ?? this.findListener(destination, port, this.stack.deviceForSockets(packet)),
      );
    else if (socket.busy) socket.pending.push({ packet, at });
    else this.process(socket, packet, at);
  }

  /** `release_sock()`: what arrived while a program was inside a call, and what it could not do then; nothing comes between. */
  unlock(socket: TcpSocket): void {
    for (let next = socket.pending.shift(); next !== undefined; next = socket.pending.shift())
      this.process(socket, next.packet, next.at);
    this.scheduler.disable();
    if (socket.pendingMtu !== 0) {
      socket.connection?.reducePathMtu(socket.pendingMtu);
      socket.pendingMtu = 0;
    }
    socket.busy = false;
    this.scheduler.enable();
  }

  private read(packet: Packet, at: number): Segment {
    const segment = (this.segments[this.depth] ??= new Segment());
    segment.read(packet.bytes, packet.view, at, packet.end);
    return segment;
  }

  /** `tcp_v4_do_rcv()`: a segment of a connection. Takes ownership. */
  private process(socket: TcpSocket, packet: Packet, at: number): void {
    const { stack, cause } = this;
    const segment = this.read(packet, at);
    this.depth++;
    this.cause = packet.id;
    const fate = socket.connection!.receive(segment);
    this.depth--;
    if (fate === "reset") {
      stack.resetTcp(packet, at, socket.listener ?? socket);
      stack.drop(packet, "TCP_RESET");
    } else if (fate === "reopen") this.reopen(socket, packet, at);
    else if (fate === "accepted") stack.deliver(packet, socket.name);
    else stack.drop(packet, fate);
    this.cause = cause;
  }

  /** A SYN for a connection in TIME_WAIT: a listener may take it anew. Takes ownership. */
  private reopen(socket: TcpSocket, packet: Packet, at: number): void {
    const old = socket.connection!;
    const listener = this.findListener(socket.localAddress, socket.port, this.stack.deviceForSockets(packet));
    if (listener === null) {
      this.stack.drop(packet, "TCP_INVALID_SYN");
      return;
    }
    const iss = (old.sndNxt + 65_537) | 0;
    old.finish();
    this.answerSyn(listener, packet, at, iss);
  }

  /** `__inet_lookup()`. */
  lookup(local: number, localPort: number, remote: number, remotePort: number, device: number): TcpSocket | null {
    return this.flows.find(local, localPort, remote, remotePort) ?? this.findListener(local, localPort, device);
  }

  /** `inet_lookup_listener()`: the socket that names most of the address, the newest among equals. */
  private findListener(address: number, port: number, from: number): TcpSocket | null {
    let best: TcpSocket | null = null;
    let bestScore = -1;
    for (const socket of this.ports.on(port)) {
      const { device } = socket.options;
      if (!socket.listening || (socket.address !== 0 && socket.address !== address)) continue;
      if (device !== undefined && device !== from) continue;
      const score = (socket.address !== 0 ? 1 : 0) + (device !== undefined ? 2 : 0);
      if (score > bestScore) {
        best = socket;
        bestScore = score;
      }
    }
    return best;
  }

  /** Takes ownership. */
  private receiveByListener(packet: Packet, at: number, listener: TcpSocket | null): void {
    const { stack } = this;
    const flags = tcp.flags(packet.view, at);
    const acknowledges = (flags & (tcp.ACK | tcp.SYN | tcp.RST)) === tcp.ACK;
    if (acknowledges && listener !== null && this.openByCookie(listener, packet, at)) return;
    if (listener === null || flags & tcp.ACK) {
      stack.resetTcp(packet, at, listener);
      stack.drop(packet, listener === null ? "NO_SOCKET" : "TCP_FLAGS");
    } else if (flags & tcp.RST) stack.drop(packet, "TCP_RESET");
    else if (!(flags & tcp.SYN) || flags & tcp.FIN) stack.drop(packet, "TCP_FLAGS");
    else this.answerSyn(listener, packet, at);
  }

  /** `tcp_conn_request()`. Takes ownership. */
  private answerSyn(listener: TcpSocket, packet: Packet, at: number, iss?: number): void {
    const { stack, cause } = this;
    const backlog = listener.backlog!;
    const { synCookies } = stack.tcp;
    const full = (synCookies === 2 || listener.requests > backlog) && iss === undefined;
    if (listener.waiting.length > backlog || (full && synCookies === 0)) {
      stack.drop(packet, "TCP_LISTEN_OVERFLOW");
      return;
    }
    const child = this.makeChild(listener, packet, at);
    const mtu = this.pathMtu(child);
    if (mtu === null) {
      stack.drop(packet, "IP_OUTNOROUTES");
      return;
    }
    const segment = this.read(packet, at);
    this.depth++;
    this.cause = packet.id;
    listener.requests++;
    if (full) this.adoptByCookie(child, segment, this.cookies.make(child, segment, this.scheduler.now), mtu);
    else this.adopt(child, mtu, iss);
    child.connection!.respond(segment);
    if (full) {
      // Nothing is kept.
      listener.cookiesUntil = this.scheduler.now + COOKIE_LIFE;
      child.connection!.finish();
    }
    this.depth--;
    this.cause = cause;
    stack.deliver(packet, listener.name);
  }

  /** The other end of a connection that a segment for a listener begins. */
  private makeChild(listener: TcpSocket, packet: Packet, at: number): TcpSocket {
    const { view } = packet;
    const child = new TcpSocket(this, listener.options, listener.discovery);
    child.listener = listener;
    child.held = false;
    child.address = child.localAddress = ipv4.destination(view, NETWORK);
    child.port = tcp.destinationPort(view, at);
    child.remoteAddress = ipv4.source(view, NETWORK);
    child.remotePort = tcp.sourcePort(view, at);
    return child;
  }

  private adoptByCookie(child: TcpSocket, syn: Segment, cookie: number, mtu: number): void {
    const plain = syn.timestamps ? {} : { timestamps: false, sack: false, windowScaling: false };
    this.adopt(child, mtu, cookie, { ...plain, tsOffset: cookie });
  }

  /** `cookie_v4_check()`: false when the segment does not acknowledge a cookie. Takes ownership if it does. */
  private openByCookie(listener: TcpSocket, packet: Packet, at: number): boolean {
    const { now } = this.scheduler;
    if (now > listener.cookiesUntil) return false;
    const child = this.makeChild(listener, packet, at);
    const mtu = this.pathMtu(child);
    const syn = new Segment();
    if (mtu === null || !this.cookies.read(child, this.read(packet, at), now, syn)) return false;
    const iss = (tcp.acknowledgement(packet.view, at) - 1) | 0;
    listener.requests++;
    this.adoptByCookie(child, syn, iss, mtu);
    child.connection!.expectAck(syn);
    this.process(child, packet, at);
    if (child.state === "SYN_RECV") child.connection!.finish();
    return true;
  }

  // Errors.

  /** `tcp_v4_err()`. Borrows. */
  error(packet: Packet, at: number, end: number, error: IcmpError): void {
    const { view } = packet;
    const transport = at + ipv4.headerLength(view, at);
    if (end - transport < 8) return;
    const socket = this.flows.find(
      ipv4.source(view, at),
      tcp.sourcePort(view, transport),
      ipv4.destination(view, at),
      tcp.destinationPort(view, transport),
    );
    if (socket === null || socket.connection === null) return;
    const { connection } = socket;
    const tooBig = error.type === icmp.UNREACHABLE && error.code === icmp.FRAGMENTATION_NEEDED;
    if (connection.state === "TIME_WAIT" || connection.state === "CLOSE") return;
    if (!between(tcp.sequenceNumber(view, transport), connection.sndUna, connection.sndNxt)) return;
    if (socket.listener !== null) {
      // `tcp_req_err()`: only what says that the peer cannot be reached ends a request.
      const gone = error.type !== icmp.UNREACHABLE || error.code <= icmp.HOST_UNREACHABLE;
      if (gone && error.type !== icmp.REDIRECT) connection.finish();
      return;
    }
    if (error.type === icmp.REDIRECT || tooBig) this.stack.noteError(packet, at, error);
    if (error.type === icmp.REDIRECT) return;
    if (tooBig) this.pathShrank(socket);
    else this.complain(socket, error, packet.id);
  }

  private complain(socket: TcpSocket, error: IcmpError, packet: number): void {
    const news = errnoOf(error);
    if (news === null) return;
    const { cause } = this;
    this.cause = packet;
    socket.lastIcmp = error;
    socket.connection!.icmpError(news.errno as TcpErrno, !socket.busy);
    this.cause = cause;
  }

  /** `tcp_v4_mtu_reduced()`. */
  private pathShrank(socket: TcpSocket): void {
    const mtu = this.pathMtu(socket);
    if (mtu === null || socket.discovery === 0 || !acceptsPathMtu(socket.discovery)) return;
    if (socket.busy) socket.pendingMtu = mtu;
    else socket.connection!.reducePathMtu(mtu);
  }

  /** Bytes that fit the way to its peer; null when there is none. */
  private pathMtu({ remoteAddress, localAddress, options, transparent }: TcpSocket): number | null {
    const path = this.stack.path({
      destination: remoteAddress,
      source: localAddress,
      tos: options.tos ?? 0,
      mark: options.mark ?? 0,
      device: options.device ?? 0,
      anySource: transparent,
    });
    return path.error === null ? path.mtu : null;
  }
}
