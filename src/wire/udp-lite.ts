import { fold, pseudoSum, sumBytes } from "./checksum.ts";
import { UDP_HEADER } from "./udp.ts";

/** UDP-Lite, RFC 3828: UDP whose length field says how much the checksum covers. Offsets are those of its header. */

export const PROTOCOL_UDP_LITE = 136;

/** False for a datagram without a checksum, which the protocol demands. `bytes` is the datagram's length. */
export function isValid(view: DataView, at: number, bytes: number, source: number, destination: number): boolean {
  if (bytes < UDP_HEADER || view.getUint16(at + 6) === 0) return false;
  const coverage = view.getUint16(at + 4) || bytes;
  if (coverage < UDP_HEADER || coverage > bytes) return false;
  return fold(sumBytes(view, at, coverage, pseudoSum(source, destination, PROTOCOL_UDP_LITE, bytes))) === 0xffff;
}
