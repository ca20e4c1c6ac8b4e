import { parseHex } from "../../../src/scenario/lab-packet.ts";

/** Frames as one line of text each, read byte by byte from the RFCs, so that nothing of hopscope vouches for itself. */

const address = (view: DataView, at: number): string =>
  [0, 1, 2, 3].map((i) => String(view.getUint8(at + i))).join(".");
const mac = (view: DataView, at: number): string =>
  [0, 1, 2, 3, 4, 5]
    .map((i) =>
      view
        .getUint8(at + i)
        .toString(16)
        .padStart(2, "0"),
    )
    .join(":");

const PROTOCOLS: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp" };
const FLAGS = "FSRPAUEC";

/** The RFC 1071 sum of bytes is all ones where a checksum that they hold is right. */
function sums(view: DataView, from: number, to: number, start = 0): boolean {
  let sum = start;
  for (let at = from; at < to; at += 2) sum += at + 1 < to ? view.getUint16(at) : view.getUint8(at) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum === 0xffff;
}

export interface Ipv4Fields {
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  readonly ttl: number;
  readonly tos: number;
  readonly id: number;
  readonly length: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** Bytes. */
  readonly offset: number;
  /** The header's checksum, and the transport's where all of it is here, are right. */
  readonly valid: boolean;
  /** `source:port > destination:port`, or with the ICMP type and code behind. */
  readonly text: string;
  readonly icmp: IcmpFields | null;
  readonly tcp: TcpFields | null;
}

export interface IcmpFields {
  readonly type: number;
  readonly code: number;
  readonly id: number;
  /** Bytes 4 to 7 of the header: the MTU in their lower half, or a gateway. */
  readonly gateway: string;
  readonly mtu: number;
  /** Bytes behind the header. */
  readonly quotedBytes: number;
  readonly quote: Ipv4Fields | null;
}

export interface TcpFields {
  readonly flags: string;
  readonly sequence: number;
  readonly acknowledgement: number;
}

export interface FrameFields {
  readonly source: string;
  readonly destination: string;
  readonly type: number;
  readonly ip: Ipv4Fields | null;
  readonly text: string;
}

function transportValid(view: DataView, at: number, header: number, length: number, protocol: number): boolean {
  const from = at + header;
  const to = at + length;
  if (to > view.byteLength) return true;
  if (protocol === 1) return sums(view, from, to);
  if (protocol !== 6 && protocol !== 17) return true;
  if (protocol === 17 && view.getUint16(from + 6) === 0) return true;
  let start = protocol + length - header;
  for (let i = 12; i < 20; i += 2) start += view.getUint16(at + i);
  return sums(view, from, to, start);
}

function readTcp(view: DataView, at: number): TcpFields | null {
  if (view.byteLength < at + 14) return null;
  let flags = "";
  for (let bit = 0; bit < 8; bit++) if ((view.getUint8(at + 13) >> bit) & 1) flags += FLAGS[bit];
  return { flags, sequence: view.getUint32(at + 4), acknowledgement: view.getUint32(at + 8) };
}

function readIcmp(view: DataView, at: number, end: number): IcmpFields {
  const type = view.getUint8(at);
  const error = type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
  return {
    type,
    code: view.getUint8(at + 1),
    id: view.getUint16(at + 4),
    gateway: address(view, at + 4),
    mtu: view.getUint16(at + 6),
    quotedBytes: end - at - 8,
    quote: error && end - at >= 28 ? readIpv4(view, at + 8) : null,
  };
}

/** The IPv4 packet at `at`; a quoted one may be cut off. */
export function readIpv4(view: DataView, at: number): Ipv4Fields {
  const header = (view.getUint8(at) & 15) << 2;
  const length = view.getUint16(at + 2);
  const number = view.getUint8(at + 9);
  const word = view.getUint16(at + 6);
  const offset = (word & 0x1fff) * 8;
  const fragment = (word & 0x3fff) !== 0;
  const protocol = PROTOCOLS[number] ?? `proto ${number}`;
  const from = address(view, at + 12);
  const to = address(view, at + 16);
  const transport = at + header;
  const ported = offset === 0 && (number === 6 || number === 17) && view.byteLength >= transport + 4;
  const port = (by: number) => (ported ? `:${view.getUint16(transport + by)}` : "");
  const icmp = number === 1 && offset === 0 ? readIcmp(view, transport, Math.min(view.byteLength, at + length)) : null;
  const tcp = number === 6 && offset === 0 ? readTcp(view, transport) : null;
  const ends = `${from}${port(0)} > ${to}${port(2)}`;
  const kind = icmp !== null ? ` ${icmp.type}/${icmp.code}` : tcp !== null ? ` ${tcp.flags}` : "";
  const piece = fragment ? ` frag ${offset}${(word & 0x2000) !== 0 ? "+" : ""}` : "";
  const ttl = view.getUint8(at + 8);
  return {
    source: from,
    destination: to,
    protocol,
    ttl,
    tos: view.getUint8(at + 1),
    id: view.getUint16(at + 4),
    length,
    dontFragment: (word & 0x4000) !== 0,
    moreFragments: (word & 0x2000) !== 0,
    offset,
    valid: sums(view, at, transport) && (fragment || transportValid(view, at, header, length, number)),
    text: `${protocol} ${ends}${kind}${piece} ttl ${ttl}`,
    icmp,
    tcp,
  };
}

export function readFrame(hex: string): FrameFields {
  const bytes = parseHex(hex);
  const view = new DataView(bytes.buffer);
  const type = view.getUint16(12);
  const ip = type === 0x0800 ? readIpv4(view, 14) : null;
  return {
    source: mac(view, 6),
    destination: mac(view, 0),
    type,
    ip,
    text: ip !== null ? ip.text : type === 0x0806 ? arpText(view) : `ethertype ${type.toString(16)}`,
  };
}

function arpText(view: DataView): string {
  const sender = address(view, 28);
  const target = address(view, 38);
  return view.getUint16(20) === 1
    ? `who has ${target} tell ${sender}`
    : `${sender} is at ${mac(view, 22)} for ${target}`;
}
