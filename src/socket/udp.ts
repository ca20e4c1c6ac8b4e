import type { Errno, IcmpError, MtuDiscovery, NetworkStack, SeenSocket, Transport } from "../kernel/protocol.ts";
import { NETWORK, type Packet } from "../packet/packet.ts";
import type { Random } from "../sim/random.ts";
import type { CallListener } from "../trace/socket-call.ts";
import { formatIpv4 } from "../wire/address.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as udp from "../wire/udp.ts";
import { errnoOf } from "./icmp-errno.ts";
import { acceptsPathMtu, ignoresDf, usesPathMtu } from "./mtu-discovery.ts";
import { type Bound, PortTable } from "./port-table.ts";

/** A datagram as a program reads it. */
export interface Received {
  readonly from: { readonly address: number; readonly port: number };
  /** The address that it was sent to. */
  readonly to: number;
  readonly data: Uint8Array;
  /** The packet that brought it. */
  readonly packet: number;
}

/** An ICMP error in a socket's error queue (`IP_RECVERR`). */
export interface SocketError {
  readonly errno: Errno;
  readonly error: IcmpError;
  /** Where the packet was going. */
  readonly to: { readonly address: number; readonly port: number };
  readonly packet: number;
}

export interface UdpOptions {
  readonly ttl?: number;
  readonly tos?: number;
  readonly mark?: number;
  /** Index of the only device it uses. */
  readonly device?: number;
  readonly broadcast?: boolean;
  /** `IP_TRANSPARENT`. */
  readonly transparent?: boolean;
  readonly reuse?: boolean;
  readonly discovery?: MtuDiscovery;
  /** `IP_RECVERR`: every error, not only the final ones, is reported. */
  readonly reportErrors?: boolean;
}

export interface UdpDestination {
  readonly address: number;
  readonly port: number;
  readonly source?: number;
}

/** A UDP socket. */
export class UdpSocket implements Bound, SeenSocket {
  /** What it receives on. */
  address = 0;
  /** What it sends from; 0 lets routing choose, as for a socket bound to a group. */
  source = 0;
  port = 0;
  peer: { readonly address: number; readonly port: number } | null = null;
  readonly reuse: boolean;
  readonly discovery: MtuDiscovery;
  readonly full = true;
  /** What arrived and nobody read. */
  readonly received: Received[] = [];
  readonly errors: SocketError[] = [];
  /** `SO_ERROR`: reported once, by the next call. */
  pending: Errno | null = null;
  /** Whether `shutdown()` has ended what it sends; what arrives is read all the same. */
  private silent = false;
  /** Called when something arrived; null leaves it in `received`. */
  onReceive: ((datagram: Received) => void) | null = null;
  onError: ((error: SocketError) => void) | null = null;

  constructor(
    readonly sockets: UdpSockets,
    readonly options: UdpOptions,
    discovery: MtuDiscovery,
  ) {
    this.reuse = options.reuse ?? false;
    this.discovery = options.discovery ?? discovery;
  }

  get device(): number {
    return this.options.device ?? 0;
  }

  get mark(): number {
    return this.options.mark ?? 0;
  }

  get connected(): boolean {
    return this.peer !== null;
  }

  get transparent(): boolean {
    return this.options.transparent ?? false;
  }

  /** For the output path. */
  get ignoresPathMtu(): boolean {
    return !usesPathMtu(this.discovery);
  }

  bind(address: number, port: number): Errno | null {
    this.sockets.onCall?.(this, { name: "bind", address, port });
    return this.sockets.bind(this, address, port);
  }

  connect(address: number, port: number): Errno | null {
    this.sockets.onCall?.(this, { name: "connect", address, port });
    return this.sockets.connect(this, address, port);
  }

  /**
   * Sends to `to`, or to the connected peer; null when the kernel took it. `parent` is the packet that it answers,
   * `source` the address to send from where that is not the socket's (`IP_PKTINFO`).
   */
  send(data: Uint8Array, to: UdpDestination | null = null, parent = 0): Errno | null {
    this.sockets.onCall?.(this, { name: "send", data: data.slice(), to });
    return this.sockets.send(this, data, to ?? this.peer, parent);
  }

  /** `inet_shutdown()`: it holds for a socket without a peer, too, which is told otherwise. */
  shutdown(how: "read" | "write" | "both"): Errno | null {
    this.sockets.onCall?.(this, { name: "shutdown", how });
    if (how !== "read") this.silent = true;
    return this.peer === null ? "ENOTCONN" : null;
  }

  /** `sock_alloc_send_skb()`: what the last datagram met is told only where the next could have gone out. */
  takeSendError(): Errno | null {
    const { pending } = this;
    this.pending = null;
    return pending ?? (this.silent ? "EPIPE" : null);
  }

  close(): void {
    this.sockets.onCall?.(this, { name: "close" });
    this.sockets.close(this);
  }
}

