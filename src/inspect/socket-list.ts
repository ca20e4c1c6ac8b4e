import { formatIpv4 } from "../wire/address.ts";
import type { Machine } from "./machine.ts";

/** A socket as `/proc/net/tcp` and `/proc/net/udp` list it. */
export interface SocketRow {
  readonly protocol: "tcp" | "udp";
  /** As ss names it. */
  readonly state: string;
  readonly local: string;
  readonly peer: string;
  readonly listening: boolean;
  readonly backlog: number;
}

const STATES: Readonly<Record<string, string>> = {
  LISTEN: "LISTEN",
  SYN_SENT: "SYN-SENT",
  SYN_RECV: "SYN-RECV",
  ESTABLISHED: "ESTAB",
  FIN_WAIT1: "FIN-WAIT-1",
  FIN_WAIT2: "FIN-WAIT-2",
  TIME_WAIT: "TIME-WAIT",
  CLOSE_WAIT: "CLOSE-WAIT",
  LAST_ACK: "LAST-ACK",
  CLOSING: "CLOSING",
};

const endpoint = (address: number, port: number): string => `${formatIpv4(address)}:${port === 0 ? "*" : port}`;

/** Listeners first, as the kernel walks its tables; sockets that are closed are left out. */
export function socketRows({ host }: Machine): SocketRow[] {
  const rows: SocketRow[] = [];
  for (const { address, port, peer } of host.udp.all)
    rows.push({
      protocol: "udp",
      state: peer === null ? "UNCONN" : "ESTAB",
      local: endpoint(address, port),
      peer: peer === null ? "0.0.0.0:*" : endpoint(peer.address, peer.port),
      listening: peer === null,
      backlog: 0,
    });
  for (const socket of host.tcp.all) {
    const listening = socket.backlog !== null;
    const state = listening ? "LISTEN" : STATES[socket.state];
    if (state === undefined) continue;
    rows.push({
      protocol: "tcp",
      state,
      local: listening ? endpoint(socket.address, socket.port) : endpoint(socket.localAddress, socket.port),
      peer: listening ? "0.0.0.0:*" : endpoint(socket.remoteAddress, socket.remotePort),
      listening,
      backlog: socket.backlog ?? 0,
    });
  }
  return rows.sort((a, b) => Number(b.listening) - Number(a.listening));
}
