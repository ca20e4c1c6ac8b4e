import { fold, pseudoSum, sumBytes } from "./checksum.ts";
import { PROTOCOL_UDP } from "./ipv4.ts";

/** UDP, RFC 768. Offsets are those of the UDP header. */

export const UDP_HEADER = 8;

export const sourcePort = (view: DataView, at: number): number => view.getUint16(at);
export const destinationPort = (view: DataView, at: number): number => view.getUint16(at + 2);
export const length = (view: DataView, at: number): number => view.getUint16(at + 4);
export const checksumField = (view: DataView, at: number): number => view.getUint16(at + 6);

/** A checksum of zero means that the sender computed none. `bytes` is the datagram's length. */
export function isValid(view: DataView, at: number, bytes: number, source: number, destination: number): boolean {
  if (view.getUint16(at + 6) === 0) return true;
  return fold(sumBytes(view, at, bytes, pseudoSum(source, destination, PROTOCOL_UDP, bytes))) === 0xffff;
}

/** Writes the header over data that already stands behind it; a computed zero becomes 0xffff. */
export function write(
  view: DataView,
  at: number,
  ports: { source: number; destination: number },
  bytes: number,
  addresses: { source: number; destination: number },
): void {
  view.setUint16(at, ports.source);
  view.setUint16(at + 2, ports.destination);
  view.setUint16(at + 4, bytes);
  view.setUint16(at + 6, 0);
  const sum = sumBytes(view, at, bytes, pseudoSum(addresses.source, addresses.destination, PROTOCOL_UDP, bytes));
  view.setUint16(at + 6, ~fold(sum) & 0xffff || 0xffff);
}
