import { fold, pseudoSum, sumBytes } from "./checksum.ts";
import { PROTOCOL_TCP } from "./ipv4.ts";

/** TCP, RFC 9293. Offsets are those of the TCP header; sequence numbers are signed 32-bit integers. */

export const TCP_HEADER = 20;
export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;
export const URG = 32;
export const ECE = 64;
export const CWR = 128;

export const sourcePort = (view: DataView, at: number): number => view.getUint16(at);
export const destinationPort = (view: DataView, at: number): number => view.getUint16(at + 2);
export const sequenceNumber = (view: DataView, at: number): number => view.getInt32(at + 4);
export const acknowledgement = (view: DataView, at: number): number => view.getInt32(at + 8);
/** In bytes, options included. */
export const headerLength = (view: DataView, at: number): number => (view.getUint8(at + 12) >> 4) << 2;
export const flags = (view: DataView, at: number): number => view.getUint8(at + 13);
export const window = (view: DataView, at: number): number => view.getUint16(at + 14);

/** `bytes` is the segment's length, header included. */
export function isValid(view: DataView, at: number, bytes: number, source: number, destination: number): boolean {
  return fold(sumBytes(view, at, bytes, pseudoSum(source, destination, PROTOCOL_TCP, bytes))) === 0xffff;
}

export function setChecksum(view: DataView, at: number, bytes: number, source: number, destination: number): void {
  view.setUint16(at + 16, 0);
  const sum = sumBytes(view, at, bytes, pseudoSum(source, destination, PROTOCOL_TCP, bytes));
  view.setUint16(at + 16, ~fold(sum) & 0xffff);
}

/** Writes a header without options and urgent pointer; the checksum is left to {@link setChecksum}. */
export function write(
  view: DataView,
  at: number,
  fields: {
    source: number;
    destination: number;
    sequence: number;
    acknowledgement: number;
    flags: number;
    window: number;
  },
): void {
  view.setUint16(at, fields.source);
  view.setUint16(at + 2, fields.destination);
  view.setInt32(at + 4, fields.sequence);
  view.setInt32(at + 8, fields.acknowledgement);
  view.setUint16(at + 12, 0x5000 | fields.flags);
  view.setUint16(at + 14, fields.window);
  view.setInt32(at + 16, 0);
}

const LETTERS = "FSRPAUEC";

/** tcpdump's letters in header order: `S`, `SA`, `PA`. */
export function formatFlags(flags: number): string {
  let text = "";
  for (let bit = 0; bit < 8; bit++) if (flags & (1 << bit)) text += LETTERS[bit];
  return text || "none";
}
