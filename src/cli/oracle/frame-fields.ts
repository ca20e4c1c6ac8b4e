import { formatIpv4, formatMac } from "../../wire/address.ts";
import * as arp from "../../wire/arp.ts";
import { fold, sumBytes } from "../../wire/checksum.ts";
import * as ethernet from "../../wire/ethernet.ts";
import * as icmp from "../../wire/icmp.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as sctp from "../../wire/sctp.ts";
import * as tcp from "../../wire/tcp.ts";
import * as udp from "../../wire/udp.ts";

/** What is compared: a name for each field, and its value. */
export type Fields = Record<string, string | number>;

/** The numbers that the kernel chose, renamed; each method gives the name of a value, or the value itself. */
export interface Naming {
  port(value: number): string | number;
  /** The identifier of an ICMP query. */
  query(value: number): string | number;
  sequence(value: number): string | number;
  identification(value: number): string | number;
}

/** A frame as fields. Its checksums count as right or wrong, nothing else of them. */
export function frameFields(bytes: Uint8Array, naming: Naming): Fields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Fields = {};
  if (bytes.length < ethernet.ETHERNET_HEADER) return { bytes: hex(bytes) };
  fields["to"] = formatMac(ethernet.destinationHigh(view, 0), ethernet.destinationLow(view, 0));
  fields["from"] = formatMac(ethernet.sourceHigh(view, 0), ethernet.sourceLow(view, 0));
  const at = ethernet.ETHERNET_HEADER;
  const type = ethernet.etherType(view, 0);
  if (type === ethernet.ETHERTYPE_ARP && bytes.length >= at + arp.ARP_LENGTH) addArp(fields, view, at);
  else if (type === ethernet.ETHERTYPE_IPV4) new PacketReader(fields, naming).read(bytes.subarray(at), "");
  else {
    fields["type"] = `0x${type.toString(16).padStart(4, "0")}`;
    fields["bytes"] = hex(bytes.subarray(at));
  }
  return fields;
}

function addArp(fields: Fields, view: DataView, at: number): void {
  fields["arp"] = ["?", "request", "reply"][arp.operation(view, at)] ?? arp.operation(view, at);
  fields["sender mac"] = formatMac(arp.senderHigh(view, at), arp.senderLow(view, at));
  fields["sender"] = formatIpv4(arp.senderAddress(view, at));
  fields["target mac"] = formatMac(arp.targetHigh(view, at), arp.targetLow(view, at));
  fields["target"] = formatIpv4(arp.targetAddress(view, at));
}

/** Reads an IPv4 packet into fields; those of a packet that an ICMP error quotes begin with `quoted`. */
class PacketReader {
  constructor(
    private readonly fields: Fields,
    private readonly naming: Naming,
  ) {}

  read(bytes: Uint8Array, prefix: string): void {
    const { naming } = this;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const set = (name: string, value: string | number) => {
      this.fields[prefix + name] = value;
    };
    if (bytes.length < ipv4.IPV4_HEADER) {
      set("bytes", hex(bytes));
      return;
    }
    const header = Math.min(ipv4.headerLength(view, 0), bytes.length);
    const length = ipv4.totalLength(view, 0);
    const word = ipv4.fragmentWord(view, 0);
    set("source", formatIpv4(ipv4.source(view, 0)));
    set("destination", formatIpv4(ipv4.destination(view, 0)));
    set("protocol", ipv4.protocol(view, 0));
    set("ttl", ipv4.ttl(view, 0));
    set("length", length);
    if (ipv4.tos(view, 0) !== 0) set("tos", ipv4.tos(view, 0));
    if (word & ipv4.DONT_FRAGMENT) set("df", 1);
    if (word & ipv4.MORE_FRAGMENTS) set("more fragments", 1);
    const offset = ipv4.fragmentOffset(view, 0);
    if (offset > 0) set("offset", offset);
    // Fragments of one datagram share a number; what the number is, is the sender's choice.
    if (ipv4.isFragment(view, 0)) set("id", naming.identification(ipv4.identification(view, 0)));
    if (header > ipv4.IPV4_HEADER) set("options", hex(bytes.subarray(ipv4.IPV4_HEADER, header)));
    if (fold(sumBytes(view, 0, header)) !== 0xffff) set("checksum", "wrong");
    const quoted = prefix !== "";
    const end = quoted ? bytes.length : Math.max(header, Math.min(length, bytes.length));
    const body = bytes.subarray(header, end);
    if (!quoted && bytes.length > end) set("trailer", hex(bytes.subarray(end)));
    if (offset > 0) {
      set("data", hex(body));
      return;
    }
    const whole = !(word & ipv4.MORE_FRAGMENTS) && body.length >= length - header;
    this.readTransport(view, body, whole, prefix);
  }

