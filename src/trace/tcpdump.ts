import { formatIpv4, formatMac } from "../wire/address.ts";
import * as arp from "../wire/arp.ts";
import { DNS_PORT, type DnsMessage, parseDns } from "../wire/dns.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as tcp from "../wire/tcp.ts";
import * as udp from "../wire/udp.ts";

/** How addresses and ports are written; numbers as with `-n`. */
export interface TcpdumpNames {
  host(address: number): string;
  port(port: number, protocol: "tcp" | "udp"): string;
}

export const NUMBERS: TcpdumpNames = { host: formatIpv4, port: String };

const IP = ethernet.ETHERNET_HEADER;
const ETHERTYPES: Readonly<Record<number, string>> = { 2048: "IPv4", 2054: "ARP", 34525: "IPv6", 33024: "802.1Q" };
const HTTP_PORTS = [80, 8080];
const MDNS_PORT = 5353;
const DNS_HEADER = 12;
const DHCP_PORTS = [67, 68];

/** Writes frames as tcpdump 4.99 does. Of what stands in UDP and TCP it reads DNS, DHCP and HTTP alone. It remembers where TCP conversations began. */
export class Tcpdump {
  /** Of each TCP conversation the numbers before its first bytes, by its two ends in their order. */
  private readonly conversations = new Map<string, { low: number; high: number }>();

  /** `link`: with the Ethernet header, as `-e` has it. */
  constructor(
    private readonly names: TcpdumpNames = NUMBERS,
    private readonly link = false,
  ) {}

  /** One frame, without time and device. */
  print(bytes: Uint8Array): string {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (view.byteLength < IP) return "[|ether]";
    const type = ethernet.etherType(view, 0);
    const known = type === ethernet.ETHERTYPE_IPV4 || type === ethernet.ETHERTYPE_ARP;
    const label = type === ethernet.ETHERTYPE_IPV4 ? "IP" : "ARP,";
    const head = this.link || !known ? `${linkText(view, type)}: ` : `${label} `;
    if (!known) return head.slice(0, -2);
    return head + (type === ethernet.ETHERTYPE_ARP ? this.arp(view) : this.packet(view, bytes));
  }

  private packet(view: DataView, bytes: Uint8Array): string {
    if (view.byteLength < IP + ipv4.IPV4_HEADER) return "[|ip]";
    const end = Math.min(view.byteLength, IP + ipv4.totalLength(view, IP));
    const at = IP + ipv4.headerLength(view, IP);
    const protocol = ipv4.protocol(view, IP);
    const [source, destination] = [ipv4.source(view, IP), ipv4.destination(view, IP)].map(this.names.host);
    const bare = `${source} > ${destination}:`;
    if (ipv4.fragmentOffset(view, IP) !== 0) return `${bare} ${this.protocolName(protocol)}`;
    const least = { [ipv4.PROTOCOL_ICMP]: 8, [ipv4.PROTOCOL_UDP]: 8, [ipv4.PROTOCOL_TCP]: 20 }[protocol];
    if (least === undefined) return `${bare} ${this.protocolName(protocol)} ${end - at}`;
    if (end - at < least) return `${bare} [|${PROTOCOL_NAMES[protocol]}]`;
    if (protocol === ipv4.PROTOCOL_ICMP) return `${bare} ${this.icmp(view, at, end - at)}`;
    const kind = protocol === ipv4.PROTOCOL_TCP ? "tcp" : "udp";
    const ports: readonly [number, number] = [view.getUint16(at), view.getUint16(at + 2)];
    const [from, to] = ports.map((port) => this.names.port(port, kind));
    const text = kind === "tcp" ? this.segment(view, at, end) : datagram(view, bytes, at, end);
    return `${source}.${from} > ${destination}.${to}: ${text}`;
  }

  private protocolName(protocol: number): string {
    const name = this.names === NUMBERS ? undefined : PROTOCOL_NAMES[protocol];
    return name ?? `ip-proto-${protocol}`;
  }

