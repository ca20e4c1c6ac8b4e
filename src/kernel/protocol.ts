import type { Packet } from "../packet/packet.ts";
import type { DropReason } from "../trace/reason.ts";
import type { CallListener } from "../trace/socket-call.ts";
import type { SocketChange } from "../trace/step.ts";
import type { EchoedOptions } from "./ip-options.ts";

/** The error names that system calls of the network stack return. */
export type Errno =
  | "EPERM"
  | "EACCES"
  | "EINVAL"
  | "EMSGSIZE"
  | "ENETUNREACH"
  | "EHOSTUNREACH"
  | "ENETDOWN"
  | "ECONNREFUSED"
  | "EADDRINUSE"
  | "EADDRNOTAVAIL"
  | "EDESTADDRREQ"
  | "EAGAIN"
  | "ENOBUFS"
  | "EPROTO"
  | "ENOPROTOOPT"
  | "EHOSTDOWN"
  | "ENONET"
  | "EOPNOTSUPP"
  | "ECONNRESET"
  | "ECONNABORTED"
  | "ETIMEDOUT"
  | "EPIPE"
  | "ENOTCONN"
  | "EISCONN"
  | "EALREADY"
  | "EINPROGRESS"
  | "ENOENT";

/**
 * `IP_MTU_DISCOVER`: 0 never sets DF, 1 sets it while it fits, 2 insists, 3 insists and ignores what was learned; 4 and 5
 * never set it, ignore and learn nothing, and 4 refuses what the first link cannot take whole.
 */
export type MtuDiscovery = 0 | 1 | 2 | 3 | 4 | 5;

/** What an ICMP error says of a packet that this host sent. */
export interface IcmpError {
  readonly type: number;
  readonly code: number;
  /** Next-hop MTU, gateway or pointer, as the message carries it. */
  readonly information: number;
  /** Who says so. */
  readonly from: number;
  /** What was left of the message's TTL. */
  readonly ttl: number;
}

/** A socket as a rule sees it (`struct sock`). */
export interface SeenSocket {
  /** What it receives on; 0 for every address. */
  readonly address: number;
  /** `SO_MARK`. */
  readonly mark: number;
  /** It has a peer, so that it takes nothing else. */
  readonly connected: boolean;
  /** `IP_TRANSPARENT`: it may have an address of somebody else. */
  readonly transparent: boolean;
  /** False for what stands in for one: an answered SYN, a closed connection that waits (`sk_fullsock()`). */
  readonly full: boolean;
}

/** A transport protocol as local delivery sees it (`struct net_protocol`). */
export interface Transport {
  /** A datagram for this host; the network header stands at NETWORK, `at` is the transport header. Takes ownership. */
  receive(packet: Packet, at: number): void;
  /** An ICMP error quotes a packet of ours; `at` is the quoted IPv4 header, `end` the end of the quote. Borrows. */
  error(packet: Packet, at: number, end: number, error: IcmpError): void;
  /** Who would take a packet of this flow that comes in by this device; null for nobody. */
  lookup?(local: number, localPort: number, remote: number, remotePort: number, device: number): SeenSocket | null;
}

/** Raw sockets, which see what a transport sees, before it (`raw_local_deliver()`, `raw_icmp_error()`). */
export interface RawTap {
  /** True where a socket took a copy. Borrows. */
  receive(packet: Packet, at: number): boolean;
  /** As {@link Transport.error}. Borrows. */
  error(packet: Packet, at: number, end: number, error: IcmpError): void;
}

/** Where a datagram is to go and how; a socket fills it in (`struct flowi4`). */
export interface Destination {
  readonly destination: number;
  /** 0 lets routing choose. */
  readonly source: number;
  readonly tos: number;
  readonly mark: number;
  /** Index of the device it must leave by; 0 for any. */
  readonly device: number;
  /** The source need not be an address of this host (`FLOWI_FLAG_ANYSRC`). */
  readonly anySource?: boolean;
}

/** The answer: the source to use and the path's MTU, or why not. */
export type OutputPath =
  | { readonly error: Errno; readonly source: 0; readonly mtu: 0; readonly linkMtu: 0; readonly broadcast: false }
  | {
      readonly error: null;
      readonly source: number;
      /** What is known of the whole path, bytes. */
      readonly mtu: number;
      /** Of the first link alone. */
      readonly linkMtu: number;
      readonly broadcast: boolean;
    };

/** What the output path asks of the socket that sent a packet. */
export interface Sender {
  /** Only the first link's MTU counts. */
  readonly ignoresPathMtu: boolean;
  /** Index of the only device it uses; 0 for any. */
  readonly device: number;
}

