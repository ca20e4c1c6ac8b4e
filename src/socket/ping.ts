import type { Errno, IcmpError, NetworkStack, OutputPath, Transport } from "../kernel/protocol.ts";
import { NETWORK, type Packet } from "../packet/packet.ts";
import type { CallListener } from "../trace/socket-call.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";

/** An answer to an echo request. */
export interface Echo {
  readonly from: number;
  readonly sequence: number;
  readonly ttl: number;
  /** ICMP message length in bytes, header included. */
  readonly bytes: number;
  /** What came behind the header. */
  readonly data: Uint8Array;
  readonly packet: number;
}

/** News of an echo request that did not arrive. */
export interface EchoError {
  readonly sequence: number;
  readonly error: IcmpError;
  readonly packet: number;
}

export interface EchoOptions {
  /** Bytes of data, counted up from zero. */
  readonly size?: number;
  /** The data itself, instead. Borrowed. */
  readonly data?: Uint8Array;
  readonly ttl?: number;
  /** `IP_MTU_DISCOVER`: 0 never sets DF, 1 sets it while it fits, 2 insists. */
  readonly discovery?: 0 | 1 | 2;
}

/** A socket for ICMP echo (`ping_socket`), known by its identifier. */
export class PingSocket {
  onReply: ((echo: Echo) => void) | null = null;
  onError: ((error: EchoError) => void) | null = null;

  constructor(
    readonly sockets: PingSockets,
    readonly identifier: number,
  ) {}

  /** Sends one request with `size` bytes of data; null when the kernel took it. */
  send(to: number, sequence: number, options: EchoOptions = {}): Errno | null {
    const { data = null, size = 56, ttl = 0, discovery = 1 } = options;
    this.sockets.onCall?.(this, { name: "echo", to, sequence, size, data, ttl, dontFragment: discovery > 0 });
    return this.sockets.send(this, to, sequence, options);
  }

  /** What is known of the path's MTU, `IP_MTU`; 0 where there is no route. */
  pathMtu(to: number): number {
    return this.sockets.path(to).mtu;
  }

  close(): void {
    this.sockets.close(this);
  }
}

/** ICMP echo sockets of one namespace. */
export class PingSockets implements Transport {
  private readonly open = new Map<number, PingSocket>();
  private last = 0;

  constructor(private readonly stack: NetworkStack) {
    stack.register(ipv4.PROTOCOL_ICMP, this);
  }

  get onCall(): CallListener | null {
    return this.stack.onCall;
  }

  /** @throws {RangeError} when the identifier is in use. */
  socket(identifier = this.unused()): PingSocket {
    if (this.open.has(identifier)) throw new RangeError(`ICMP identifier ${identifier} is in use`);
    const socket = new PingSocket(this, identifier);
    this.open.set(identifier, socket);
    return socket;
  }

  private unused(): number {
    do this.last = (this.last % 65_535) + 1;
    while (this.open.has(this.last));
    return this.last;
  }

  close(socket: PingSocket): void {
    this.open.delete(socket.identifier);
  }

  path(to: number): OutputPath {
    return this.stack.path({ destination: to, source: 0, tos: 0, mark: 0, device: 0 });
  }

  /** `ping_v4_sendmsg()`. */
  send(socket: PingSocket, to: number, sequence: number, options: EchoOptions): Errno | null {
    const { data, discovery = 1 } = options;
    const size = data?.length ?? options.size ?? 56;
    const length = icmp.ICMP_HEADER + size;
    if (length > 65_535 - ipv4.IPV4_HEADER) return "EMSGSIZE";
    const path = this.path(to);
    if (path.error !== null) return path.error;
    const fits = length + ipv4.IPV4_HEADER <= path.mtu;
    if (!fits && discovery === 2) return "EMSGSIZE";
    return this.stack.send({
      destination: to,
      source: 0,
      tos: 0,
      mark: 0,
      device: 0,
      protocol: ipv4.PROTOCOL_ICMP,
      ttl: options.ttl ?? 0,
      dontFragment: discovery === 2 || (discovery === 1 && fits),
      ignoreDf: discovery < 2,
      length,
      parent: 0,
      socket,
      write(packet, at) {
        icmp.write(packet.view, at, icmp.ECHO_REQUEST, 0, (socket.identifier << 16) | sequence);
        if (data !== undefined) packet.bytes.set(data, at + icmp.ICMP_HEADER);
        else for (let i = 0; i < size; i++) packet.bytes[at + icmp.ICMP_HEADER + i] = i & 255;
        icmp.setChecksum(packet.view, at, length);
      },
    });
  }

  /** `ping_rcv()`. Takes ownership. */
  receive(packet: Packet, at: number): void {
    const { view } = packet;
    const socket = this.open.get(icmp.identifier(view, at));
    if (socket === undefined) {
      this.stack.drop(packet, "NO_SOCKET");
      return;
    }
    const echo: Echo = {
      from: ipv4.source(view, NETWORK),
      sequence: icmp.sequence(view, at),
      ttl: ipv4.ttl(view, NETWORK),
      bytes: packet.end - at,
      data: packet.bytes.slice(at + icmp.ICMP_HEADER, packet.end),
      packet: packet.id,
    };
    this.stack.deliver(packet, `ping id ${socket.identifier}`);
    socket.onReply?.(echo);
  }

  /** `ping_err()`. Borrows. */
  error(packet: Packet, at: number, end: number, error: IcmpError): void {
    const { view } = packet;
    const transport = at + ipv4.headerLength(view, at);
    if (end - transport < icmp.ICMP_HEADER || icmp.type(view, transport) !== icmp.ECHO_REQUEST) return;
    const socket = this.open.get(icmp.identifier(view, transport));
    if (socket === undefined) return;
    const { type, code } = error;
    if (type === icmp.REDIRECT || (type === icmp.UNREACHABLE && code === icmp.FRAGMENTATION_NEEDED))
      this.stack.noteError(packet, at, error);
    socket.onError?.({ sequence: icmp.sequence(view, transport), error, packet: packet.id });
  }
}
