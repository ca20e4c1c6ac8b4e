import { crc32c } from "./crc32c.ts";

/** SCTP, RFC 9260. Offsets are those of the common header; the checksum stands there in little-endian order. */

export const PROTOCOL_SCTP = 132;
export const SCTP_HEADER = 12;

export const isValid = (view: DataView, at: number, bytes: number): boolean =>
  view.getUint32(at + 8, true) === crc32c(view, at, bytes, at + 8);

export function setChecksum(view: DataView, at: number, bytes: number): void {
  view.setUint32(at + 8, crc32c(view, at, bytes, at + 8), true);
}
