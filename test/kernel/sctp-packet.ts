import { formatHex } from "../../src/scenario/lab-packet.ts";
import * as sctp from "../../src/wire/sctp.ts";

/** SCTP packets as hexadecimal text, for the `raw` of a lab case. */

const hex = (value: number, bytes: number): string => value.toString(16).padStart(bytes * 2, "0");

/** One chunk, filled up to four bytes; `length` may be given wrong on purpose. */
export function chunk(type: number, flags = 0, body = "", length = 4 + body.length / 2): string {
  const filling = "00".repeat((4 - ((body.length / 2) % 4)) % 4);
  return hex(type, 1) + hex(flags, 1) + hex(length, 2) + body + filling;
}

/** The body of an INIT or INIT ACK that asks for a tag. */
export const initBody = (tag: number): string => `${hex(tag, 4)}0000ffff0001000100000001`;

export interface SctpEnds {
  readonly sport: number;
  readonly dport: number;
  readonly tag: number;
}

/** The packet; its CRC32c is right unless `wrong`. */
export function sctpPacket({ sport, dport, tag }: SctpEnds, chunks: string, wrong = false): string {
  const text = hex(sport, 2) + hex(dport, 2) + hex(tag, 4) + hex(wrong ? 7 : 0, 4) + chunks;
  const bytes = Uint8Array.from(text.match(/../g)!, (byte) => Number.parseInt(byte, 16));
  if (!wrong) sctp.setChecksum(new DataView(bytes.buffer), 0, bytes.length);
  return formatHex(bytes);
}

/** The tags that the two ends of an association ask for. */
export const TAGS = { client: 0x1111, server: 0x2222 };

/** An association from its beginning to its end: who sends, under which tag, and the chunk. */
export const ASSOCIATION: readonly (readonly ["client" | "server", number, string])[] = [
  ["client", 0, chunk(sctp.INIT, 0, initBody(TAGS.client))],
  ["server", TAGS.client, chunk(sctp.INIT_ACK, 0, initBody(TAGS.server))],
  ["client", TAGS.server, chunk(sctp.COOKIE_ECHO)],
  ["server", TAGS.client, chunk(sctp.COOKIE_ACK)],
  ["client", TAGS.server, chunk(sctp.DATA, 3, "00000001000000000000000048490000")],
  ["client", TAGS.server, chunk(sctp.SHUTDOWN, 0, "00000000")],
  ["server", TAGS.client, chunk(sctp.SHUTDOWN_ACK)],
  ["client", TAGS.server, chunk(sctp.SHUTDOWN_COMPLETE)],
];