  private arp(view: DataView): string {
    if (view.byteLength < IP + arp.ARP_LENGTH) return "[|arp]";
    const [sender, target] = [arp.senderAddress(view, IP), arp.targetAddress(view, IP)].map(this.names.host);
    const length = `length ${view.byteLength - IP}`;
    const mac = formatMac(arp.senderHigh(view, IP), arp.senderLow(view, IP));
    if (arp.operation(view, IP) !== arp.ARP_REQUEST) return `Reply ${sender} is-at ${mac}, ${length}`;
    if (sender === target) return `Announcement ${sender}, ${length}`;
    if (arp.senderAddress(view, IP) === 0) return `Probe ${target}, ${length}`;
    return `Request who-has ${target} tell ${sender}, ${length}`;
  }

  private segment(view: DataView, at: number, end: number): string {
    const flags = tcp.flags(view, at);
    const header = tcp.headerLength(view, at);
    const length = Math.max(0, end - at - header);
    const { sequence, acknowledgement, base } = this.relative(view, at);
    const range = `${sequence}${length > 0 ? `:${(sequence + length) >>> 0}` : ""}`;
    const options = optionTexts(view, at + tcp.TCP_HEADER, Math.min(at + header, end), base);
    const words = [
      `Flags [${letters(flags)}]`,
      ...(length > 0 || flags & (tcp.SYN | tcp.FIN | tcp.RST) ? [`seq ${range}`] : []),
      ...(flags & tcp.ACK ? [`ack ${acknowledgement}`] : []),
      `win ${tcp.window(view, at)}`,
      ...(flags & tcp.URG ? [`urg ${view.getUint16(at + 18)}`] : []),
      ...(options.length > 0 ? [`options [${options.join(",")}]`] : []),
      `length ${length}`,
    ];
    return words.join(", ") + (length > 0 ? httpText(view, at, at + header, end) : "");
  }

  /** Numbers count from the first segments of both sides that had an acknowledgement. */
  private relative(view: DataView, at: number): { sequence: number; acknowledgement: number; base: number } {
    const flags = tcp.flags(view, at);
    let sequence = tcp.sequenceNumber(view, at);
    let acknowledgement = tcp.acknowledgement(view, at);
    let base = 0;
    if (flags & tcp.ACK) {
      const from = `${ipv4.source(view, IP)}.${tcp.sourcePort(view, at)}`;
      const to = `${ipv4.destination(view, IP)}.${tcp.destinationPort(view, at)}`;
      const key = [from, to].sort().join(" ");
      const known = this.conversations.get(key);
      const [mine, other] = from < to ? (["low", "high"] as const) : (["high", "low"] as const);
      if (known === undefined || flags & tcp.SYN)
        this.conversations.set(key, { low: 0, high: 0, [mine]: sequence, [other]: acknowledgement - 1 });
      else {
        sequence -= known[mine];
        acknowledgement -= known[other];
        base = known[other];
      }
    }
    return { sequence: sequence >>> 0, acknowledgement: acknowledgement >>> 0, base };
  }

  private icmp(view: DataView, at: number, length: number): string {
    const [type, code] = [icmp.type(view, at), icmp.code(view, at)];
    if (type === icmp.ECHO_REQUEST || type === icmp.ECHO_REPLY) {
      const kind = type === icmp.ECHO_REQUEST ? "request" : "reply";
      return `ICMP echo ${kind}, id ${icmp.identifier(view, at)}, seq ${icmp.sequence(view, at)}, length ${length}`;
    }
    return `ICMP ${this.icmpError(view, at, type, code)}, length ${length}`;
  }

  private icmpError(view: DataView, at: number, type: number, code: number): string {
    if (type === icmp.TIME_EXCEEDED) return code === 0 ? "time exceeded in-transit" : "ip reassembly time exceeded";
    const quoted = at + icmp.ICMP_HEADER;
    if (view.byteLength < quoted + ipv4.IPV4_HEADER || ![icmp.UNREACHABLE, 5].includes(type)) return `type-#${type}`;
    const about = this.names.host(ipv4.destination(view, quoted));
    if (type === icmp.UNREACHABLE) return this.unreachable(view, at, code, about);
    const to = code === 0 || code === 2 ? "net" : "host";
    return `redirect ${about} to ${to} ${this.names.host(view.getInt32(at + 4))}`;
  }

