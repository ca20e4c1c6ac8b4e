import type { Connection, Tuple } from "../kernel/conntrack/connection.ts";
import type { ConnectionEvent } from "../kernel/conntrack/tracker.ts";
import { BOTH } from "../kernel/conntrack/zone.ts";
import type { Namespace } from "../kernel/namespace.ts";
import { Bridge } from "../link/bridge.ts";
import type { Names } from "../trace/names.ts";
import { STEP, WORDS } from "../trace/step.ts";
import { formatIpv4, formatMac } from "../wire/address.ts";
import type { LabConnectionEvent, LabTrace } from "./lab-case.ts";

/** What a namespace of a lab shows, in the words of the kernel harness. */

/** One row of the recorder as a record of the rule trace; null where it is none, or of another family. */
export function traceRecord(names: Names, cells: Int32Array, families: ReadonlySet<string>): LabTrace | null {
  const [kind, , place, a, b, c, d] = cells as unknown as number[];
  if (kind === STEP.hook) {
    const name = names.get(place!);
    const family = (a! >> 4) & 1 ? "bridge" : "ip";
    if (name === null || !families.has(family)) return null;
    const input = names.get(b!);
    const output = names.get(c!);
    const mark = d! >>> 0;
    return {
      ns: "namespace" in name ? name.namespace : "",
      family,
      hook: WORDS.hook[a! & 7]!,
      at: WORDS.passage[(a! >> 3) & 1]!,
      ...(input?.kind === "device" ? { iif: input.device } : {}),
      ...(output?.kind === "device" ? { oif: output.device } : {}),
      ...connectionState(WORDS.connectionState[(a! >> 5) & 15]!),
      ...(mark !== 0 ? { mark } : {}),
    };
  }
  if ((kind === STEP.rule || kind === STEP.policy) && families.has("ip")) {
    const name = names.get(a!);
    if (name?.kind !== "rule" && name?.kind !== "chain") return null;
    const to = kind === STEP.rule ? names.get(c!) : null;
    return {
      ns: name.namespace,
      family: "ip",
      table: name.table,
      chain: name.chain,
      type: name.kind === "rule" ? "rule" : "policy",
      ...(name.kind === "rule" ? { rule: name.number } : {}),
      verdict: WORDS.verdict[b!]!,
      ...(to?.kind === "chain" ? { to: to.chain } : {}),
    };
  }
  return null;
}

/** What the flow's protocol says of it, where its protocol has states. */
export function protocolState({ tcp, sctp }: Connection): Pick<LabConnectionEvent, "tcp" | "sctp"> {
  if (tcp !== null) return { tcp: tcp.state };
  return sctp === null ? {} : { sctp: sctp.state };
}

/** `now` in virtual nanoseconds. */
export function connectionEvent(
  ns: string,
  ev: ConnectionEvent,
  connection: Connection,
  now: number,
): LabConnectionEvent {
  const stateNews = ev === "DESTROY" || connection.news.state;
  return {
    ns,
    ev,
    orig: tupleText(connection.original),
    reply: tupleText(connection.reply),
    status: statusNames(connection),
    ...(stateNews ? protocolState(connection) : {}),
    ...(ev === "DESTROY" ? {} : { timeout: secondsLeft(connection, now) }),
  };
}

export function connections({ tracker }: Namespace, now: number): unknown[] {
  tracker.collect();
  // The kernel harness asks for the connections that it has heard of.
  const known = [...tracker.table].filter(({ news }) => !news.created);
  return known.map((connection) => ({
    orig: direction(connection, 0),
    reply: direction(connection, 1),
    status: statusNames(connection),
    ...(connection.tcp === null ? {} : { tcp_state: connection.tcp.state }),
    ...(connection.sctp === null ? {} : { sctp_state: connection.sctp.state }),
    timeout: secondsLeft(connection, now),
    ...(connection.mark === 0 ? {} : { mark: connection.mark >>> 0 }),
    ...(connection.zone.directions === BOTH && connection.zone.id !== 0 ? { zone: connection.zone.id } : {}),
  }));
}

