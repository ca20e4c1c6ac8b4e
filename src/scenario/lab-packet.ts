import { parseIpv4, parseMac } from "../wire/address.ts";
import { checksum, fold, pseudoSum, sumBytes } from "../wire/checksum.ts";

/** Packets as a lab case writes them: fields by name, the rest filled in, and every field may be given wrong on purpose. */
export interface PayloadSpec {
  hex?: string;
  data?: string;
  size?: number;
}

export interface IpSpec {
  src: string;
  dst: string;
  tos?: number;
  len?: number;
  id?: number;
  df?: boolean | number;
  mf?: boolean | number;
  off?: number;
  ttl?: number;
  proto?: number;
  csum?: number;
  opts?: string;
  slice?: [number, number];
}

export interface PacketSpec {
  ip: IpSpec;
  udp?: PayloadSpec & { sport?: number; dport?: number; len?: number; csum?: number };
  tcp?: PayloadSpec & {
    sport?: number;
    dport?: number;
    seq?: number;
    ack?: number;
    flags?: string;
    win?: number;
    opts?: string;
    csum?: number;
  };
  icmp?: PayloadSpec & {
    type: number;
    code?: number;
    id?: number;
    seq?: number;
    inner?: PacketSpec;
    quote?: number;
    mtu?: number;
    gw?: string;
    csum?: number;
  };
  raw?: string;
  proto?: number;
}

export interface FrameSpec extends Partial<PacketSpec>, PayloadSpec {
  eth: { src: string; dst: string; type?: number };
  arp?: { op?: string; sha?: string; spa: string; tha?: string; tpa: string };
}

