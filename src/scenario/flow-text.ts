import type { Connection, Tuple } from "../kernel/conntrack/connection.ts";
import { formatIpv4 } from "../wire/address.ts";

const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17 };
const TUPLE_KEYS = ["src", "dst", "sport", "dport", "type", "code", "id"];

/** `udp src=A dst=B sport=1 dport=2`, in any order and as much of it as matters. */
export function parseTuple(text: string): Map<string, string> | null {
  const wanted = new Map<string, string>();
  for (const word of text.trim().split(/\s+/)) {
    const [key, value] = word.split("=") as [string, string | undefined];
    if (value === undefined && Object.hasOwn(PROTOCOLS, key)) wanted.set("protocol", String(PROTOCOLS[key]));
    else if (value !== undefined && TUPLE_KEYS.includes(key)) wanted.set(key, value);
    else return null;
  }
  return wanted;
}

function tupleFields({ source, destination, protocol, sourcePort, destinationPort }: Tuple): Record<string, string> {
  const fields = { protocol: String(protocol), src: formatIpv4(source), dst: formatIpv4(destination) };
  if (protocol !== 1) return { ...fields, sport: String(sourcePort), dport: String(destinationPort) };
  const [type, code] = [destinationPort >> 8, destinationPort & 255];
  return { ...fields, type: String(type), code: String(code), id: String(sourcePort) };
}

/** As `conntrack -L` prints a tuple. */
export function formatTuple(tuple: Tuple): string {
  const { protocol, ...fields } = tupleFields(tuple);
  const name = Object.keys(PROTOCOLS).find((one) => String(PROTOCOLS[one]) === protocol) ?? protocol;
  return [name, ...Object.entries(fields).map(([key, value]) => `${key}=${value}`)].join(" ");
}

/** True where the tuple has all that the text asks for. */
export function tupleFits(text: string | undefined, tuple: Tuple): boolean {
  if (text === undefined) return true;
  const fields = tupleFields(tuple);
  return [...parseTuple(text)!].every(([key, value]) => fields[key] === value);
}

export function statusOf(connection: Connection): string[] {
  const bits: [boolean, string][] = [
    [connection.seenReply, "SEEN_REPLY"],
    [connection.assured, "ASSURED"],
    [connection.sourceNat, "SRC_NAT"],
    [connection.destinationNat, "DST_NAT"],
  ];
  return bits.filter(([set]) => set).map(([, name]) => name);
}