/** UDP of one namespace (`udp_rcv()`, `udp_sendmsg()`). */
export class UdpSockets implements Transport {
  private readonly table = new PortTable<UdpSocket>();
  private readonly asker = { address: 0, port: 0 };

  constructor(
    private readonly stack: NetworkStack,
    private readonly random: Random,
  ) {
    stack.register(ipv4.PROTOCOL_UDP, this);
  }

  /** Every socket that has a port. */
  get all(): UdpSocket[] {
    return [...this.table];
  }

  get onCall(): CallListener | null {
    return this.stack.onCall;
  }

  open(options: UdpOptions = {}): UdpSocket {
    return new UdpSocket(this, options, this.stack.mtuDiscovery);
  }

  bind(socket: UdpSocket, address: number, port: number): Errno | null {
    if (socket.port !== 0) return "EINVAL";
    const kind = address === 0 ? "own" : this.stack.mayBind(address, socket.transparent);
    if (kind === null) return "EADDRNOTAVAIL";
    const chosen = port !== 0 ? port : this.table.choose(address, this.stack.localPorts, this.random);
    if (chosen === 0 || this.table.conflicts(address, chosen, socket.reuse)) return "EADDRINUSE";
    socket.address = address;
    socket.source = kind === "group" ? 0 : address;
    socket.port = chosen;
    this.table.add(socket);
    return null;
  }

  connect(socket: UdpSocket, address: number, port: number): Errno | null {
    const first = this.stack.path({ ...this.where(socket), destination: address });
    if (first.error !== null) return first.error;
    // ip_route_connect() asks again with the source that it was given.
    const path = this.stack.path({ ...this.where(socket), destination: address || first.source, source: first.source });
    if (path.error !== null) return path.error;
    if (path.broadcast && socket.options.broadcast !== true) return "EACCES";
    if (socket.port === 0) {
      const failed = this.bind(socket, path.source, 0);
      if (failed !== null) return failed;
    } else if (socket.address === 0) socket.address = socket.source = path.source;
    socket.peer = { address: address || path.source, port };
    return null;
  }

  close(socket: UdpSocket): void {
    if (socket.port !== 0) this.table.remove(socket);
    socket.port = 0;
  }

  private where(socket: UdpSocket) {
    const { options } = socket;
    return {
      source: socket.source,
      tos: options.tos ?? 0,
      mark: options.mark ?? 0,
      device: options.device ?? 0,
      anySource: socket.transparent,
    };
  }

  send(socket: UdpSocket, data: Uint8Array, to: UdpDestination | null, parent: number): Errno | null {
    if (to === null) return "EDESTADDRREQ";
    if (data.length > 65_507) return "EMSGSIZE";
    if (to.port === 0) return "EINVAL";
    if (socket.port === 0) {
      const failed = this.bind(socket, 0, 0);
      if (failed !== null) return failed;
    }
    const { options } = socket;
    const { source = socket.source } = to;
    if (source !== socket.source && this.stack.mayBind(source, socket.transparent) !== "own") return "EINVAL";
    const where = { ...this.where(socket), source, destination: to.address };
    const path = this.stack.path(where);
    if (path.error !== null) return path.error;
    if (path.broadcast && options.broadcast !== true) return "EACCES";
    const length = udp.UDP_HEADER + data.length;
    const { discovery } = socket;
    const ignoreDf = ignoresDf(discovery);
    const mtu = usesPathMtu(discovery) ? path.mtu : path.linkMtu;
    const whole = length + ipv4.IPV4_HEADER;
    if (whole > mtu && !ignoreDf) {
      if (options.reportErrors === true) socket.errors.push(localError("EMSGSIZE", mtu, to));
      return "EMSGSIZE";
    }
    const insists = discovery === 2 || discovery === 3;
    const failed = socket.takeSendError();
    if (failed !== null) return failed;
    const error = this.stack.send({
      ...where,
      protocol: ipv4.PROTOCOL_UDP,
      ttl: options.ttl ?? 0,
      dontFragment: insists || (discovery === 1 && whole <= path.mtu),
      unlessLocked: discovery === 1,
      ignoreDf,
      withoutId: insists && socket.peer === null,
      length,
      parent,
      socket,
      write(packet, at, source) {
        packet.bytes.set(data, at + udp.UDP_HEADER);
        udp.write(packet.view, at, { source: socket.port, destination: to.port }, length, {
          source,
          destination: to.address || source,
        });
      },
    });
    return error === "ENOBUFS" && options.reportErrors !== true ? null : error;
  }