/** A zone is told of a direction only where it does not hold for both. */
function direction(connection: Connection, of: 0 | 1): Record<string, unknown> {
  const { original, reply, packets, bytes, zone, accounted } = connection;
  const own = zone.directions === 1 << of && zone.id !== 0 ? { zone: zone.id } : {};
  return {
    ...tupleFields(of === 0 ? original : reply),
    ...own,
    ...(accounted ? { packets: packets[of], bytes: bytes[of] } : {}),
  };
}

export function counters({ netfilter: { tables } }: Namespace): unknown {
  const out: Record<string, Record<string, unknown>> = {};
  for (const table of tables.values()) {
    const chains: Record<string, unknown> = {};
    for (const chain of table.chains.values())
      chains[chain.name] = {
        rules: chain.rules.map((rule) => [rule.packets, rule.bytes]),
        ...(chain.policy === null ? {} : { policy: chain.policy }),
        ...(chain.policy === null || !chain.counts ? {} : { packets: chain.packets, bytes: chain.bytes }),
      };
    out[table.name] = chains;
  }
  return out;
}

export function neighbours({ inDevices }: Namespace): unknown[] {
  const found: { dev: string; ip: string; mac: string | null; state: string[] }[] = [];
  for (const { device, neighbours } of inDevices.values())
    for (const { address, state, valid, macHigh, macLow } of neighbours.values()) {
      if (state === "NOARP") continue;
      found.push({
        dev: device.name,
        ip: formatIpv4(address),
        mac: valid ? formatMac(macHigh, macLow) : null,
        state: [state],
      });
    }
  return found.sort((a, b) => compare(a.dev, b.dev) || compare(a.ip, b.ip));
}

export function bridgeEntries({ inDevices }: Namespace): unknown[] {
  const found: { dev: string; mac: string; br: string; state: string }[] = [];
  for (const { device } of inDevices.values()) {
    if (!(device instanceof Bridge)) continue;
    for (const { high, low, port, kind } of device.fdb)
      found.push({ dev: port?.device.name ?? device.name, mac: formatMac(high, low), br: device.name, state: kind });
  }
  return found.sort((a, b) => compare(a.br, b.br) || compare(a.dev, b.dev) || compare(a.mac, b.mac));
}

/** Whole seconds, rounded down as the kernel tells them. */
const secondsLeft = ({ expires }: Connection, now: number): number => Math.max(0, Math.floor((expires - now) / 1e9));

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
function connectionState(state: string): Record<string, string> {
  if (state === "NONE" || state === "INVALID") return {};
  if (state === "UNTRACKED") return { ct: state };
  const reply = state.endsWith("_REPLY");
  return { ct: reply ? state.slice(0, -6) : state, ctdir: reply ? "reply" : "orig" };
}

function statusNames(connection: Connection): string[] {
  const names: string[] = [];
  if (connection.expected) names.push("EXPECTED");
  if (connection.seenReply) names.push("SEEN_REPLY");
  if (connection.assured) names.push("ASSURED");
  if (connection.confirmed) names.push("CONFIRMED");
  if (connection.sourceNat) names.push("SRC_NAT");
  if (connection.destinationNat) names.push("DST_NAT");
  if (connection.sourceNatDone) names.push("SRC_NAT_DONE");
  if (connection.destinationNatDone) names.push("DST_NAT_DONE");
  if (connection.shifts !== null) names.push("SEQ_ADJUST");
  if (connection.helper !== null) names.push("HELPER");
  if (connection.dying) names.push("DYING");
  return names;
}

function tupleFields({ source, destination, protocol, sourcePort, destinationPort }: Tuple): Record<string, unknown> {
  const base = { src: formatIpv4(source), dst: formatIpv4(destination), proto: protocol };
  if (protocol === 1)
    return { ...base, icmp_id: sourcePort, icmp_type: destinationPort >> 8, icmp_code: destinationPort & 255 };
  if (protocol === 6 || protocol === 17 || protocol === 47 || protocol === 132 || protocol === 136)
    return { ...base, sport: sourcePort, dport: destinationPort };
  return base;
}

function tupleText(tuple: Tuple): string {
  const { source, destination, protocol, sourcePort, destinationPort } = tuple;
  if (protocol === 1)
    return `${formatIpv4(source)}>${formatIpv4(destination)} icmp ${destinationPort >> 8}/${destinationPort & 255} id=${sourcePort}`;
  return `${formatIpv4(source)}:${sourcePort}>${formatIpv4(destination)}:${destinationPort} p${protocol}`;
}
