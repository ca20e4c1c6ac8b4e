import { FRAME, NETWORK, type Packet } from "../src/packet/packet.ts";
import type { Pool } from "../src/packet/pool.ts";
import { parseIpv4 } from "../src/wire/address.ts";
import * as ethernet from "../src/wire/ethernet.ts";
import * as icmp from "../src/wire/icmp.ts";
import * as ipv4 from "../src/wire/ipv4.ts";
import * as tcp from "../src/wire/tcp.ts";
import * as udp from "../src/wire/udp.ts";

/** What the builders below put into the IPv4 header; addresses are dotted quads. */
export interface NetworkFields {
  readonly source?: string;
  readonly destination?: string;
  readonly ttl?: number;
  readonly tos?: number;
  readonly identification?: number;
  /** DONT_FRAGMENT, MORE_FRAGMENTS and the offset in units of 8 bytes. */
  readonly fragment?: number;
}

export interface PortFields {
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

export interface TcpFields extends NetworkFields, PortFields {
  readonly flags?: number;
  readonly sequence?: number;
  readonly acknowledgement?: number;
  readonly window?: number;
  /** Bytes of options; a multiple of four. */
  readonly options?: readonly number[];
}

export const CLIENT = "10.0.0.1";
export const SERVER = "10.0.0.2";
const SOURCE_MAC = { high: 0x0200, low: 0x00000001 };
const DESTINATION_MAC = { high: 0x0200, low: 0x00000002 };

/** Offset of the transport header in a packet without IPv4 options. */
export const TRANSPORT = NETWORK + ipv4.IPV4_HEADER;

function ipv4Packet(pool: Pool, protocol: number, payload: number, fields: NetworkFields): Packet {
  const length = ipv4.IPV4_HEADER + payload;
  const packet = pool.take(ethernet.ETHERNET_HEADER + length);
  const { view } = packet;
  packet.bytes.fill(0, FRAME, packet.end);
  ethernet.setDestination(view, FRAME, DESTINATION_MAC.high, DESTINATION_MAC.low);
  ethernet.setSource(view, FRAME, SOURCE_MAC.high, SOURCE_MAC.low);
  ethernet.setEtherType(view, FRAME, ethernet.ETHERTYPE_IPV4);
  ipv4.write(view, NETWORK, {
    source: parseIpv4(fields.source ?? CLIENT),
    destination: parseIpv4(fields.destination ?? SERVER),
    protocol,
    length,
    ttl: fields.ttl ?? 64,
    tos: fields.tos ?? 0,
    identification: fields.identification ?? 0,
    fragment: fields.fragment ?? 0,
  });
  packet.type = "host";
  return packet;
}

const addresses = (packet: Packet): { source: number; destination: number } => ({
  source: ipv4.source(packet.view, NETWORK),
  destination: ipv4.destination(packet.view, NETWORK),
});

/** Any IPv4 packet with these bytes behind its header. */
export function rawPacket(
  pool: Pool,
  protocol: number,
  payload: readonly number[],
  fields: NetworkFields = {},
): Packet {
  const packet = ipv4Packet(pool, protocol, payload.length, fields);
  packet.bytes.set(payload, TRANSPORT);
  return packet;
}

/** Ports default to 5000 and 53. */
export function udpPacket(pool: Pool, fields: NetworkFields & PortFields = {}, data: readonly number[] = []): Packet {
  const bytes = udp.UDP_HEADER + data.length;
  const packet = ipv4Packet(pool, ipv4.PROTOCOL_UDP, bytes, fields);
  packet.bytes.set(data, TRANSPORT + udp.UDP_HEADER);
  const ports = { source: fields.sourcePort ?? 5000, destination: fields.destinationPort ?? 53 };
  udp.write(packet.view, TRANSPORT, ports, bytes, addresses(packet));
  return packet;
}

/** Ports default to 5000 and 80, the flags to SYN. */
export function tcpPacket(pool: Pool, fields: TcpFields = {}, data: readonly number[] = []): Packet {
  const options = fields.options ?? [];
  const header = tcp.TCP_HEADER + options.length;
  const packet = ipv4Packet(pool, ipv4.PROTOCOL_TCP, header + data.length, fields);
  const { view } = packet;
  tcp.write(view, TRANSPORT, {
    source: fields.sourcePort ?? 5000,
    destination: fields.destinationPort ?? 80,
    sequence: fields.sequence ?? 1000,
    acknowledgement: fields.acknowledgement ?? 0,
    flags: fields.flags ?? tcp.SYN,
    window: fields.window ?? 64240,
  });
  view.setUint8(TRANSPORT + 12, (header >> 2) << 4);
  packet.bytes.set(options, TRANSPORT + tcp.TCP_HEADER);
  packet.bytes.set(data, TRANSPORT + header);
  const { source, destination } = addresses(packet);
  tcp.setChecksum(view, TRANSPORT, header + data.length, source, destination);
  return packet;
}

/** An echo request unless `type` says otherwise. */
export function icmpPacket(
  pool: Pool,
  fields: NetworkFields & { readonly type?: number; readonly code?: number; readonly rest?: number } = {},
  data: readonly number[] = [],
): Packet {
  const bytes = icmp.ICMP_HEADER + data.length;
  const packet = ipv4Packet(pool, ipv4.PROTOCOL_ICMP, bytes, fields);
  packet.bytes.set(data, TRANSPORT + icmp.ICMP_HEADER);
  icmp.write(packet.view, TRANSPORT, fields.type ?? icmp.ECHO_REQUEST, fields.code ?? 0, fields.rest ?? 0x0001_0001);
  icmp.setChecksum(packet.view, TRANSPORT, bytes);
  return packet;
}

/** Every checksum of the packet is right. */
export function isIntact(packet: Packet): boolean {
  const { view } = packet;
  if (ipv4.check(view, NETWORK, packet.end) !== null) return false;
  const at = NETWORK + ipv4.headerLength(view, NETWORK);
  const bytes = packet.end - at;
  const { source, destination } = addresses(packet);
  switch (ipv4.protocol(view, NETWORK)) {
    case ipv4.PROTOCOL_TCP:
      return tcp.isValid(view, at, bytes, source, destination);
    case ipv4.PROTOCOL_UDP:
      return udp.isValid(view, at, bytes, source, destination);
    case ipv4.PROTOCOL_ICMP:
      return icmp.isValid(view, at, bytes);
    default:
      return true;
  }
}

/** The frame's bytes as they are now. */
export const bytesOf = (packet: Packet): Uint8Array => packet.bytes.slice(FRAME, packet.end);
