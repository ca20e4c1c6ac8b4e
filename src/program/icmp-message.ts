import { formatIpv4 } from "../wire/address.ts";
import * as icmp from "../wire/icmp.ts";

/** What an ICMP error carries; `from` sent it. */
export interface ErrorMessage {
  readonly type: number;
  readonly code: number;
  readonly information: number;
  readonly from: number;
  /** What was left of its TTL. */
  readonly ttl: number;
}

const UNREACHABLE: readonly string[] = [
  "Destination Net Unreachable",
  "Destination Host Unreachable",
  "Destination Protocol Unreachable",
  "Destination Port Unreachable",
  "Frag needed and DF set",
  "Source Route Failed",
  "Destination Net Unknown",
  "Destination Host Unknown",
  "Source Host Isolated",
  "Destination Net Prohibited",
  "Destination Host Prohibited",
  "Destination Net Unreachable for Type of Service",
  "Destination Host Unreachable for Type of Service",
  "Packet filtered",
  "Precedence Violation",
  "Precedence Cutoff",
];
const REDIRECT: readonly string[] = [
  "Redirect Network",
  "Redirect Host",
  "Redirect Type of Service and Network",
  "Redirect Type of Service and Host",
];

/** The words of ping, `pr_icmph()`. */
export function describeError({ type, code, information }: ErrorMessage): string {
  switch (type) {
    case icmp.UNREACHABLE:
      if (code === icmp.FRAGMENTATION_NEEDED) return `${UNREACHABLE[code]} (mtu = ${information})`;
      return UNREACHABLE[code] ?? `Dest Unreachable, Bad Code: ${code}`;
    case icmp.SOURCE_QUENCH:
      return "Source Quench";
    case icmp.REDIRECT:
      return `${REDIRECT[code] ?? `Redirect, Bad Code: ${code}`}(New nexthop: ${formatIpv4(information)})`;
    case icmp.TIME_EXCEEDED:
      if (code === 0) return "Time to live exceeded";
      return code === 1 ? "Frag reassembly time exceeded" : `Time exceeded, Bad Code: ${code}`;
    case icmp.PARAMETER_PROBLEM:
      return `Parameter problem: pointer = ${information}`;
    default:
      return `Bad ICMP type: ${type}`;
  }
}

const MARKS: Readonly<Record<number, string>> = {
  0: "!N",
  1: "!H",
  2: "!P",
  3: "",
  5: "!S",
  6: "!N",
  7: "!H",
  8: "!N",
  9: "!X",
  10: "!X",
  11: "!N",
  12: "!H",
  13: "!X",
  14: "!V",
  15: "!C",
};

/** The mark of traceroute; empty for "this port", by which it knows its destination, and where a TTL ended. */
export function markOf({ type, code, information }: ErrorMessage): string {
  if (type === icmp.TIME_EXCEEDED && code === 0) return "";
  if (type !== icmp.UNREACHABLE) return `!<${type}-${code}>`;
  return code === icmp.FRAGMENTATION_NEEDED ? `!F-${information}` : (MARKS[code] ?? `!<${code}>`);
}
