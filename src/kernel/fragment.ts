import { type Fragment, NETWORK, type Packet } from "../packet/packet.ts";
import { overwrite } from "../packet/shown.ts";
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
 * `ip_do_fragment()`: cuts a datagram into pieces that fit `mtu` bytes and hands them to `send` in order, until it
 * says no. What is in pieces already that still fit leaves in these. Takes ownership.
 */
export function fragment(packet: Packet, net: Namespace, mtu: number, send: (piece: Packet) => boolean): void {
  const header = ipv4.headerLength(packet.view, NETWORK);
  const word = ipv4.fragmentWord(packet.view, NETWORK);
  const start = word & ipv4.OFFSET_MASK;
  const ready = readyPieces(packet, header, mtu);
  const pieces = ready ?? cut(header, packet.end - NETWORK - header, mtu);
  const keep = ready === null && packet.fragmentDf ? ipv4.DONT_FRAGMENT : 0;
  net.fabric.trace?.step(STEP.fragment, packet.id, net.place, pieces.length, mtu);
  let offset = 0;
  for (let i = 0; i < pieces.length; i++) {
    const { length, shown } = pieces[i]!;
    const piece = net.fabric.generate(NETWORK - 2 + header + length, packet.id);
    piece.bytes.set(packet.bytes.subarray(0, NETWORK + header), 0);
    const from = NETWORK + header + offset;
    piece.bytes.set(packet.bytes.subarray(from, from + length), NETWORK + header);
    piece.mark = packet.mark;
    piece.priority = packet.priority;
    piece.route = packet.route;
    piece.gateway = packet.gateway;
    piece.connection = packet.connection;
    piece.connectionState = packet.connectionState;
    piece.attached = packet.attached;
    piece.arrival = packet.arrival;
    // The first piece is the datagram itself.
    if (ready !== null && i === 0) piece.checksumValid = packet.checksumValid;
    if (i > 0 && packet.options !== null) blankOptions(piece);
    const more = i < pieces.length - 1 || (word & ipv4.MORE_FRAGMENTS) !== 0 ? ipv4.MORE_FRAGMENTS : 0;
    piece.view.setUint16(NETWORK + 2, header + length);
    piece.view.setUint16(NETWORK + 6, keep | more | (start + (offset >> 3)));
    ipv4.setChecksum(piece.view, NETWORK);
    piece.shown = shown;
    overwrite(piece, NETWORK);
    net.born(piece, net.place, 2);
    if (!send(piece)) break;
    offset += length;
  }
  net.fabric.consume(packet, net.place, "fragmentation");
}

/** The pieces that a datagram is in, where they can leave with its header; else null. */
function readyPieces({ fragments, view }: Packet, header: number, mtu: number): readonly Fragment[] | null {
  if (fragments === null || fragments.length < 2 || ipv4.isFragment(view, NETWORK)) return null;
  for (let i = 0; i < fragments.length; i++) {
    const { length, room } = fragments[i]!;
    if (length + header > mtu || room < header || ((length & 7) !== 0 && i < fragments.length - 1)) return null;
  }
  return fragments;
}

/** New pieces, each as long as fits. */
export function cut(header: number, total: number, mtu: number): Fragment[] {
  const room = (mtu - header) & ~7;
  const pieces: Fragment[] = [];
  let left = total;
  for (; left + header > mtu; left -= room) pieces.push({ length: room, room: header, shown: null });
  pieces.push({ length: left, room: header, shown: null });
  return pieces;
}

/**
 * `pskb_may_pull()`: whoever changes bytes up to `end` needs them in the first piece, which takes from those behind it
 * what it lacks.
 */
export function pull(packet: Packet, end: number): void {
  const { fragments } = packet;
  if (fragments === null) return;
  const header = NETWORK + ipv4.headerLength(packet.view, NETWORK);
  const first = fragments[0]!;
  let lacking = Math.min(end, packet.end) - header - first.length;
  if (lacking <= 0) return;
  const pulled = [{ ...first, length: first.length + lacking }];
  for (const fragment of fragments.slice(1)) {
    const taken = Math.min(lacking, fragment.length);
    lacking -= taken;
    for (const frame of fragment.shown ?? []) frame.payload += taken;
    if (taken < fragment.length) pulled.push({ ...fragment, length: fragment.length - taken });
  }
  packet.fragments = pulled;
}