  private readTransport(ip: DataView, body: Uint8Array, whole: boolean, prefix: string): void {
    const { naming } = this;
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    const set = (name: string, value: string | number) => {
      this.fields[prefix + name] = value;
    };
    const protocol = ipv4.protocol(ip, 0);
    const ends = [body.length, ipv4.source(ip, 0), ipv4.destination(ip, 0)] as const;
    if (protocol === ipv4.PROTOCOL_UDP && body.length >= udp.UDP_HEADER) {
      set("sport", naming.port(udp.sourcePort(view, 0)));
      set("dport", naming.port(udp.destinationPort(view, 0)));
      if (udp.checksumField(view, 0) === 0) set("udp checksum", "none");
      else if (whole && !udp.isValid(view, 0, ...ends)) set("udp checksum", "wrong");
      set("data", hex(body.subarray(udp.UDP_HEADER)));
    } else if (protocol === ipv4.PROTOCOL_TCP && body.length >= 8) {
      set("sport", naming.port(tcp.sourcePort(view, 0)));
      set("dport", naming.port(tcp.destinationPort(view, 0)));
      set("seq", naming.sequence(tcp.sequenceNumber(view, 0) >>> 0));
      if (body.length < tcp.TCP_HEADER) return;
      const flags = tcp.flags(view, 0);
      set("ack", flags & tcp.ACK ? naming.sequence(tcp.acknowledgement(view, 0) >>> 0) : 0);
      set("flags", tcp.formatFlags(flags));
      set("window", tcp.window(view, 0));
      const header = Math.min(Math.max(tcp.headerLength(view, 0), tcp.TCP_HEADER), body.length);
      if (header > tcp.TCP_HEADER) set("tcp options", hex(body.subarray(tcp.TCP_HEADER, header)));
      if (whole && !tcp.isValid(view, 0, ...ends)) set("tcp checksum", "wrong");
      set("data", hex(body.subarray(header)));
    } else if (protocol === ipv4.PROTOCOL_ICMP && body.length >= icmp.ICMP_HEADER) {
      this.readIcmp(view, body, whole, prefix);
    } else if (protocol === sctp.PROTOCOL_SCTP && body.length >= 8) {
      set("sport", naming.port(view.getUint16(0)));
      set("dport", naming.port(view.getUint16(2)));
      set("tag", sctp.verificationTag(view, 0));
      if (body.length < sctp.SCTP_HEADER) return;
      if (whole && !sctp.isValid(view, 0, body.length)) set("sctp checksum", "wrong");
      set("data", hex(body.subarray(sctp.SCTP_HEADER)));
    } else set("data", hex(body));
  }

  private readIcmp(view: DataView, body: Uint8Array, whole: boolean, prefix: string): void {
    const set = (name: string, value: string | number) => {
      this.fields[prefix + name] = value;
    };
    const type = icmp.type(view, 0);
    set("icmp", `${type}/${icmp.code(view, 0)}`);
    if (whole && !icmp.isValid(view, 0, body.length)) set("icmp checksum", "wrong");
    const data = body.subarray(icmp.ICMP_HEADER);
    if (icmp.isError(type) && prefix === "") {
      if (type === icmp.UNREACHABLE && icmp.nextHopMtu(view, 0) !== 0) set("mtu", icmp.nextHopMtu(view, 0));
      if (type === icmp.REDIRECT) set("gateway", formatIpv4(icmp.gateway(view, 0)));
      set("quoted bytes", data.length);
      this.read(data, "quoted ");
    } else {
      set("query", this.naming.query(icmp.identifier(view, 0)));
      set("seq", icmp.sequence(view, 0));
      set("data", hex(data));
    }
  }
}

export const hex = (bytes: Uint8Array): string => {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
};

/** A frame on one line, for people. */
export function frameText(fields: Fields): string {
  const { to, from } = fields;
  const via = to === undefined ? "" : `  ${from} > ${to}`;
  if (fields["arp"] === "request") return `ARP who has ${fields["target"]}? tell ${fields["sender"]}${via}`;
  if (fields["arp"] !== undefined) return `ARP ${fields["sender"]} is at ${fields["sender mac"]}${via}`;
  if (fields["source"] === undefined) return `frame of type ${fields["type"] ?? "?"}${via}`;
  return packetText(fields, "") + via;
}

function packetText(fields: Fields, prefix: string): string {
  const get = (name: string) => fields[prefix + name];
  const port = (name: string) => (get(name) === undefined ? "" : `:${get(name)}`);
  const protocol = get("protocol");
  const name = { 1: "ICMP", 6: "TCP", 17: "UDP", 132: "SCTP" }[Number(protocol)] ?? `IPv4 protocol ${protocol}`;
  const words = [`${name} ${get("source")}${port("sport")} > ${get("destination")}${port("dport")}`];
  if (get("flags") !== undefined) words.push(`[${get("flags")}]`);
  if (get("icmp") !== undefined) words.push(`type ${get("icmp")}`);
  if (get("query") !== undefined) words.push(`id ${get("query")} seq ${get("seq")}`);
  if (get("mtu") !== undefined) words.push(`mtu ${get("mtu")}`);
  words.push(`ttl ${get("ttl")}`, `length ${get("length")}`);
  if (get("df") !== undefined) words.push("DF");
  if (get("more fragments") !== undefined) words.push("MF");
  if (get("offset") !== undefined) words.push(`offset ${get("offset")}`);
  for (const layer of ["", "udp ", "tcp ", "icmp ", "sctp "])
    if (get(`${layer}checksum`) === "wrong") words.push(`wrong ${layer}checksum`);
  if (prefix === "" && fields["quoted source"] !== undefined) words.push(`{${packetText(fields, "quoted ")}}`);
  return words.join(" ");
}

export function sameFields(a: Fields, b: Fields): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
