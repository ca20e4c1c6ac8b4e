import { strerror } from "../socket/strerror.ts";
import type { TcpSocket } from "../socket/tcp.ts";
import type { UdpSocket } from "../socket/udp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as tcp from "../wire/tcp.ts";
import type { ErrorMessage } from "./icmp-message.ts";
import type { Environment } from "./program.ts";

/** Bytes of a UDP or ICMP probe with its IPv4 header. */
const PACKET = 60;
/** What each byte of its data is, from 0x40 up. */
const DATA = Uint8Array.from({ length: PACKET - ipv4.IPV4_HEADER }, (_, i) => 0x40 + (i & 0x3f));

/** What came back for a probe, counted from 0: an ICMP error, or null where the destination itself spoke. */
export type Answered = (probe: number, from: number, error: ErrorMessage | null, packet: number) => void;

/** How probes are sent, and how their answers come to it (a module of traceroute). */
export interface ProbeMethod {
  /** All answers come by one socket, which is read once for each `poll()`. */
  readonly oneSocket: boolean;
  /** Bytes of a probe with its IPv4 header. */
  readonly size: number;
  /** The first thing that went wrong, as traceroute says it; null when the kernel took the probe. */
  send(probe: number, ttl: number): string | null;
  /** It is answered or given up. */
  release(probe: number): void;
  close(): void;
}

export interface ProbeTarget {
  readonly destination: number;
  /** The first UDP port or sequence number, or the port of every SYN. */
  readonly port: number;
  /** Sets DF, which is clear otherwise. */
  readonly dontFragment: boolean;
}

/** Methods by name; a string is why the socket could not be had. */
export const PROBE_METHODS = { udp: udpProbes, icmp: echoProbes, tcp: synProbes } as const;

/** Errors that `sendto()` returns while the error queue says more. */
const told = (errno: string): boolean => errno === "EMSGSIZE" || errno === "EHOSTUNREACH";

/** Datagrams to one port after the other, each from a socket of its own, so that each is a flow of its own. */
function udpProbes(
  { udp }: Environment,
  { destination, port, dontFragment }: ProbeTarget,
  answered: Answered,
): ProbeMethod {
  const open = new Map<number, UdpSocket>();
  let sent = 0;
  return {
    oneSocket: false,
    size: PACKET,
    send(probe, ttl) {
      const socket = udp.open({ ttl, discovery: dontFragment ? 3 : 0, reportErrors: true });
      open.set(probe, socket);
      socket.onError = ({ error, packet }) => answered(probe, error.from, error, packet);
      socket.onReceive = ({ from, packet }) => answered(probe, from.address, null, packet);
      const refused = socket.connect(destination, (port + sent) & 0xffff);
      if (refused !== null) return `connect: ${strerror(refused)}`;
      sent++;
      const failed = socket.send(DATA.subarray(0, DATA.length - 8));
      return failed === null || told(failed) ? null : `send: ${strerror(failed)}`;
    },
    release(probe) {
      open.get(probe)?.close();
      open.delete(probe);
    },
    close() {
      for (const socket of open.values()) socket.close();
    },
  };
}

function echoProbes(
  { ping }: Environment,
  { destination, port, dontFragment }: ProbeTarget,
  answered: Answered,
): ProbeMethod {
  const socket = ping.socket();
  const probes = new Map<number, number>();
  const tell = (sequence: number, from: number, error: ErrorMessage | null, packet: number) => {
    const probe = probes.get(sequence);
    if (probe !== undefined) answered(probe, from, error, packet);
  };
  let sent = 0;
  socket.onReply = ({ from, sequence, packet }) => {
    if (from === destination) tell(sequence, from, null, packet);
  };
  socket.onError = ({ sequence, error, packet }) => tell(sequence, error.from, error, packet);
  return {
    oneSocket: true,
    size: PACKET,
    send(probe, ttl) {
      const sequence = (port + sent++) & 0xffff;
      probes.set(sequence, probe);
      const failed = socket.send(destination, sequence, {
        data: DATA.subarray(8),
        ttl,
        discovery: dontFragment ? 2 : 0,
      });
      return failed === null || told(failed) ? null : `send: ${strerror(failed)}`;
    },
    release() {},
    close: () => socket.close(),
  };
}

