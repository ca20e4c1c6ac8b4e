import { type Token, unexpected } from "./tokenizer.ts";

/** IANA protocol numbers under the names that iptables prints. */
const PROTOCOLS = {
  icmp: 1,
  igmp: 2,
  ggp: 3,
  ipencap: 4,
  st: 5,
  tcp: 6,
  egp: 8,
  igp: 9,
  pup: 12,
  udp: 17,
  hmp: 20,
  "xns-idp": 22,
  rdp: 27,
  "iso-tp4": 29,
  dccp: 33,
  xtp: 36,
  ddp: 37,
  "idpr-cmtp": 38,
  ipv6: 41,
  "ipv6-route": 43,
  "ipv6-frag": 44,
  idrp: 45,
  rsvp: 46,
  gre: 47,
  esp: 50,
  ah: 51,
  skip: 57,
  "ipv6-icmp": 58,
  "ipv6-nonxt": 59,
  "ipv6-opts": 60,
  rspf: 73,
  vmtp: 81,
  eigrp: 88,
  ospf: 89,
  "ax.25": 93,
  ipip: 94,
  etherip: 97,
  encap: 98,
  pim: 103,
  ipcomp: 108,
  vrrp: 112,
  l2tp: 115,
  isis: 124,
  sctp: 132,
  fc: 133,
  "mobility-header": 135,
  udplite: 136,
  "mpls-in-ip": 137,
  manet: 138,
  hip: 139,
  shim6: 140,
  wesp: 141,
  rohc: 142,
  ethernet: 143,
};

const ALIASES = { all: 0, ip: 0, icmpv6: 58, "ipv6-mh": 135, mh: 135 };
const numbers = new Map<string, number>(Object.entries({ ...PROTOCOLS, ...ALIASES }));
const names = new Map(Object.entries(PROTOCOLS).map(([name, number]) => [number, name]));

export const PROTOCOL_DCCP = 33;
export const PROTOCOL_SCTP = 132;
export const PROTOCOL_UDPLITE = 136;

/** A name or 0-255; 0 stands for all. */
export function readProtocol(token: Token): number {
  const text = token.text.toLowerCase();
  if (/^\d+$/.test(text) && Number(text) <= 255) return Number(text);
  const number = numbers.get(text);
  if (number === undefined)
    throw unexpected(
      token,
      "a protocol (0-255, a name such as tcp, or all)",
      `unknown protocol "${token.text}" specified`,
    );
  return number;
}

/** The name, or the number where it has none. */
export const formatProtocol = (number: number): string => names.get(number) ?? String(number);

/** The extension that `-p` loads by itself, or null. */
export const protocolMatch = (number: number): string | null => names.get(number) ?? null;
