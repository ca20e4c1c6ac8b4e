import type { Headers } from "../trace/headers.ts";
import { formatIpv4, formatMac } from "../wire/address.ts";
import * as arp from "../wire/arp.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { ExpectationSpec } from "./format.ts";
import type { PacketKind } from "./packet-kind.ts";

/** What an expectation may ask of a packet, in the words of the format. */
export interface Fields {
  source?: string;
  destination?: string;
  source_port?: number;
  destination_port?: number;
  id?: number;
  ttl?: number;
  tos?: number;
  length?: number;
  source_mac?: string;
  destination_mac?: string;
}

/** A packet as it was at one moment. */
export interface Sight {
  readonly packet: number;
  readonly kinds: readonly PacketKind[];
  readonly fields: Fields;
}

export const FIELD_KEYS = [
  "source",
  "destination",
  "source_port",
  "destination_port",
  "id",
  "ttl",
  "tos",
  "length",
  "source_mac",
  "destination_mac",
] as const satisfies readonly (keyof Fields)[];

/** The fields of a sight that are not as expected. */
export const mismatches = (spec: ExpectationSpec, sight: Sight): (typeof FIELD_KEYS)[number][] =>
  FIELD_KEYS.filter((key) => {
    const wanted = spec[key];
    if (wanted === undefined) return false;
    const found = sight.fields[key];
    return typeof wanted === "string" ? wanted.toLowerCase() !== found : wanted !== found;
  });

export const isKind = (spec: ExpectationSpec, sight: Sight): boolean =>
  spec.packet === undefined || sight.kinds.includes(spec.packet);

/** The fields of a packet in the trace. */
export function fieldsOf(headers: Headers): Fields {
  const fields: Fields = {};
  const { ethernet: link, arp: message, ipv4: network } = headers;
  if (link !== null) Object.assign(fields, { source_mac: link.source, destination_mac: link.destination });
  if (message !== null) Object.assign(fields, { source: message.sender, destination: message.target });
  if (network === null) return fields;
  const { source, destination, ttl, tos, length } = network;
  Object.assign(fields, { source, destination, ttl, tos, length });
  if (headers.transport === null) return fields;
  if (headers.isIcmp) fields.id = headers.identifier;
  else if (headers.hasPorts) {
    fields.source_port = headers.sourcePort;
    fields.destination_port = headers.destinationPort;
  }
  return fields;
}

/** The fields of a frame, by the names that expectations use. */
export function readFields(view: DataView): Fields {
  const fields: Fields = {};
  const length = view.byteLength;
  const network = ethernet.ETHERNET_HEADER;
  if (length < network) return fields;
  fields.source_mac = formatMac(ethernet.sourceHigh(view, 0), ethernet.sourceLow(view, 0));
  fields.destination_mac = formatMac(ethernet.destinationHigh(view, 0), ethernet.destinationLow(view, 0));
  const type = ethernet.etherType(view, 0);
  if (type === ethernet.ETHERTYPE_ARP && length >= network + arp.ARP_LENGTH) {
    fields.source = formatIpv4(arp.senderAddress(view, network));
    fields.destination = formatIpv4(arp.targetAddress(view, network));
  }
  if (type !== ethernet.ETHERTYPE_IPV4 || length < network + ipv4.IPV4_HEADER) return fields;
  fields.source = formatIpv4(ipv4.source(view, network));
  fields.destination = formatIpv4(ipv4.destination(view, network));
  fields.ttl = ipv4.ttl(view, network);
  fields.tos = ipv4.tos(view, network);
  fields.length = ipv4.totalLength(view, network);
  const transport = network + ipv4.headerLength(view, network);
  if (ipv4.fragmentOffset(view, network) !== 0 || length < transport + 8) return fields;
  if (ipv4.protocol(view, network) === ipv4.PROTOCOL_ICMP) fields.id = view.getUint16(transport + 4);
  else {
    fields.source_port = view.getUint16(transport);
    fields.destination_port = view.getUint16(transport + 2);
  }
  return fields;
}

export const formatTime = (nanoseconds: number): string => `${nanoseconds / 1e6} ms`;
