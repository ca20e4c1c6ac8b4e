import { formatPrefix, parsePrefix } from "../wire/address.ts";
import type { Headers } from "./headers.ts";
import type { StepOf } from "./trace.ts";

const MAIN = 254;
const TABLES: Readonly<Record<number, string>> = { 0: "", 253: "default", [MAIN]: "", 255: "" };

/** `default via 172.17.0.1 dev eth0`, as `ip route` prints it. */
export function routeText(step: StepOf<"route">, headers: Headers): string {
  const { type, prefixLength, gateway, device, table } = step;
  const destination = headers.ipv4?.destination ?? "?";
  if (type === "martian") return `martian: ${headers.ipv4?.source ?? "?"} > ${destination} is not believed here`;
  if (type === "no route") return `no route to ${destination}`;
  if (type === "local") return `${destination} is an address of this host`;
  const whole = prefixLength >= 32 || headers.ipv4 === null;
  const network = whole ? destination : formatPrefix(parsePrefix(`${destination}/${prefixLength}`));
  const prefix = prefixLength === 0 ? "default" : network;
  const via = gateway === "0.0.0.0" ? "" : ` via ${gateway}`;
  const dev = device === null ? "" : ` dev ${device}`;
  const name = TABLES[table] ?? `${table}`;
  return `${type === "unicast" ? "" : `${type} `}${prefix}${via}${dev}${name === "" ? "" : ` table ${name}`}`;
}

export function connectionText({ change, state, connection }: StepOf<"conntrack">): string {
  if (change === "confirm") return `flow ${connection} confirmed`;
  if (change !== "find") return `flow ${connection} ${change === "destroy" ? "ends" : "created"}`;
  if (state === "NONE" || state === "INVALID") return "conntrack INVALID";
  if (state === "UNTRACKED") return "conntrack UNTRACKED";
  const reply = state.endsWith("_REPLY");
  return `conntrack ${reply ? state.slice(0, -6) : state} (flow ${connection}${reply ? ", reply" : ""})`;
}

/** `source 10.0.0.2:4000 > 192.168.1.3:4000`, or with the identifier of an ICMP message. */
export function manipText(
  { manip, from, to, fromPort, toPort }: StepOf<"rewrite"> | StepOf<"bind">,
  headers: Headers,
): string {
  if (headers.isIcmp) {
    const id = fromPort === toPort ? `id ${toPort} kept` : `id ${fromPort} > ${toPort}`;
    return `${manip} ${from} > ${to}${headers.isQuery ? `, ${id}` : ""}`;
  }
  if (!headers.hasPorts) return `${manip} ${from} > ${to}`;
  return `${manip} ${from}:${fromPort} > ${to}:${toPort}`;
}

export function setText({ field, from, to }: StepOf<"set">): string {
  const text = (value: number) =>
    field === "ttl" || field === "mss" ? `${value >>> 0}` : `0x${(value >>> 0).toString(16)}`;
  return `${field} ${text(from)} > ${text(to)}`;
}

/** `tcp 10.0.0.2:80 is established with 10.0.0.1:40000`. */
export function socketText({ change, socket, peer, peerPort, error }: StepOf<"socket">): string {
  const other = `${peer}:${peerPort}`;
  if (change === "connects") return `${socket} connects to ${other}`;
  if (change === "established") return `${socket} is connected to ${other}`;
  if (change === "accepts") return `${socket} accepts ${other}`;
  if (change === "fails") return `${socket}, connected to ${other}: ${error}`;
  if (change === "ends") return `${socket}: the connection to ${other} is over`;
  return `${socket} ${change} the connection to ${other}`;
}

/** `to /run/docker.sock: 120 bytes, POST /containers/create HTTP/1.1`. */
export function unixText({ call, side, path, bytes, line }: StepOf<"unix">): string {
  if (call === "connect")
    return `${line === "" ? "connects" : "cannot connect"} to ${path}${line === "" ? "" : `: ${line}`}`;
  if (call === "close") return `the ${side} of ${path} closes`;
  return `${side === "client" ? "to" : "from"} ${path}: ${bytes} bytes${line === "" ? "" : `, ${line}`}`;
}

/** NAT in the packet that an ICMP error quotes; whether it has ports or an identifier, the step does not say. */
export function quoteText({ manip, from, to, fromPort, toPort }: StepOf<"rewrite">): string {
  const number = fromPort === toPort ? "" : `, port or id ${fromPort} > ${toPort}`;
  return `in the quoted packet: ${manip} ${from} > ${to}${number}`;
}

/** Whom a translator plays for this frame. */
export function endpointText({ change, role, address }: StepOf<"endpoint">): string {
  if (change === "expired" || change === "evicted") return `the endpoint that played ${address} is ${change}`;
  const whom = role === "remote" ? address : `${address}, the ${role}`;
  return `${change === "new" ? "a new one plays" : "plays"} ${whom}`;
}

const FLOW_PROTOCOLS: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp" };

/** A translator's flow and what it is called outside. */
export function flowText({ change, protocol, flow, outside, outsidePort }: StepOf<"flow">): string {
  const name = `${FLOW_PROTOCOLS[protocol] ?? protocol} flow ${flow}`;
  if (change === "evicted") return `${name} is evicted`;
  const end = protocol === 1 ? `id ${outsidePort}` : `${outside}:${outsidePort}`;
  return change === "begins" && outsidePort !== 0 ? `${name} begins, outside it is ${end}` : `${name} ${change}`;
}

/** `connect() to 203.0.113.10:80: ECONNREFUSED`. */
export function callText({ call, address, port, bytes, result }: StepOf<"call">): string {
  const to =
    address === "0.0.0.0" ? "" : ` ${call === "accept" ? "from" : "to"} ${address}${port === 0 ? "" : `:${port}`}`;
  return `${call}()${to}${bytes > 0 ? `, ${bytes} bytes` : ""}${result === "" ? "" : `: ${result}`}`;
}
