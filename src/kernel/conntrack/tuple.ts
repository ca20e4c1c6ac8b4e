import * as icmp from "../../wire/icmp.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import type { Tuple } from "./connection.ts";

/** Protocols whose first four bytes are two ports: TCP, UDP, SCTP, UDP-Lite. */
const hasPorts = (protocol: number): boolean =>
  protocol === 6 || protocol === 17 || protocol === 132 || protocol === 136;

/** The type that answers each query type (`invmap`); -1 for types without an answer. */
export function inverseType(type: number): number {
  switch (type) {
    case icmp.ECHO_REQUEST:
    case icmp.TIMESTAMP_REQUEST:
    case icmp.INFO_REQUEST:
    case icmp.ADDRESS_REQUEST:
      return type === icmp.ECHO_REQUEST ? icmp.ECHO_REPLY : type + 1;
    case icmp.ECHO_REPLY:
      return icmp.ECHO_REQUEST;
    case icmp.TIMESTAMP_REPLY:
    case icmp.INFO_REPLY:
    case icmp.ADDRESS_REPLY:
      return type - 1;
    default:
      return -1;
  }
}

/**
 * `nf_ct_get_tuple()`: the flow of the IPv4 packet at `at`, which ends at `end`. False when it has none: a later
 * fragment, or too short.
 */
export function readTuple(view: DataView, at: number, end: number, into: Tuple): boolean {
  if (end - at < ipv4.IPV4_HEADER || ipv4.fragmentOffset(view, at) !== 0) return false;
  const header = ipv4.headerLength(view, at);
  const transport = at + header;
  if (header < ipv4.IPV4_HEADER || transport > end) return false;
  const protocol = ipv4.protocol(view, at);
  into.source = ipv4.source(view, at);
  into.destination = ipv4.destination(view, at);
  into.protocol = protocol;
  into.sourcePort = 0;
  into.destinationPort = 0;
  if (hasPorts(protocol)) {
    if (end - transport < 4) return false;
    into.sourcePort = view.getUint16(transport);
    into.destinationPort = view.getUint16(transport + 2);
  } else if (protocol === ipv4.PROTOCOL_ICMP) {
    if (end - transport < icmp.ICMP_HEADER) return false;
    into.sourcePort = icmp.identifier(view, transport);
    into.destinationPort = view.getUint16(transport);
  }
  return true;
}

/** `nf_ct_invert_tuple()`: the flow of the answers. False for ICMP types that have none. */
export function invertTuple(of: Tuple, into: Tuple): boolean {
  if (of.protocol !== ipv4.PROTOCOL_ICMP) {
    into.set(of.destination, of.source, of.protocol, of.destinationPort, of.sourcePort);
    return true;
  }
  const type = inverseType(of.destinationPort >> 8);
  if (type < 0) return false;
  into.set(of.destination, of.source, of.protocol, of.sourcePort, (type << 8) | (of.destinationPort & 255));
  return true;
}

/** 32 well-mixed bits of a tuple. */
export function hashTuple(of: Tuple): number {
  let hash = Math.imul(of.source, 0x9e3779b1) ^ of.protocol;
  hash = Math.imul((hash << 15) | (hash >>> 17), 0x85ebca6b) ^ of.destination;
  hash = Math.imul((hash << 13) | (hash >>> 19), 0xc2b2ae35) ^ ((of.sourcePort << 16) | of.destinationPort);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  return hash ^ (hash >>> 15);
}
