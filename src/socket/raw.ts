import type { Errno, IcmpError, NetworkStack, RawTap } from "../kernel/protocol.ts";
import { NETWORK, type Packet } from "../packet/packet.ts";
import * as ipv4 from "../wire/ipv4.ts";

/** What a raw socket reads: the data behind the IPv4 header. */
export interface RawReceived {
  readonly data: Uint8Array;
  readonly packet: number;
}

/** An ICMP error in its queue (`IP_RECVERR`); `data` is what the quote has of the data that were sent. */
export interface RawError {
  readonly data: Uint8Array;
  readonly error: IcmpError;
  readonly packet: number;
}

/** A raw socket of one protocol, connected to one host: it sees each packet from there beside the transport. */
export class RawSocket {
  onReceive: ((received: RawReceived) => void) | null = null;
  onError: ((error: RawError) => void) | null = null;

  constructor(
    private readonly sockets: RawSockets,
    readonly protocol: number,
    readonly peer: number,
    /** The address that it sends from. */
    readonly source: number,
    /** Of the path to the peer, bytes. */
    readonly mtu: number,
  ) {}

  /** Sends data behind an IPv4 header; null when the kernel took it. Borrows `data`. */
  send(data: Uint8Array, ttl: number, dontFragment: boolean): Errno | null {
    return this.sockets.send(this, data, ttl, dontFragment);
  }

  close(): void {
    this.sockets.close(this);
  }
}

/** Raw sockets of one namespace (`raw_sendmsg()`). */
export class RawSockets implements RawTap {
  private readonly open = new Set<RawSocket>();

  constructor(private readonly stack: NetworkStack) {
    stack.raw = this;
  }

  /** A socket that is connected already, or why it cannot be. */
  connect(protocol: number, peer: number): RawSocket | Errno {
    const path = this.stack.path({ destination: peer, source: 0, tos: 0, mark: 0, device: 0 });
    if (path.error !== null) return path.error;
    const socket = new RawSocket(this, protocol, peer, path.source, path.mtu);
    this.open.add(socket);
    return socket;
  }

  close(socket: RawSocket): void {
    this.open.delete(socket);
  }

  send(socket: RawSocket, data: Uint8Array, ttl: number, dontFragment: boolean): Errno | null {
    return this.stack.send({
      destination: socket.peer,
      source: socket.source,
      tos: 0,
      mark: 0,
      device: 0,
      protocol: socket.protocol,
      ttl,
      dontFragment,
      ignoreDf: !dontFragment,
      length: data.length,
      parent: 0,
      socket,
      write: (packet, at) => packet.bytes.set(data, at),
    });
  }

  receive(packet: Packet, at: number): boolean {
    if (this.open.size === 0) return false;
    const { view } = packet;
    const protocol = ipv4.protocol(view, NETWORK);
    const takers = this.find(protocol, ipv4.source(view, NETWORK), ipv4.destination(view, NETWORK));
    for (const socket of takers) socket.onReceive?.({ data: packet.bytes.slice(at, packet.end), packet: packet.id });
    return takers.length > 0;
  }

  error(packet: Packet, at: number, end: number, error: IcmpError): void {
    if (this.open.size === 0) return;
    const { view } = packet;
    const takers = this.find(ipv4.protocol(view, at), ipv4.destination(view, at), ipv4.source(view, at));
    const data = packet.bytes.slice(at + ipv4.headerLength(view, at), end);
    for (const socket of takers) socket.onError?.({ data, error, packet: packet.id });
  }

  private find(protocol: number, peer: number, source: number): RawSocket[] {
    return [...this.open].filter(
      (socket) => socket.protocol === protocol && socket.peer === peer && socket.source === source,
    );
  }
}