  private unreachable(view: DataView, at: number, code: number, about: string): string {
    const quoted = at + icmp.ICMP_HEADER;
    const protocol = ipv4.protocol(view, quoted);
    if (code === 2) return `${about} protocol ${protocol} unreachable`;
    if (code === icmp.PORT_UNREACHABLE) {
      const port = view.getUint16(quoted + ipv4.headerLength(view, quoted) + 2);
      if (protocol !== ipv4.PROTOCOL_TCP && protocol !== ipv4.PROTOCOL_UDP)
        return `${about} protocol ${protocol} port ${port} unreachable`;
      const kind = protocol === ipv4.PROTOCOL_TCP ? "tcp" : "udp";
      return `${about} ${kind} port ${this.names.port(port, kind)} unreachable`;
    }
    if (code === icmp.FRAGMENTATION_NEEDED) {
      const mtu = view.getUint16(at + 6);
      return `${about} unreachable - need to frag${mtu === 0 ? "" : ` (mtu ${mtu})`}`;
    }
    return UNREACHABLE[code]?.replace("%", about) ?? `${about} unreachable - #${code}`;
  }
}

const PROTOCOL_NAMES: Readonly<Record<number, string>> = { 1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 132: "sctp" };

/** `unreach2str`, and what `icmp_print()` says with an address. */
const UNREACHABLE: Readonly<Record<number, string>> = {
  0: "net % unreachable",
  1: "host % unreachable",
  5: "% unreachable - source route failed",
  6: "net % unreachable - unknown",
  7: "host % unreachable - unknown",
  8: "% unreachable - source host isolated",
  9: "net % unreachable - admin prohibited",
  10: "host % unreachable - admin prohibited",
  11: "net % unreachable - tos prohibited",
  12: "host % unreachable - tos prohibited",
  13: "host % unreachable - admin prohibited filter",
  14: "host % unreachable - host precedence violation",
  15: "host % unreachable - precedence cutoff",
};

function linkText(view: DataView, type: number): string {
  const source = formatMac(ethernet.sourceHigh(view, 0), ethernet.sourceLow(view, 0));
  const [high, low] = [ethernet.destinationHigh(view, 0), ethernet.destinationLow(view, 0)];
  const destination = ethernet.isBroadcast(high, low) ? "ff:ff:ff:ff:ff:ff" : formatMac(high, low);
  const name = ETHERTYPES[type] ?? "Unknown";
  const number = type.toString(16).padStart(4, "0");
  return `${source} > ${destination}, ethertype ${name} (0x${number}), length ${view.byteLength}`;
}

const FLAGS = [
  [tcp.FIN, "F"],
  [tcp.SYN, "S"],
  [tcp.RST, "R"],
  [tcp.PSH, "P"],
  [tcp.ACK, "."],
  [tcp.URG, "U"],
  [tcp.ECE, "E"],
  [tcp.CWR, "W"],
] as const;

const letters = (flags: number): string =>
  FLAGS.filter(([bit]) => flags & bit)
    .map(([, letter]) => letter)
    .join("") || "none";

/** `base`: what the numbers of selective acknowledgements count from. */
function optionTexts(view: DataView, at: number, end: number, base: number): string[] {
  const texts: string[] = [];
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === 0) return [...texts, "eol"];
    const length = kind === 1 ? 1 : at + 1 < end ? view.getUint8(at + 1) : 0;
    if (length < 1 || at + length > end) return [...texts, "[bad opt]"];
    texts.push(kind === 5 ? sackText(view, at, length, base) : optionText(view, kind, at, length));
    at += length;
  }
  return texts;
}