/** A datagram that a socket or the kernel sends; the IPv4 header is made from it. */
export interface Datagram extends Destination {
  readonly protocol: number;
  /** 0 takes the namespace's default. */
  readonly ttl: number;
  readonly dontFragment: boolean;
  /** But not where the path's MTU is locked (`ip_dont_fragment()` of `IP_PMTUDISC_WANT`). */
  readonly unlessLocked?: boolean;
  /** It is cut all the same where the path turns out too narrow (`ip_sk_ignore_df()`). */
  readonly ignoreDf?: boolean;
  /** The header's identification is zero, as for what can never be cut and belongs to no connected socket. */
  readonly withoutId?: boolean;
  /** The header's identification, where the socket counts its own. */
  readonly identification?: number;
  /** The device computes the transport checksum (`CHECKSUM_PARTIAL`): until then the packet has the pseudo header's sum. */
  readonly partialChecksum?: boolean;
  /** Bytes of data in each of the TCP segments that it carries (`gso_size`); 0 or absent for one. */
  readonly segmentSize?: number;
  /** IPv4 options, where it answers a packet that had some. */
  readonly options?: EchoedOptions;
  /** Bytes behind the IPv4 header. */
  readonly length: number;
  /** The packet it answers or quotes, 0 for none. */
  readonly parent: number;
  /** The flow that an error belongs to, as RELATED in the other direction (`nf_ct_attach()`); null for none. */
  readonly relatesTo?: Packet | null;
  /** Writes the payload; addresses are final, so checksums can be computed. */
  write(packet: Packet, at: number, source: number): void;
  readonly socket: object | null;
}

/** A TCP socket as the trace names it. */
export interface TcpName {
  readonly name: string;
  readonly remoteAddress: number;
  readonly remotePort: number;
}

/** The sysctls of TCP that its sockets obey. */
export interface TcpSettings {
  readonly timestamps: boolean;
  readonly sack: boolean;
  readonly windowScaling: boolean;
  readonly congestion: "cubic" | "reno";
  /** `tcp_rmem` and `tcp_wmem`: what a socket begins with and the most it may grow to, bytes. */
  readonly receiveBuffer: number;
  readonly receiveBufferMax: number;
  readonly sendBufferMax: number;
  readonly synRetries: number;
  readonly synLinearTimeouts: number;
  readonly synAckRetries: number;
  readonly retries: number;
  /** Nanoseconds. */
  readonly finTimeout: number;
  readonly abortOnOverflow: boolean;
  /** `somaxconn`: the longest queue of connections that nobody has accepted. */
  readonly maxBacklog: number;
  /** What a socket with SO_KEEPALIVE does unless it says otherwise; nanoseconds. */
  readonly keepAlive: { readonly idle: number; readonly interval: number; readonly probes: number };
  /** SYNs are answered with cookies: 0 never, 1 when there is no room for more requests, 2 always. */
  readonly synCookies: number;
}

/** What sockets may ask of their namespace. */
export interface NetworkStack {
  /** Where would this go, and from which address (`ip_route_output_key()`)? */
  path(destination: Destination): OutputPath;
  /** Builds and sends (`ip_local_out()`); null when it went out or waits for a neighbour. */
  send(datagram: Datagram): Errno | null;
  register(protocol: number, transport: Transport): void;
  raw: RawTap | null;
  /**
   * What a socket may bind to: an address of this host, or a broadcast or multicast group; null for neither. To a
   * transparent socket every other address is its own, too.
   */
  mayBind(address: number, transparent: boolean): "own" | "group" | null;
  /** It was routed to a broadcast or multicast group. Borrows. */
  isForGroup(packet: Packet): boolean;
  /** Index of the device that sockets take a packet to have come in by (`inet_iif()`). Borrows. */
  deviceForSockets(packet: Packet): number;
  /** ICMP port unreachable to the sender. Borrows. */
  portUnreachable(packet: Packet): void;
  /** The RST that answers a TCP segment (`tcp_v4_send_reset()`); `at` is its header, `socket` whose it is. Borrows. */
  resetTcp(packet: Packet, at: number, socket: SeenSocket | null): void;
  /** What an ICMP error says of the path of a packet that we sent; `quoted` is the quoted IPv4 header. Borrows. */
  noteError(packet: Packet, quoted: number, error: IcmpError): void;
  /** Tells the trace what becomes of a TCP socket; `packet` caused it, 0 for none. */
  tellSocket(change: SocketChange, socket: TcpName, packet: number, error: Errno | null): void;
  /** Takes ownership. */
  drop(packet: Packet, reason: DropReason): void;
  /** It reached a socket; `to` says which. Takes ownership. */
  deliver(packet: Packet, to: string): void;
  /** The first and last port that the kernel chooses from. */
  readonly localPorts: readonly [number, number];
  /** Of sockets that say nothing (`ip_no_pmtu_disc`). */
  readonly mtuDiscovery: MtuDiscovery;
  readonly tcp: TcpSettings;
  /** Who wants to hear what programs ask of their sockets. */
  readonly onCall: CallListener | null;
}
