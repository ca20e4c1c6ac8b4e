import { checksum, fold, sumBytes } from "./checksum.ts";

/** ICMP, RFC 792. Offsets are those of the ICMP header. */

export const ICMP_HEADER = 8;
export const ECHO_REPLY = 0;
export const UNREACHABLE = 3;
export const SOURCE_QUENCH = 4;
export const REDIRECT = 5;
export const ECHO_REQUEST = 8;
export const TIME_EXCEEDED = 11;
export const PARAMETER_PROBLEM = 12;
export const TIMESTAMP_REQUEST = 13;
export const TIMESTAMP_REPLY = 14;
export const INFO_REQUEST = 15;
export const INFO_REPLY = 16;
export const ADDRESS_REQUEST = 17;
export const ADDRESS_REPLY = 18;

/** Codes of type 3. */
export const NET_UNREACHABLE = 0;
export const HOST_UNREACHABLE = 1;
export const PROTOCOL_UNREACHABLE = 2;
export const PORT_UNREACHABLE = 3;
export const FRAGMENTATION_NEEDED = 4;
export const SOURCE_ROUTE_FAILED = 5;
export const ADMIN_PROHIBITED = 13;

export const type = (view: DataView, at: number): number => view.getUint8(at);
export const code = (view: DataView, at: number): number => view.getUint8(at + 1);
export const identifier = (view: DataView, at: number): number => view.getUint16(at + 4);
export const sequence = (view: DataView, at: number): number => view.getUint16(at + 6);
/** The next-hop MTU of a type 3 code 4 message (RFC 1191), in bytes. */
export const nextHopMtu = (view: DataView, at: number): number => view.getUint16(at + 6);
/** The gateway of a redirect. */
export const gateway = (view: DataView, at: number): number => view.getInt32(at + 4);

/** Types that quote the packet they complain about; never answered with an error of their own. */
export const isError = (type: number): boolean =>
  type === UNREACHABLE ||
  type === SOURCE_QUENCH ||
  type === REDIRECT ||
  type === TIME_EXCEEDED ||
  type === PARAMETER_PROBLEM;

/** Types that get no error in answer: errors, and those that nobody assigned below them (`icmp_pointers[].error`). */
export const isUnanswerable = (type: number): boolean =>
  type !== ECHO_REPLY && type !== ECHO_REQUEST && type <= PARAMETER_PROBLEM;

/** Types that carry an identifier. */
export const isQuery = (type: number): boolean =>
  type === ECHO_REPLY || type === ECHO_REQUEST || (type >= TIMESTAMP_REQUEST && type <= ADDRESS_REPLY);

/** `length` is that of the whole message. */
export const isValid = (view: DataView, at: number, length: number): boolean =>
  fold(sumBytes(view, at, length)) === 0xffff;

export function setChecksum(view: DataView, at: number, length: number): void {
  view.setUint16(at + 2, 0);
  view.setUint16(at + 2, checksum(view, at, length));
}

/** Writes type, code and the four bytes after the checksum; the checksum is left to {@link setChecksum}. */
export function write(view: DataView, at: number, type: number, code: number, rest: number): void {
  view.setUint8(at, type);
  view.setUint8(at + 1, code);
  view.setUint16(at + 2, 0);
  view.setInt32(at + 4, rest);
}