function optionText(view: DataView, kind: number, at: number, length: number): string {
  const unsigned = (offset: number) => view.getUint32(at + offset);
  if (kind === 1) return "nop";
  if (kind === 2 && length === 4) return `mss ${view.getUint16(at + 2)}`;
  if (kind === 3 && length === 3) return `wscale ${view.getUint8(at + 2)}`;
  if (kind === 4) return "sackOK";
  if (kind === 8 && length === 10) return `TS val ${unsigned(2)} ecr ${unsigned(6)}`;
  return `unknown-${kind}`;
}

function sackText(view: DataView, at: number, length: number, base: number): string {
  const number = (offset: number) => (view.getInt32(at + offset) - base) >>> 0;
  const blocks = Array.from({ length: (length - 2) >> 3 }, (_, i) => `{${number(2 + i * 8)}:${number(6 + i * 8)}}`);
  return `sack ${blocks.length} ${blocks.join("")}`;
}

/** `http_print()`: the first line, where the data begin with a request or an answer. */
function httpText(view: DataView, at: number, start: number, end: number): string {
  const ports = [tcp.sourcePort(view, at), tcp.destinationPort(view, at)];
  if (!ports.some((port) => HTTP_PORTS.includes(port))) return "";
  let line = "";
  for (let i = start; i < end; i++) {
    const byte = view.getUint8(i);
    if (byte === 13 || byte === 10) break;
    line += String.fromCharCode(byte);
  }
  const starts = /^(GET|PUT|COPY|HEAD|LOCK|MOVE|POST|PATCH|TRACE|DELETE|CONNECT|OPTIONS) \S+|^HTTP\/[\d.]+ \d+/.test(
    line,
  );
  return starts ? `: HTTP: ${line}` : ": HTTP";
}

function datagram(view: DataView, bytes: Uint8Array, at: number, end: number): string {
  const ports = [udp.sourcePort(view, at), udp.destinationPort(view, at)];
  const data = at + udp.UDP_HEADER;
  const length = view.getUint16(at + 4) - udp.UDP_HEADER;
  const named = [DNS_PORT, MDNS_PORT].some((port) => ports.includes(port));
  if (named && length < DNS_HEADER) return `domain [length ${length} < ${DNS_HEADER}] (invalid)`;
  if (ports.includes(DNS_PORT)) {
    const message = parseDns(bytes.subarray(data, end));
    if (message !== null) return dnsText(message, bytes.subarray(data, end));
  }
  if (ports.every((port) => DHCP_PORTS.includes(port)) && end - data >= 34) {
    const kind = view.getUint8(data) === 1 ? "Request" : "Reply";
    const from = kind === "Request" ? ` from ${formatMac(view.getUint16(data + 28), view.getInt32(data + 30))}` : "";
    return `BOOTP/DHCP, ${kind}${from}, length ${length}`;
  }
  return `UDP, length ${length}`;
}

/** `domain_print()`. */
function dnsText(message: DnsMessage, bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [flags, authorities, additional] = [view.getUint16(2), view.getUint16(8), view.getUint16(10)];
  const length = `(${bytes.length})`;
  if (!message.response) {
    const counts = additional > 0 ? ` [${additional}au]` : "";
    const questions = message.questions.map(({ type, name }) => ` ${type}? ${name}.`).join("");
    return `${message.id}${flags & 0x0100 ? "+" : ""}${counts}${questions} ${length}`;
  }
  const code = RCODES[message.rcode] ?? "";
  const marks = `${flags & 0x0400 ? "*" : ""}${flags & 0x0080 ? "" : "-"}${flags & 0x0200 ? "|" : ""}`;
  const answers = message.answers.map(({ type, data }) => ` ${type} ${type === "A" ? data : `${data}.`}`).join(",");
  return `${message.id}${code}${marks} ${message.answers.length}/${authorities}/${additional}${answers} ${length}`;
}

const RCODES: Readonly<Record<string, string>> = {
  FORMERR: " FormErr",
  SERVFAIL: " ServFail",
  NXDOMAIN: " NXDomain",
  NOTIMP: " NotImp",
  REFUSED: " Refused",
};
