import * as arp from "../wire/arp.ts";
import * as icmp from "../wire/icmp.ts";
import * as tcp from "../wire/tcp.ts";
import { Headers } from "./headers.ts";
import type { PacketTrace } from "./trace.ts";

const UNREACHABLE: Readonly<Record<number, string>> = {
  [icmp.NET_UNREACHABLE]: "net unreachable",
  [icmp.HOST_UNREACHABLE]: "host unreachable",
  [icmp.PROTOCOL_UNREACHABLE]: "protocol unreachable",
  [icmp.PORT_UNREACHABLE]: "port unreachable",
  [icmp.FRAGMENTATION_NEEDED]: "fragmentation needed",
  [icmp.SOURCE_ROUTE_FAILED]: "source route failed",
  9: "net administratively prohibited",
  10: "host administratively prohibited",
  [icmp.ADMIN_PROHIBITED]: "administratively prohibited",
};

const TYPES: Readonly<Record<number, string>> = {
  [icmp.ECHO_REPLY]: "echo reply",
  [icmp.SOURCE_QUENCH]: "source quench",
  [icmp.REDIRECT]: "redirect",
  [icmp.ECHO_REQUEST]: "echo request",
  [icmp.PARAMETER_PROBLEM]: "parameter problem",
  [icmp.TIMESTAMP_REQUEST]: "timestamp request",
  [icmp.TIMESTAMP_REPLY]: "timestamp reply",
};

/** An ICMP message by name, `echo request` or `port unreachable`. */
export function icmpName(type: number, code: number): string {
  if (type === icmp.UNREACHABLE) return UNREACHABLE[code] ?? `destination unreachable, code ${code}`;
  if (type === icmp.TIME_EXCEEDED) return code === 0 ? "time exceeded" : "time exceeded in reassembly";
  return TYPES[type] ?? `type ${type} code ${code}`;
}

/** In the order of `xtables-monitor`. */
const FLAGS: readonly (readonly [number, string])[] = [
  [tcp.SYN, "SYN"],
  [tcp.ACK, "ACK"],
  [tcp.FIN, "FIN"],
  [tcp.RST, "RST"],
  [tcp.PSH, "PSH"],
  [tcp.URG, "URG"],
];

export function tcpFlagNames(flags: number): string[] {
  return FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
}

const PROTOCOLS: Readonly<Record<number, string>> = {
  1: "ICMP",
  2: "IGMP",
  6: "TCP",
  17: "UDP",
  33: "DCCP",
  47: "GRE",
  50: "ESP",
  132: "SCTP",
  136: "UDP-Lite",
};

/** What a packet is, without its addresses. */
export function kindOf(headers: Headers): string {
  const { ipv4, transport } = headers;
  if (headers.arp !== null) return headers.arp.operation === arp.ARP_REPLY ? "ARP reply" : "ARP request";
  if (ipv4 === null) return headers.ethernet === null ? "packet" : `frame of type 0x${hex(headers.ethernet.type)}`;
  const name = PROTOCOLS[ipv4.protocol] ?? `IPv4 protocol ${ipv4.protocol}`;
  if (ipv4.fragmentUnits !== 0) return `${name} fragment at byte ${ipv4.fragmentUnits * 8}`;
  if (transport === null) return name;
  const first = ipv4.moreFragments ? " (first fragment)" : "";
  if (headers.isIcmp) return `ICMP ${icmpName(headers.icmpType, headers.icmpCode)}${first}`;
  if (name === "TCP") return ["TCP", ...tcpFlagNames(transport.flags)].join(" ") + first;
  return name + first;
}

/** What a packet is, and between whom. */
export function titleOf(headers: Headers): string {
  const { arp: question, ipv4, ethernet } = headers;
  if (question !== null) {
    if (question.operation === arp.ARP_REPLY) return `ARP ${question.sender} is at ${question.senderMac}`;
    return `ARP who has ${question.target}? tell ${question.sender}`;
  }
  const kind = kindOf(headers);
  if (ipv4 === null) return ethernet === null ? kind : `${kind} ${ethernet.source} > ${ethernet.destination}`;
  const [from, to] = [endpoint(headers, "source"), endpoint(headers, "destination")];
  return `${kind} ${from} > ${to}${headers.isQuery ? `  id ${headers.identifier} seq ${headers.sequence}` : ""}`;
}

/** The address of one end, with its port where there is one. */
export function endpoint(headers: Headers, end: "source" | "destination"): string {
  const address = headers.ipv4?.[end] ?? "?";
  if (!headers.hasPorts) return address;
  return `${address}:${end === "source" ? headers.sourcePort : headers.destinationPort}`;
}

/** What a packet looked like when it was born. */
export function birthHeaders(packet: PacketTrace): Headers {
  const headers = new Headers();
  for (const step of packet.hops[0]?.steps ?? []) {
    if (!["born", "ethernet", "arp", "ipv4", "transport"].includes(step.kind)) break;
    headers.apply(step);
  }
  return headers;
}

const hex = (value: number): string => value.toString(16).padStart(4, "0");
