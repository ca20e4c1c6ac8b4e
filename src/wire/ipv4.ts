import { checksum, fold, replace16, sumBytes } from "./checksum.ts";

/** IPv4, RFC 791. Offsets are those of the IPv4 header; lengths are bytes; addresses are signed 32-bit integers. */

export const IPV4_HEADER = 20;
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
/** `IPPROTO_RAW`: what a socket has that brings its own headers. */
export const PROTOCOL_RAW = 255;
export const PROTOCOL_UDP = 17;

export const DONT_FRAGMENT = 0x4000;
export const MORE_FRAGMENTS = 0x2000;
export const OFFSET_MASK = 0x1fff;

export const headerLength = (view: DataView, at: number): number => (view.getUint8(at) & 15) << 2;
export const tos = (view: DataView, at: number): number => view.getUint8(at + 1);
export const totalLength = (view: DataView, at: number): number => view.getUint16(at + 2);
export const identification = (view: DataView, at: number): number => view.getUint16(at + 4);
/** Flags and fragment offset as one word. */
export const fragmentWord = (view: DataView, at: number): number => view.getUint16(at + 6);
export const ttl = (view: DataView, at: number): number => view.getUint8(at + 8);
export const protocol = (view: DataView, at: number): number => view.getUint8(at + 9);
export const source = (view: DataView, at: number): number => view.getInt32(at + 12);
export const destination = (view: DataView, at: number): number => view.getInt32(at + 16);

/** In bytes. */
export const fragmentOffset = (view: DataView, at: number): number => (view.getUint16(at + 6) & OFFSET_MASK) << 3;
/** A fragment: an offset, or more to come. `ip_is_fragment()`. */
export const isFragment = (view: DataView, at: number): boolean =>
  (view.getUint16(at + 6) & (MORE_FRAGMENTS | OFFSET_MASK)) !== 0;
export const dontFragment = (view: DataView, at: number): boolean => (view.getUint16(at + 6) & DONT_FRAGMENT) !== 0;

/** The checks of `ip_rcv_core()`: null, or Linux's drop reason. `end` is the end of the frame. */
export function check(view: DataView, at: number, end: number): "PKT_TOO_SMALL" | "IP_INHDR" | "IP_CSUM" | null {
  if (end - at < IPV4_HEADER) return "IP_INHDR";
  const first = view.getUint8(at);
  const header = (first & 15) << 2;
  if (first >> 4 !== 4 || header < IPV4_HEADER || end - at < header) return "IP_INHDR";
  if (fold(sumBytes(view, at, header)) !== 0xffff) return "IP_CSUM";
  const length = totalLength(view, at);
  if (end - at < length) return "PKT_TOO_SMALL";
  return length < header ? "IP_INHDR" : null;
}

/** Writes the checksum of the header that stands at `at`. */
export function setChecksum(view: DataView, at: number): void {
  view.setUint16(at + 10, 0);
  view.setUint16(at + 10, checksum(view, at, headerLength(view, at)));
}

/** Sets TTL and mends the checksum, `ip_decrease_ttl()`. */
export function setTtl(view: DataView, at: number, value: number): void {
  const before = view.getUint16(at + 8);
  const after = (value << 8) | (before & 0xff);
  view.setUint16(at + 8, after);
  view.setUint16(at + 10, replace16(view.getUint16(at + 10), before, after));
}

/** Sets the TOS byte and mends the checksum, `ipv4_change_dsfield()`. */
export function setTos(view: DataView, at: number, value: number): void {
  const before = view.getUint16(at);
  const after = (before & 0xff00) | value;
  view.setUint16(at, after);
  view.setUint16(at + 10, replace16(view.getUint16(at + 10), before, after));
}

/** What a new header needs; everything but the addresses and lengths has Linux's default. */
export interface HeaderFields {
  source: number;
  destination: number;
  protocol: number;
  /** Total length in bytes, header included. */
  length: number;
  ttl?: number;
  tos?: number;
  identification?: number;
  /** DONT_FRAGMENT, MORE_FRAGMENTS and the offset in units of 8 bytes. */
  fragment?: number;
}

/** Writes a header without options, checksum included. */
export function write(view: DataView, at: number, fields: HeaderFields): void {
  view.setUint16(at, 0x4500 | (fields.tos ?? 0));
  view.setUint16(at + 2, fields.length);
  view.setUint16(at + 4, fields.identification ?? 0);
  view.setUint16(at + 6, fields.fragment ?? 0);
  view.setUint8(at + 8, fields.ttl ?? 64);
  view.setUint8(at + 9, fields.protocol);
  view.setInt32(at + 12, fields.source);
  view.setInt32(at + 16, fields.destination);
  setChecksum(view, at);
}
