import type { Errno, IcmpError } from "../kernel/protocol.ts";

/** An address and a port, both in host order. */
export interface Endpoint {
  readonly address: number;
  readonly port: number;
}

/** Why a connection could not be made, or broke. */
export interface HostFailure {
  readonly errno: Errno;
  /** The ICMP error behind it, where the host knows one. */
  readonly icmp: IcmpError | null;
}

/**
 * What happens to a stream. `cause` is the packet of the simulated host that brought it about, 0 where there is none: a
 * timer, or a real host.
 */
export interface HostStreamEvents {
  connected(cause: number): void;
  /** The connection could not be made; nothing follows. */
  failed(failure: HostFailure, cause: number): void;
  /** There is something to {@link HostStream.read}: data, or the peer's end. Not repeated before a read comes back empty. */
  readable(cause: number): void;
  /** After a write took less than it was given: it takes more now. */
  writable(cause: number): void;
  /** It is over: by a reset or a timeout where `errno` says so, else because both sides have ended. Nothing follows. */
  closed(errno: Errno | null, cause: number): void;
}

/** A TCP connection of the host. Either side can hold the other back, and each direction ends by itself. */
export interface HostStream {
  /** The host's end; the port is 0 until it is known. */
  readonly local: Endpoint;
  readonly peer: Endpoint;
  /**
   * At most `most` bytes of what has come, valid until the next call; an empty array when nothing waits, null behind the
   * peer's end. What is not read is held back at its sender.
   */
  read(most: number): Uint8Array | null;
  /** How many bytes were taken; the rest is welcome after `writable`. The bytes are borrowed. `cause` is the guest's packet. */
  write(data: Uint8Array, cause: number): number;
  /** Half-close: nothing more will be written. */
  end(cause: number): void;
  /** Gives it up, with a RST where data is lost. No event follows. */
  destroy(cause: number): void;
}

/** What happens to a datagram socket. */
export interface HostDatagramEvents {
  /** `data` is borrowed. */
  received(data: Uint8Array, from: Endpoint, cause: number): void;
  /** An ICMP error about a datagram that was sent to `to`. */
  error(failure: HostFailure, to: Endpoint, cause: number): void;
}

/** A bound UDP socket of the host. */
export interface HostDatagrams {
  readonly local: Endpoint;
  /** Sends with the given TTL, 0 for the host's default; null, or why not. `data` is borrowed. */
  send(data: Uint8Array, to: Endpoint, ttl: number, cause: number): Errno | null;
  close(): void;
}

export interface HostPingEvents {
  /** An echo reply; `data` is what stands behind the echo header, borrowed. */
  echo(from: number, sequence: number, data: Uint8Array, cause: number): void;
  error(failure: HostFailure, sequence: number, cause: number): void;
}

/** An ICMP echo socket, which has an identifier of its own (`IPPROTO_ICMP` of `SOCK_DGRAM`). */
export interface HostPing {
  readonly identifier: number;
  /** `data` is borrowed. */
  send(data: Uint8Array, to: number, sequence: number, ttl: number, cause: number): Errno | null;
  close(): void;
}

export interface HostListener {
  readonly local: Endpoint;
  /** Stops listening; what was accepted lives on. */
  close(): void;
}

/**
 * The one way out of the translator: sockets of the machine that it runs on. Everything is told by calls back, none of
 * them from inside the call that asked, but for a datagram or a stream of the host's own loopback.
 */
export interface HostSockets {
  /** Begins a connection, or says at once why not. `ttl` is that of its segments, 0 for the host's default. */
  connect(to: Endpoint, ttl: number, events: HostStreamEvents, cause: number): HostStream | Errno;
  /** A socket bound to `local`, or to any port of any address. With `peer` it hears that one alone. */
  datagrams(local: Endpoint | null, peer: Endpoint | null, events: HostDatagramEvents): HostDatagrams | Errno;
  /** Null where this host has no such sockets or allows none. */
  ping(events: HostPingEvents): HostPing | null;
  /** `accepted` is called for each connection and returns what hears of it. */
  listen(at: Endpoint, accepted: (stream: HostStream, cause: number) => HostStreamEvents): HostListener | Errno;
}
