import { NETWORK, type Packet } from "../packet/packet.ts";
import { STEP } from "../trace/step.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { Namespace } from "./namespace.ts";

const COPIED = 0x80;

/** `ip_options_fragment()`: options that are not copied into later fragments become no-ops. */
function blankOptions(packet: Packet): void {
  const header = ipv4.headerLength(packet.view, NETWORK);
  for (let at = ipv4.IPV4_HEADER; at < header; ) {
    const kind = packet.bytes[NETWORK + at]!;
    if (kind === 0) return;
    const length = kind === 1 ? 1 : packet.bytes[NETWORK + at + 1]!;
    if (length < 1 || at + length > header) return;
    if ((kind & COPIED) === 0) packet.bytes.fill(1, NETWORK + at, NETWORK + at + length);
    at += length;
  }
}

/**
 * `ip_do_fragment()`: cuts a datagram into pieces that fit `mtu` bytes and hands them to `send` in order. A datagram that
 * arrived in pieces which still fit leaves in the same ones. Takes ownership.
 */
export function fragment(packet: Packet, net: Namespace, mtu: number, send: (piece: Packet) => void): void {
  const header = ipv4.headerLength(packet.view, NETWORK);
  const total = packet.end - NETWORK - header;
  const word = ipv4.fragmentWord(packet.view, NETWORK);
  const start = word & ipv4.OFFSET_MASK;
  const arrived = arrivedPieces(packet, header, mtu);
  const sizes = arrived ?? pieces(header, total, mtu);
  // Pieces that leave as they came lose their DF.
  const keep = arrived === null ? word & ipv4.DONT_FRAGMENT : 0;
  net.fabric.trace?.step(STEP.fragment, packet.id, net.place, sizes.length, mtu);
  let offset = 0;
  for (let i = 0; i < sizes.length; i++) {
    const size = sizes[i]!;
    const piece = net.fabric.generate(NETWORK - 2 + header + size, packet.id);
    piece.bytes.set(packet.bytes.subarray(0, NETWORK + header), 0);
    const from = NETWORK + header + offset;
    piece.bytes.set(packet.bytes.subarray(from, from + size), NETWORK + header);
    piece.mark = packet.mark;
    piece.priority = packet.priority;
    piece.route = packet.route;
    piece.gateway = packet.gateway;
    piece.connection = packet.connection;
    piece.connectionState = packet.connectionState;
    piece.arrival = packet.arrival;
    if (i > 0) blankOptions(piece);
    const more = i < sizes.length - 1 || (word & ipv4.MORE_FRAGMENTS) !== 0 ? ipv4.MORE_FRAGMENTS : 0;
    piece.view.setUint16(NETWORK + 2, header + size);
    piece.view.setUint16(NETWORK + 6, keep | more | (start + (offset >> 3)));
    ipv4.setChecksum(piece.view, NETWORK);
    net.born(piece, net.place, 2);
    send(piece);
    offset += size;
  }
  net.fabric.consume(packet, net.place, "fragmentation");
}

/** The pieces that a datagram arrived in, where they still fit; else null. */
function arrivedPieces(packet: Packet, header: number, mtu: number): readonly number[] | null {
  const sizes = packet.fragmentSizes;
  return sizes?.every((size) => size + header <= mtu) === true ? sizes : null;
}

/** Payload bytes of each piece. */
function pieces(header: number, total: number, mtu: number): readonly number[] {
  const room = (mtu - header) & ~7;
  const sizes: number[] = [];
  let left = total;
  for (; left + header > mtu; left -= room) sizes.push(room);
  sizes.push(left);
  return sizes;
}
