import { FRAME, NETWORK, type Packet } from "../packet/packet.ts";
import { STEP } from "../trace/step.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as tcp from "../wire/tcp.ts";
import type { Fabric } from "./fabric.ts";

const transportOf = (packet: Packet): number => NETWORK + ipv4.headerLength(packet.view, NETWORK);

/** Bytes of the IPv4 packets that a run of TCP segments is cut into (`skb_gso_network_seglen()`). */
export function segmentLength(packet: Packet): number {
  const transport = transportOf(packet);
  return transport - NETWORK + tcp.headerLength(packet.view, transport) + packet.segmentSize;
}

/** Begins to cut a run of TCP segments (`tcp_gso_segment()`); how many there are. `place` is the device that does it. */
export function beginSegments(packet: Packet, fabric: Fabric, place: number): number {
  const { end, segmentSize } = packet;
  const data = NETWORK + segmentLength(packet) - segmentSize;
  const count = Math.ceil((end - data) / segmentSize);
  fabric.trace?.step(STEP.segment, packet.id, place, count, segmentSize);
  return count;
}

/** The segment with this index, from 0 on. Borrows `packet`. */
export function makeSegment(packet: Packet, index: number, fabric: Fabric, place: number): Packet {
  const { bytes, end, segmentSize } = packet;
  const transport = transportOf(packet);
  const data = transport + tcp.headerLength(packet.view, transport);
  const offset = index * segmentSize;
  const from = data + offset;
  const length = Math.min(segmentSize, end - from);
  const piece = fabric.generate(data - FRAME + length, packet.id);
  const { view } = piece;
  piece.bytes.set(bytes.subarray(0, data), 0);
  piece.bytes.set(bytes.subarray(from, from + length), data);
  piece.mark = packet.mark;
  piece.priority = packet.priority;
  piece.route = packet.route;
  piece.gateway = packet.gateway;
  piece.connection = packet.connection;
  piece.connectionState = packet.connectionState;
  piece.socket = packet.socket;
  view.setUint16(NETWORK + 2, piece.end - NETWORK);
  view.setUint16(NETWORK + 4, ipv4.identification(view, NETWORK) + index);
  ipv4.setChecksum(view, NETWORK);
  view.setInt32(transport + 4, tcp.sequenceNumber(view, transport) + offset);
  const kept = (from + length === end ? 0xff : ~(tcp.FIN | tcp.PSH)) & (index === 0 ? 0xff : ~tcp.CWR);
  view.setUint8(transport + 13, tcp.flags(view, transport) & kept);
  const source = ipv4.source(view, NETWORK);
  tcp.setChecksum(view, transport, piece.end - transport, source, ipv4.destination(view, NETWORK));
  if (fabric.trace !== null) {
    fabric.trace.step(STEP.born, piece.id, place, 1, packet.id);
    fabric.trace.headers(piece.id, place, view, FRAME, piece.end);
  }
  return piece;
}

/** All segments are made. Takes ownership. */
export function endSegments(packet: Packet, fabric: Fabric, place: number): void {
  fabric.consume(packet, place, "segmentation");
}
