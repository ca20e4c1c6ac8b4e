import type { Headers } from "../trace/headers.ts";
import * as arp from "../wire/arp.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as tcp from "../wire/tcp.ts";

/** What a scenario may call a packet. */
export const PACKET_KINDS = [
  "arp request",
  "arp reply",
  "ipv4",
  "fragment",
  "icmp",
  "icmp echo request",
  "icmp echo reply",
  "icmp unreachable",
  "icmp net unreachable",
  "icmp host unreachable",
  "icmp protocol unreachable",
  "icmp port unreachable",
  "icmp fragmentation needed",
  "icmp prohibited",
  "icmp redirect",
  "icmp time exceeded",
  "udp",
  "tcp",
  "tcp syn",
  "tcp syn ack",
  "tcp rst",
  "tcp fin",
] as const;

export type PacketKind = (typeof PACKET_KINDS)[number];

const UNREACHABLE: Readonly<Record<number, PacketKind>> = {
  0: "icmp net unreachable",
  1: "icmp host unreachable",
  2: "icmp protocol unreachable",
  3: "icmp port unreachable",
  4: "icmp fragmentation needed",
  9: "icmp prohibited",
  10: "icmp prohibited",
  13: "icmp prohibited",
};
const ICMP: Readonly<Record<number, PacketKind>> = {
  0: "icmp echo reply",
  5: "icmp redirect",
  8: "icmp echo request",
  11: "icmp time exceeded",
};

/** All that a packet may be called; the most telling name comes last. */
export interface PacketFacts {
  /** IANA number, or -1 for what is not IPv4. */
  protocol: number;
  /** Of ARP messages, 0 for others. */
  operation: number;
  fragment: boolean;
  /** The first byte behind the IPv4 header, -1 where there is none. */
  icmpType: number;
  icmpCode: number;
  tcpFlags: number;
}

export function kindsOf(facts: PacketFacts): PacketKind[] {
  if (facts.operation !== 0) return facts.operation === 1 ? ["arp request"] : ["arp reply"];
  if (facts.protocol < 0) return [];
  const kinds: PacketKind[] = facts.fragment ? ["ipv4", "fragment"] : ["ipv4"];
  if (facts.protocol === ipv4.PROTOCOL_UDP) kinds.push("udp");
  else if (facts.protocol === ipv4.PROTOCOL_ICMP) {
    kinds.push("icmp");
    if (facts.icmpType === 3) kinds.push("icmp unreachable");
    const kind = facts.icmpType === 3 ? UNREACHABLE[facts.icmpCode] : ICMP[facts.icmpType];
    if (kind !== undefined) kinds.push(kind);
  } else if (facts.protocol === ipv4.PROTOCOL_TCP) {
    kinds.push("tcp");
    const { tcpFlags } = facts;
    if ((tcpFlags & tcp.SYN) !== 0) kinds.push((tcpFlags & tcp.ACK) !== 0 ? "tcp syn ack" : "tcp syn");
    if ((tcpFlags & tcp.FIN) !== 0) kinds.push("tcp fin");
    if ((tcpFlags & tcp.RST) !== 0) kinds.push("tcp rst");
  }
  return kinds;
}

/** The facts of a frame; its Ethernet header stands at 0. */
export function readFacts(view: DataView): PacketFacts {
  const facts = { protocol: -1, operation: 0, fragment: false, icmpType: -1, icmpCode: -1, tcpFlags: 0 };
  const length = view.byteLength;
  const network = ethernet.ETHERNET_HEADER;
  if (length < network) return facts;
  const type = ethernet.etherType(view, 0);
  if (type === ethernet.ETHERTYPE_ARP && length >= network + arp.ARP_LENGTH)
    facts.operation = arp.operation(view, network);
  if (type !== ethernet.ETHERTYPE_IPV4 || length < network + ipv4.IPV4_HEADER) return facts;
  facts.protocol = ipv4.protocol(view, network);
  facts.fragment = ipv4.isFragment(view, network);
  const transport = network + ipv4.headerLength(view, network);
  if (ipv4.fragmentOffset(view, network) !== 0 || length < transport + 8) return facts;
  facts.icmpType = view.getUint8(transport);
  facts.icmpCode = view.getUint8(transport + 1);
  if (facts.protocol === ipv4.PROTOCOL_TCP && length >= transport + tcp.TCP_HEADER)
    facts.tcpFlags = tcp.flags(view, transport);
  return facts;
}

/** The facts of a packet in the trace. */
export function factsOf(headers: Headers): PacketFacts {
  const { ipv4: network, transport } = headers;
  return {
    protocol: network?.protocol ?? -1,
    operation: headers.arp?.operation ?? 0,
    fragment: network !== null && (network.moreFragments || network.fragmentUnits !== 0),
    icmpType: transport === null ? -1 : headers.icmpType,
    icmpCode: transport === null ? -1 : headers.icmpCode,
    tcpFlags: transport?.flags ?? 0,
  };
}
