import type { Errno } from "../socket/strerror.ts";
import type { TcpSockets } from "../socket/tcp.ts";
import type { UdpSockets } from "../socket/udp.ts";
import { DnsFrames, frameDns } from "../wire/dns-frames.ts";
import { Stream } from "./stream.ts";

/** The sockets that questions leave by. */
export interface DnsSockets {
  readonly udp: UdpSockets;
  readonly tcp: TcpSockets;
}

/** A DNS server that is being asked, by one socket. */
export interface DnsExchange {
  /** Sends a question; null when the kernel took it. Questions to a connection wait until it stands. */
  send(question: Uint8Array): Errno | null;
  close(): void;
}

export interface DnsExchangeEvents {
  received(data: Uint8Array, packet: number): void;
  /** Nothing more will come. */
  failed(errno: Errno): void;
}

export interface DnsPeer {
  readonly address: number;
  readonly port: number;
}

/** A connected UDP socket, or why there is none. `cause` is the packet on whose behalf it asks. */
export function askByUdp(
  { udp }: DnsSockets,
  peer: DnsPeer,
  events: DnsExchangeEvents,
  cause = 0,
): DnsExchange | Errno {
  const socket = udp.open();
  socket.onReceive = ({ data, packet }) => events.received(data, packet);
  socket.onError = () => {
    if (socket.pending !== null) events.failed(socket.pending);
  };
  const refused = socket.connect(peer.address, peer.port);
  if (refused !== null) return refused;
  return { send: (question) => socket.send(question, null, cause), close: () => socket.close() };
}

/** A connection, or why there is none. */
export function askByTcp({ tcp }: DnsSockets, peer: DnsPeer, events: DnsExchangeEvents): DnsExchange | Errno {
  const socket = tcp.open();
  const frames = new DnsFrames();
  const stream = new Stream(socket);
  let waiting: Uint8Array[] | null = [];
  stream.onError = (errno) => events.failed(errno);
  stream.onEnd = () => events.failed("ECONNRESET");
  stream.onData = (data) => {
    for (const message of frames.add(data)) events.received(message, tcp.cause);
  };
  socket.onConnect = () => {
    for (const question of waiting ?? []) stream.write(question);
    waiting = null;
  };
  const refused = socket.connect(peer.address, peer.port);
  if (refused !== null) {
    socket.close();
    return refused;
  }
  return {
    send(question) {
      if (waiting === null) stream.write(frameDns(question));
      else waiting.push(frameDns(question));
      return null;
    },
    close: () => stream.destroy(),
  };
}