export function parseHex(text: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw new RangeError(`not hexadecimal bytes: ${text.slice(0, 40)}`);
  return Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

export function formatHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

export function payload(spec: PayloadSpec): Uint8Array {
  if (spec.hex !== undefined) return parseHex(spec.hex);
  if (spec.data !== undefined) return Uint8Array.from(spec.data, (letter) => letter.charCodeAt(0) & 255);
  return Uint8Array.from({ length: spec.size ?? 0 }, (_, i) => 0x41 + (i % 26));
}

function padded(hex: string): Uint8Array {
  const bytes = parseHex(hex);
  const out = new Uint8Array((bytes.length + 3) & ~3);
  out.set(bytes);
  return out;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const FLAGS = "FSRPAUEC";

function joined(header: Uint8Array, ...rest: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(header.length + rest.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of [header, ...rest]) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function transport(spec: PacketSpec, source: number, destination: number): { protocol: number; bytes: Uint8Array } {
  const sum = (protocol: number, bytes: Uint8Array) =>
    ~fold(sumBytes(viewOf(bytes), 0, bytes.length, pseudoSum(source, destination, protocol, bytes.length))) & 0xffff;
  if (spec.udp !== undefined) {
    const { udp } = spec;
    const data = payload(udp);
    const bytes = joined(new Uint8Array(8), data);
    const view = viewOf(bytes);
    view.setUint16(0, udp.sport ?? 0);
    view.setUint16(2, udp.dport ?? 0);
    view.setUint16(4, udp.len ?? 8 + data.length);
    view.setUint16(6, udp.csum ?? (sum(17, bytes) || 0xffff));
    return { protocol: 17, bytes };
  }
  if (spec.tcp !== undefined) {
    const { tcp } = spec;
    const options = padded(tcp.opts ?? "");
    const bytes = joined(new Uint8Array(20), options, payload(tcp));
    const view = viewOf(bytes);
    view.setUint16(0, tcp.sport ?? 0);
    view.setUint16(2, tcp.dport ?? 0);
    view.setUint32(4, tcp.seq ?? 0);
    view.setUint32(8, tcp.ack ?? 0);
    view.setUint8(12, (5 + options.length / 4) << 4);
    let flags = 0;
    for (const letter of tcp.flags ?? "S") flags |= 1 << FLAGS.indexOf(letter);
    view.setUint8(13, flags);
    view.setUint16(14, tcp.win ?? 65_535);
    view.setUint16(16, tcp.csum ?? sum(6, bytes));
    return { protocol: 6, bytes };
  }
  if (spec.icmp !== undefined) return { protocol: 1, bytes: icmpBytes(spec.icmp) };
  return { protocol: spec.proto ?? 253, bytes: parseHex(spec.raw ?? "") };
}

function icmpBytes(icmp: NonNullable<PacketSpec["icmp"]>): Uint8Array {
  const data = icmp.inner === undefined ? payload(icmp) : packetBytes(icmp.inner).slice(0, icmp.quote ?? 65_536);
  const bytes = joined(new Uint8Array(8), data);
  const view = viewOf(bytes);
  view.setUint8(0, icmp.type);
  view.setUint8(1, icmp.code ?? 0);
  if (icmp.inner === undefined) {
    view.setUint16(4, icmp.id ?? 0);
    view.setUint16(6, icmp.seq ?? 0);
  } else if (icmp.type === 3) view.setUint16(6, icmp.mtu ?? 0);
  else if (icmp.type === 5) view.setInt32(4, parseIpv4(icmp.gw ?? "0.0.0.0"));
  view.setUint16(2, icmp.csum ?? checksum(view, 0, bytes.length));
  return bytes;
}

/** An IPv4 packet from its description. @throws {RangeError} for a bad address or hex text. */
export function packetBytes(spec: PacketSpec): Uint8Array {
  const { ip } = spec;
  const source = parseIpv4(ip.src);
  const destination = parseIpv4(ip.dst);
  const { protocol, bytes } = transport(spec, source, destination);
  const body = ip.slice === undefined ? bytes : bytes.slice(ip.slice[0], ip.slice[1]);
  const options = padded(ip.opts ?? "");
  const header = joined(new Uint8Array(20), options);
  const view = viewOf(header);
  view.setUint8(0, 0x40 | (5 + options.length / 4));
  view.setUint8(1, ip.tos ?? 0);
  view.setUint16(2, ip.len ?? header.length + body.length);
  view.setUint16(4, ip.id ?? 1);
  view.setUint16(6, (ip.df ? 0x4000 : 0) | (ip.mf ? 0x2000 : 0) | Math.floor((ip.off ?? 0) / 8));
  view.setUint8(8, ip.ttl ?? 64);
  view.setUint8(9, ip.proto ?? protocol);
  view.setInt32(12, source);
  view.setInt32(16, destination);
  view.setUint16(10, ip.csum ?? checksum(view, 0, header.length));
  return joined(header, body);
}

/** An Ethernet frame from its description, or from hexadecimal text. @throws {RangeError}. */
export function frameBytes(spec: FrameSpec | string): Uint8Array {
  if (typeof spec === "string") return parseHex(spec);
  const header = new Uint8Array(14);
  const view = viewOf(header);
  const destination = parseMac(spec.eth.dst);
  const source = parseMac(spec.eth.src);
  view.setUint16(0, destination.high);
  view.setInt32(2, destination.low);
  view.setUint16(6, source.high);
  view.setInt32(8, source.low);
  if (spec.arp !== undefined) {
    view.setUint16(12, 0x0806);
    return joined(header, arpBytes(spec.arp, spec.eth.src));
  }
  if (spec.ip !== undefined) {
    view.setUint16(12, 0x0800);
    return joined(header, packetBytes(spec as PacketSpec));
  }
  view.setUint16(12, spec.eth.type ?? 0x88b5);
  return joined(header, payload(spec));
}

function arpBytes(arp: NonNullable<FrameSpec["arp"]>, sender: string): Uint8Array {
  const bytes = new Uint8Array(28);
  const view = viewOf(bytes);
  const from = parseMac(arp.sha ?? sender);
  const to = parseMac(arp.tha ?? "00:00:00:00:00:00");
  view.setUint16(0, 1);
  view.setUint16(2, 0x0800);
  view.setUint16(4, 0x0604);
  view.setUint16(6, arp.op === "reply" ? 2 : 1);
  view.setUint16(8, from.high);
  view.setInt32(10, from.low);
  view.setInt32(14, parseIpv4(arp.spa));
  view.setUint16(18, to.high);
  view.setInt32(20, to.low);
  view.setInt32(24, parseIpv4(arp.tpa));
  return bytes;
}