/**
 * SYNs by a raw socket, each from the port of a bound TCP socket, which keeps it free. No socket waits for the answer, so
 * that the kernel itself refuses a SYN/ACK with a RST: the server's program never hears of it.
 */
function synProbes(environment: Environment, { destination, port, dontFragment }: ProbeTarget, answered: Answered) {
  const raw = environment.raw.connect(ipv4.PROTOCOL_TCP, destination);
  if (typeof raw === "string") return `connect: ${strerror(raw)}`;
  const { random } = environment;
  const held = new Map<number, TcpSocket>();
  const segment = synOf(environment, Math.max(raw.mtu, 576) - ipv4.IPV4_HEADER - tcp.TCP_HEADER);
  const view = new DataView(segment.buffer);
  const probeOf = (local: number, remote: number) =>
    remote === port ? [...held].find(([, socket]) => socket.local.port === local)?.[0] : undefined;
  raw.onReceive = ({ data, packet }) => {
    if (data.length < 8) return;
    const header = new DataView(data.buffer);
    const probe = probeOf(tcp.destinationPort(header, 0), tcp.sourcePort(header, 0));
    if (probe !== undefined) answered(probe, destination, null, packet);
  };
  raw.onError = ({ data, error, packet }) => {
    if (data.length < 8) return;
    const header = new DataView(data.buffer);
    const probe = probeOf(tcp.sourcePort(header, 0), tcp.destinationPort(header, 0));
    if (probe !== undefined) answered(probe, error.from, error, packet);
  };
  return {
    oneSocket: true,
    size: ipv4.IPV4_HEADER + segment.length,
    send(probe: number, ttl: number) {
      const socket = environment.tcp.open();
      const refused = socket.bind(0, 0);
      if (refused !== null) return `bind: ${strerror(refused)}`;
      held.set(probe, socket);
      view.setUint16(0, socket.local.port);
      view.setUint16(2, port);
      view.setInt32(4, random.below(0x1_0000_0000) | 0);
      tcp.setChecksum(view, 0, segment.length, raw.source, destination);
      const failed = raw.send(segment, ttl, dontFragment);
      return failed === null || told(failed) ? null : `send: ${strerror(failed)}`;
    },
    release(probe: number) {
      held.get(probe)?.close();
      held.delete(probe);
    },
    close() {
      raw.close();
      for (const socket of held.values()) socket.close();
    },
  };
}

const OPTION = { noOperation: 1, mss: 2, windowScale: 3, sackPermitted: 4, timestamps: 8 } as const;

/** A SYN with the options that the sysctls of its namespace ask for; ports, sequence number and checksum are missing. */
function synOf({ tcp: sockets, random }: Environment, mss: number): Uint8Array<ArrayBuffer> {
  const { timestamps, sack, windowScaling } = sockets.sysctls;
  const stamp = random.below(0x1_0000_0000);
  const options = [OPTION.mss, 4, mss >> 8, mss & 255];
  const padding = [OPTION.noOperation, OPTION.noOperation];
  if (sack && !timestamps) options.push(...padding);
  if (sack) options.push(OPTION.sackPermitted, 2);
  else if (timestamps) options.push(...padding);
  if (timestamps)
    options.push(OPTION.timestamps, 10, ...[24, 16, 8, 0].map((bits) => (stamp >>> bits) & 255), 0, 0, 0, 0);
  if (windowScaling) options.push(OPTION.noOperation, OPTION.windowScale, 3, 2);
  const segment = new Uint8Array(tcp.TCP_HEADER + options.length);
  const view = new DataView(segment.buffer);
  const fields = { source: 0, destination: 0, sequence: 0, acknowledgement: 0, flags: tcp.SYN, window: 4 * mss };
  tcp.write(view, 0, fields);
  view.setUint8(12, (segment.length >> 2) << 4);
  segment.set(options, tcp.TCP_HEADER);
  return segment;
}
