import { NETWORK, type Packet } from "../../packet/packet.ts";
import { fold, sumBytes } from "../../wire/checksum.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as tcp from "../../wire/tcp.ts";
import * as udp from "../../wire/udp.ts";
import type { Options } from "../ip-options.ts";

/** DCCP, GRE, ESP, AH, SCTP, UDP-Lite: protocols that `nf_reject_verify_csum()` passes. */
const UNVERIFIED: ReadonlySet<number> = new Set([33, 47, 50, 51, 132, 136]);

/**
 * True when REJECT may answer with an ICMP error: the transport checksum is right, or not there to be checked
 * (`nf_reject_verify_csum()`, `nf_ip_checksum()`).
 */
export function checksumAllowsAnswer(packet: Packet): boolean {
  if (packet.partialChecksum || packet.checksumValid) return true;
  const { view } = packet;
  const at = NETWORK + ipv4.headerLength(view, NETWORK);
  const length = packet.end - at;
  const protocol = ipv4.protocol(view, NETWORK);
  if (UNVERIFIED.has(protocol)) return true;
  // The sum runs over the IPv4 header, too, and options that were filled in have left its checksum stale.
  if ((packet.options as Options | null)?.changed === true) return false;
  const source = ipv4.source(view, NETWORK);
  const destination = ipv4.destination(view, NETWORK);
  if (protocol === ipv4.PROTOCOL_UDP)
    return length >= udp.UDP_HEADER && udp.isValid(view, at, length, source, destination);
  if (protocol === ipv4.PROTOCOL_TCP) return tcp.isValid(view, at, length, source, destination);
  const sum = fold(sumBytes(view, at, length));
  return sum === 0xffff || sum === 0;
}