  /** `udp_rcv()`. Takes ownership. */
  receive(packet: Packet, at: number): void {
    const { view } = packet;
    const room = packet.end - at;
    if (room < udp.UDP_HEADER) {
      this.stack.drop(packet, "PKT_TOO_SMALL");
      return;
    }
    const length = udp.length(view, at);
    if (length < udp.UDP_HEADER || length > room) {
      this.stack.drop(packet, "PKT_TOO_SMALL");
      return;
    }
    const source = ipv4.source(view, NETWORK);
    const destination = ipv4.destination(view, NETWORK);
    if (!udp.isValid(view, at, length, source, destination)) {
      this.stack.drop(packet, "UDP_CSUM");
      return;
    }
    const port = udp.destinationPort(view, at);
    const from = { address: source, port: udp.sourcePort(view, at) };
    const data = packet.bytes.slice(at + udp.UDP_HEADER, at + length);
    const datagram: Received = { from, to: destination, data, packet: packet.id };
    // inet_steal_sock(): TPROXY has found it.
    const given = packet.socket as UdpSocket | null;
    if (given === null && this.stack.isForGroup(packet)) {
      this.deliverToAll(packet, datagram, port);
      return;
    }
    const socket = given ?? this.find(destination, port, from, this.stack.deviceForSockets(packet));
    if (socket === null) {
      this.stack.portUnreachable(packet);
      this.stack.drop(packet, "NO_SOCKET");
      return;
    }
    this.stack.deliver(packet, `udp ${formatIpv4(socket.address)}:${port}`);
    hand(socket, datagram);
  }

  /** `__udp4_lib_mcast_deliver()`: every socket that would take it gets a copy. Takes ownership. */
  private deliverToAll(packet: Packet, datagram: Received, port: number): void {
    const { device } = packet;
    const takers = this.table.on(port).filter((socket) => score(socket, datagram.to, datagram.from, device) >= 0);
    if (takers.length === 0) this.stack.drop(packet, "NO_SOCKET");
    else this.stack.deliver(packet, `udp ${formatIpv4(takers[0]!.address)}:${port}`);
    for (const socket of takers) hand(socket, datagram);
  }

  lookup(local: number, localPort: number, remote: number, remotePort: number, device: number): UdpSocket | null {
    this.asker.address = remote;
    this.asker.port = remotePort;
    return this.find(local, localPort, this.asker, device);
  }

  /** `udp4_lib_lookup2()`: the socket that names most of the flow, the newest among equals. */
  private find(
    address: number,
    port: number,
    from: { address: number; port: number },
    device: number,
  ): UdpSocket | null {
    let best: UdpSocket | null = null;
    let bestScore = -1;
    for (const socket of this.table.on(port)) {
      const points = score(socket, address, from, device);
      if (points > bestScore) {
        best = socket;
        bestScore = points;
      }
    }
    return best;
  }

  /** `__udp4_lib_err()`. Borrows. */
  error(packet: Packet, at: number, end: number, error: IcmpError): void {
    const { view } = packet;
    const transport = at + ipv4.headerLength(view, at);
    if (end - transport < 4) return;
    const to = { address: ipv4.destination(view, at), port: udp.destinationPort(view, transport) };
    const socket = this.find(ipv4.source(view, at), udp.sourcePort(view, transport), to, packet.device);
    if (socket === null) return;
    const { options } = socket;
    const tooBig = error.type === icmp.UNREACHABLE && error.code === icmp.FRAGMENTATION_NEEDED;
    if (error.type === icmp.REDIRECT || (tooBig && acceptsPathMtu(socket.discovery)))
      this.stack.noteError(packet, at, error);
    const news = errnoOf(error);
    if (news === null || (tooBig && socket.discovery === 0)) return;
    const connected = socket.peer !== null;
    const entry: SocketError = { errno: news.errno, error, to, packet: packet.id };
    if (options.reportErrors === true) {
      socket.errors.push(entry);
      socket.pending = news.errno;
    } else if (connected && (news.final || tooBig)) socket.pending = news.errno;
    socket.onError?.(entry);
  }
}

/** `ip_local_error()`: no ICMP message told it. */
function localError(errno: Errno, information: number, to: SocketError["to"]): SocketError {
  return { errno, error: { type: 0, code: 0, information, from: 0, ttl: 0 }, to, packet: 0 };
}

function hand(socket: UdpSocket, datagram: Received): void {
  if (socket.onReceive !== null) {
    socket.sockets.onCall?.(socket, { name: "receive" });
    socket.onReceive(datagram);
  } else socket.received.push(datagram);
}

/** `compute_score()`: how much of the flow this socket names; -1 when the datagram is not for it. */
function score(
  socket: UdpSocket,
  address: number,
  from: { readonly address: number; readonly port: number },
  device: number,
): number {
  const { peer, options } = socket;
  if (socket.address !== 0 && socket.address !== address) return -1;
  if (peer !== null && (peer.address !== from.address || peer.port !== from.port)) return -1;
  if (options.device !== undefined && options.device !== device) return -1;
  return (socket.address !== 0 ? 1 : 0) + (peer !== null ? 2 : 0) + (options.device !== undefined ? 1 : 0);
}
