import { NETWORK, type Packet } from "../../packet/packet.ts";
import { replace16, replace32 } from "../../wire/checksum.ts";
import * as icmp from "../../wire/icmp.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as sctp from "../../wire/sctp.ts";
import * as tcp from "../../wire/tcp.ts";
import type { Manip } from "./range.ts";

/** A new end for a packet: its address, and its port or ICMP identifier. */
export interface Endpoint {
  address: number;
  port: number;
}

/** Mends a 16-bit checksum field for a changed address and port. */
function mend(view: DataView, at: number, before: number, after: number, oldPort: number, newPort: number): void {
  const field = replace16(replace32(view.getUint16(at), before, after), oldPort, newPort);
  view.setUint16(at, field);
}

/**
 * `nf_nat_ipv4_manip_pkt()`: gives the IPv4 packet at `at` another source or destination; all checksums stay as right as
 * they were. `end` bounds what may be touched: a quoted packet may be cut off. False when less than eight bytes of its
 * transport are there, and nothing was changed.
 */
export function rewrite(view: DataView, at: number, end: number, manip: Manip, to: Endpoint): boolean {
  const addressAt = at + (manip === "source" ? 12 : 16);
  const before = view.getInt32(addressAt);
  const after = to.address;
  const transport = at + ipv4.headerLength(view, at);
  if (ipv4.fragmentOffset(view, at) === 0 && ported(view, at)) {
    if (end - transport < 8) return false;
    rewriteTransport(view, at, transport, end, manip, before, to);
  }
  view.setInt32(addressAt, after);
  view.setUint16(at + 10, replace32(view.getUint16(at + 10), before, after));
  return true;
}

/** Where the headers end that {@link rewrite} may write to. */
export function headersEnd(view: DataView, at: number, end: number): number {
  const transport = at + ipv4.headerLength(view, at);
  const protocol = ipv4.protocol(view, at);
  const header =
    protocol === ipv4.PROTOCOL_TCP ? tcp.TCP_HEADER : protocol === sctp.PROTOCOL_SCTP ? sctp.SCTP_HEADER : 8;
  return transport + (end - transport >= header ? header : 8);
}

/** TCP, UDP, UDP-Lite, ICMP, SCTP, GRE: protocols whose packets NAT looks into. */
function ported(view: DataView, at: number): boolean {
  const protocol = ipv4.protocol(view, at);
  return protocol === 1 || protocol === 6 || protocol === 17 || protocol === 132 || protocol === 136 || protocol === 47;
}

function rewriteTransport(
  view: DataView,
  at: number,
  transport: number,
  end: number,
  manip: Manip,
  before: number,
  to: Endpoint,
): void {
  const room = end - transport;
  const protocol = ipv4.protocol(view, at);
  const portAt = transport + (manip === "source" ? 0 : 2);
  if (protocol === ipv4.PROTOCOL_TCP) {
    if (room < 4) return;
    const old = view.getUint16(portAt);
    view.setUint16(portAt, to.port);
    if (room >= 18) mend(view, transport + 16, before, to.address, old, to.port);
  } else if (protocol === ipv4.PROTOCOL_UDP || protocol === 136) {
    if (room < 8) return;
    const old = view.getUint16(portAt);
    view.setUint16(portAt, to.port);
    if (view.getUint16(transport + 6) === 0 && protocol === ipv4.PROTOCOL_UDP) return;
    mend(view, transport + 6, before, to.address, old, to.port);
    if (view.getUint16(transport + 6) === 0) view.setUint16(transport + 6, 0xffff);
  } else if (protocol === ipv4.PROTOCOL_ICMP) {
    if (room < icmp.ICMP_HEADER || !icmp.isQuery(icmp.type(view, transport))) return;
    const old = icmp.identifier(view, transport);
    view.setUint16(transport + 4, to.port);
    view.setUint16(transport + 2, replace16(view.getUint16(transport + 2), old, to.port));
  } else if (protocol === sctp.PROTOCOL_SCTP) {
    view.setUint16(portAt, to.port);
    if (room >= sctp.SCTP_HEADER) sctp.setChecksum(view, transport, room);
  }
}

/** Source and destination ports at `transport` as one word, for the trace. */
export function portsOf(packet: Packet): number {
  const at = NETWORK + ipv4.headerLength(packet.view, NETWORK);
  return packet.end - at >= 4 ? packet.view.getInt32(at) : 0;
}
