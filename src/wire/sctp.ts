import { crc32c } from "./crc32c.ts";

/** SCTP, RFC 9260. Offsets are those of the common header; the checksum stands there in little-endian order. */

export const PROTOCOL_SCTP = 132;
export const SCTP_HEADER = 12;
export const CHUNK_HEADER = 4;
/** Of an INIT or INIT ACK, behind the header of the chunk (`struct sctp_inithdr`). */
export const INIT_HEADER = 16;

export const DATA = 0;
export const INIT = 1;
export const INIT_ACK = 2;
export const HEARTBEAT = 4;
export const HEARTBEAT_ACK = 5;
export const ABORT = 6;
export const SHUTDOWN = 7;
export const SHUTDOWN_ACK = 8;
export const ERROR = 9;
export const COOKIE_ECHO = 10;
export const COOKIE_ACK = 11;
export const SHUTDOWN_COMPLETE = 14;
/** The sender has no association and reflects the tag that it was sent, RFC 9260 section 8.5.1. */
export const FLAG_T = 1;

export const isValid = (view: DataView, at: number, bytes: number): boolean =>
  view.getUint32(at + 8, true) === crc32c(view, at, bytes, at + 8);

export function setChecksum(view: DataView, at: number, bytes: number): void {
  view.setUint32(at + 8, crc32c(view, at, bytes, at + 8), true);
}

export const verificationTag = (view: DataView, at: number): number => view.getInt32(at + 4);

/** Of a chunk at `at`. */
export const chunkType = (view: DataView, at: number): number => view.getUint8(at);
export const chunkFlags = (view: DataView, at: number): number => view.getUint8(at + 1);
export const chunkLength = (view: DataView, at: number): number => view.getUint16(at + 2);
/** Where the next chunk begins; `at` itself behind a chunk that says it has no length. */
export const nextChunk = (view: DataView, at: number): number => at + ((chunkLength(view, at) + 3) & ~3);
/** The tag that an INIT or INIT ACK asks for. */
export const initiateTag = (view: DataView, at: number): number => view.getInt32(at + CHUNK_HEADER);
