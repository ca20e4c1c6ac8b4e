import type { Datagram } from "../kernel/protocol.ts";
import type { Packet } from "../packet/packet.ts";
import type { Connection } from "../tcp/connection.ts";
import type { OutgoingSegment } from "../tcp/outgoing.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as tcp from "../wire/tcp.ts";
import type { TcpSocket } from "./tcp-socket.ts";

/** The datagram that carries a segment, or a run of them. One object, filled in for each. */
export class SegmentDatagram implements Datagram {
  destination = 0;
  source = 0;
  tos = 0;
  mark = 0;
  device = 0;
  anySource = false;
  readonly protocol = ipv4.PROTOCOL_TCP;
  ttl = 0;
  dontFragment = true;
  unlessLocked = false;
  identification = 0;
  partialChecksum = true;
  segmentSize = 0;
  length = 0;
  parent = 0;
  socket: object | null = null;
  private segment: OutgoingSegment | null = null;
  private sourcePort = 0;
  private destinationPort = 0;

  /** `parent` is the packet that it answers, 0 for none. */
  fill(socket: TcpSocket, connection: Connection, segment: OutgoingSegment, parent: number): void {
    const { options } = socket.listener ?? socket;
    // What a listener or TIME_WAIT answers has no socket of its own (`ip_build_and_send_pkt()`).
    const timeWait = connection.window.isFrozen;
    const anonymous = socket.listener !== null || timeWait;
    this.destination = socket.remoteAddress;
    this.source = socket.localAddress;
    this.tos = options.tos ?? 0;
    this.mark = options.mark ?? 0;
    this.device = options.device ?? 0;
    this.anySource = socket.transparent;
    // What cannot be cut needs no identification: a listener's answer, whatever its options.
    const { discovery } = socket;
    this.dontFragment = anonymous || discovery === 1 || discovery === 2;
    this.unlessLocked = !anonymous && discovery === 1;
    this.ttl = timeWait ? 0 : (options.ttl ?? 0);
    this.partialChecksum = !timeWait;
    this.identification = anonymous ? 0 : socket.identification;
    const count = segment.segmentSize === 0 ? 1 : Math.ceil(segment.length / segment.segmentSize);
    if (!anonymous) socket.identification = (socket.identification + count) & 0xffff;
    this.length = segment.headerLength + segment.length;
    this.segmentSize = segment.segmentSize;
    this.parent = parent;
    this.socket = socket.listener ?? socket;
    this.segment = segment;
    this.sourcePort = socket.port;
    this.destinationPort = socket.remotePort;
  }

  write(packet: Packet, at: number, source: number): void {
    this.segment!.write(packet.bytes, packet.view, at, this.sourcePort, this.destinationPort);
    tcp.setChecksum(packet.view, at, this.length, source, this.destination);
  }
}
