import { NETWORK, type Packet } from "../packet/packet.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { Route } from "./fib.ts";
import { type InDevice, selectAddress } from "./in-device.ts";
import type { Namespace } from "./namespace.ts";
import { isRefusal, preferredSource, routeInputTo } from "./route.ts";

const END = 0;
const NOOP = 1;
const RECORD_ROUTE = 7;
const TIMESTAMP = 68;
const LOOSE_ROUTE = 131;
const CIPSO = 134;
const STRICT_ROUTE = 137;
const ROUTER_ALERT = 148;

/** Flags of a timestamp option (RFC 791): addresses too, and only those that the sender named. */
const WITH_ADDRESS = 1;
const PRESPECIFIED = 3;

/** What the options of a packet ask of this host (`struct ip_options`). Offsets count from the IPv4 header, 0 for none. */
export class Options {
  recordRoute = 0;
  /** An address was put into the record, and whoever sends the packet on replaces it. */
  recordNeedsAddress = false;
  timestamp = 0;
  timestampNeedsAddress = false;
  timestampNeedsTime = false;
  sourceRoute = 0;
  strict = false;
  /** The next hop that a source route names; meaningful while `hit`. */
  nextHop = 0;
  hit = false;
  cipso = 0;
  /** The header checksum is no longer right. */
  changed = false;
}

/** Options for an answer (`ip_options_echo()`); what only routing knows is filled in by {@link fillOptions}. */
export interface EchoedOptions {
  readonly bytes: Uint8Array;
  /** Where in `bytes` the answer's own source address belongs. */
  readonly addresses: readonly number[];
  /** Where in `bytes` the time belongs, -1 for nowhere. */
  readonly time: number;
  /** The first hop of a reversed source route, 0 for none. */
  readonly firstHop: number;
  /** What they ask of whoever answers the answer. */
  readonly compiled: Options;
}

const NO_OPTIONS: EchoedOptions = {
  bytes: new Uint8Array(0),
  addresses: [],
  time: -1,
  firstHop: 0,
  compiled: new Options(),
};

/** `inet_current_timestamp()`: milliseconds since midnight UT. */
export const midnight = (net: Namespace): number => Math.floor(net.fabric.scheduler.now / 1e6) % 86_400_000;

/** `fib_compute_spec_dst()`: the address of ours that this packet has met. */
function ownAddress(packet: Packet, net: Namespace): number {
  if ((packet.route as Route).local) return ipv4.destination(packet.view, NETWORK);
  const source = ipv4.source(packet.view, NETWORK);
  const flow = { destination: source, source: 0, tos: ipv4.tos(packet.view, NETWORK), mark: 0, in: 0, out: 0 };
  const back = net.fib.lookup(flow);
  if (back !== null && back.device !== null && !isRefusal(back)) return preferredSource(net, back);
  const device = net.inDevices.get(packet.device) ?? net.loopback;
  return selectAddress(net, device, source, "link");
}

/**
 * `ip_options_compile()`: walks the options behind the fixed header and fills in what they ask for. Null when all is well,
 * or the offset of the byte that is wrong. Borrows.
 */
export function compileOptions(packet: Packet, net: Namespace): number | null {
  const { view } = packet;
  const header = ipv4.headerLength(view, NETWORK);
  const options = new Options();
  packet.options = options;
  for (let at = ipv4.IPV4_HEADER; at < header; ) {
    const kind = view.getUint8(NETWORK + at);
    if (kind === END) {
      blank(packet, options, at + 1, header);
      return null;
    }
    if (kind === NOOP) {
      at++;
      continue;
    }
    if (at + 1 >= header) return at;
    const length = view.getUint8(NETWORK + at + 1);
    if (length < 2 || at + length > header) return at;
    const bad = compileOne(packet, net, options, kind, at, length);
    if (bad !== null) return bad;
    at += length;
  }
  return null;
}

/** Nothing may hide behind the end of the options. */
function blank(packet: Packet, options: Options, from: number, to: number): void {
  for (let at = NETWORK + from; at < NETWORK + to; at++) {
    if (packet.bytes[at] === END) continue;
    packet.bytes[at] = END;
    options.changed = true;
  }
}

function compileOne(
  packet: Packet,
  net: Namespace,
  options: Options,
  kind: number,
  at: number,
  length: number,
): number | null {
  const { view } = packet;
  switch (kind) {
    case LOOSE_ROUTE:
    case STRICT_ROUTE:
      if (length < 3) return at + 1;
      if (view.getUint8(NETWORK + at + 2) < 4) return at + 2;
      if (options.sourceRoute !== 0) return at;
      options.strict = kind === STRICT_ROUTE;
      options.sourceRoute = at;
      return null;
    case RECORD_ROUTE:
      return compileRecord(packet, net, options, at, length);
    case TIMESTAMP:
      return compileTimestamp(packet, net, options, at, length);
    case ROUTER_ALERT:
      return length < 4 ? at + 1 : null;
    case CIPSO:
      if (options.cipso !== 0) return at;
      options.cipso = at;
      // cipso_v4_validate(): without NetLabel no domain of interpretation is known.
      return length < 8 ? at + 1 : at + 2;
    default:
      return null;
  }
}

function compileRecord(packet: Packet, net: Namespace, options: Options, at: number, length: number): number | null {
  const { view } = packet;
  if (options.recordRoute !== 0) return at;
  if (length < 3) return at + 1;
  const pointer = view.getUint8(NETWORK + at + 2);
  if (pointer < 4) return at + 2;
  if (pointer <= length) {
    if (pointer + 3 > length) return at + 2;
    view.setInt32(NETWORK + at + pointer - 1, ownAddress(packet, net));
    view.setUint8(NETWORK + at + 2, pointer + 4);
    options.changed = true;
    options.recordNeedsAddress = true;
  }
  options.recordRoute = at;
  return null;
}

function compileTimestamp(packet: Packet, net: Namespace, options: Options, at: number, length: number): number | null {
  const { view } = packet;
  if (options.timestamp !== 0) return at;
  if (length < 4) return at + 1;
  const pointer = view.getUint8(NETWORK + at + 2);
  if (pointer < 5) return at + 2;
  const flag = view.getUint8(NETWORK + at + 3) & 15;
  if (pointer > length) {
    if (flag === PRESPECIFIED) {
      options.timestamp = at;
      return null;
    }
    const overflow = view.getUint8(NETWORK + at + 3) >> 4;
    if (overflow === 15) return at + 3;
    view.setUint8(NETWORK + at + 3, flag | ((overflow + 1) << 4));
    options.changed = true;
  } else {
    const addressed = flag === WITH_ADDRESS || flag === PRESPECIFIED;
    if (pointer + (addressed ? 7 : 3) > length) return at + 2;
    stamp(packet, net, options, at, pointer, flag);
  }
  options.timestamp = at;
  return null;
}

function stamp(packet: Packet, net: Namespace, options: Options, at: number, pointer: number, flag: number): void {
  const { view } = packet;
  const slot = NETWORK + at + pointer - 1;
  if (flag !== 0 && flag !== WITH_ADDRESS && flag !== PRESPECIFIED) return;
  if (flag === PRESPECIFIED && net.addressType(view.getInt32(slot), null) === "UNICAST") return;
  if (flag === WITH_ADDRESS) {
    view.setInt32(slot, ownAddress(packet, net));
    options.timestampNeedsAddress = true;
  }
  view.setInt32(flag === 0 ? slot : slot + 4, midnight(net));
  view.setUint8(NETWORK + at + 2, pointer + (flag === 0 ? 4 : 8));
  options.timestampNeedsTime = true;
  options.changed = true;
}

/** `ip_rcv_options()`: false when the packet was dropped. Takes ownership when false. */
export function receiveOptions(packet: Packet, device: InDevice): boolean {
  const { net } = device;
  const bad = compileOptions(packet, net);
  if (bad !== null) net.sendIcmpError(packet, icmp.PARAMETER_PROBLEM, 0, bad << 24);
  else if ((packet.options as Options).sourceRoute === 0) return true;
  else if (device.acceptSourceRoute && followSourceRoute(packet, device)) return true;
  net.fabric.drop(packet, device.device.place, "IP_INHDR");
  return false;
}

/** `ip_options_rcv_srr()`: this host is a hop of a source route, so the next one is where it goes. False to drop. */
function followSourceRoute(packet: Packet, device: InDevice): boolean {
  const { net } = device;
  const { view } = packet;
  const options = packet.options as Options;
  const at = options.sourceRoute;
  const { type } = packet.route as Route;
  if (packet.type !== "host") return false;
  if (type === "unicast") {
    if (options.strict) net.sendIcmpError(packet, icmp.PARAMETER_PROBLEM, 0, 16 << 24);
    return !options.strict;
  }
  if (type !== "local") return false;
  const length = view.getUint8(NETWORK + at + 1);
  for (let pointer = view.getUint8(NETWORK + at + 2); pointer <= length; pointer += 4) {
    if (pointer + 3 > length) {
      net.sendIcmpError(packet, icmp.PARAMETER_PROBLEM, 0, (at + 2) << 24);
      return false;
    }
    const nextHop = view.getInt32(NETWORK + at + pointer - 1);
    if (routeInputTo(packet, device, nextHop) !== null) return false;
    const next = (packet.route as Route).type;
    if (next !== "unicast" && next !== "local") return false;
    options.changed = true;
    if (next === "unicast") {
      options.hit = true;
      options.nextHop = nextHop;
      break;
    }
    view.setInt32(NETWORK + 16, nextHop);
  }
  return true;
}

/** `ip_forward_options()`: a packet that is sent on shows the address that it leaves by. Borrows. */
export function forwardOptions(packet: Packet, net: Namespace): void {
  const options = packet.options as Options;
  const { view } = packet;
  const source = preferredSource(net, packet.route as Route);
  if (options.recordNeedsAddress) {
    const at = NETWORK + options.recordRoute;
    view.setInt32(at + view.getUint8(at + 2) - 5, source);
    options.changed = true;
  }
  if (options.hit) advanceSourceRoute(packet, options, source);
  if (!options.changed) return;
  options.changed = false;
  ipv4.setChecksum(view, NETWORK);
}

function advanceSourceRoute({ view }: Packet, options: Options, source: number): void {
  const at = NETWORK + options.sourceRoute;
  const length = view.getUint8(at + 1);
  for (let pointer = view.getUint8(at + 2); pointer + 3 <= length; pointer += 4) {
    if (view.getInt32(at + pointer - 1) !== options.nextHop) continue;
    view.setInt32(NETWORK + 16, options.nextHop);
    view.setInt32(at + pointer - 1, source);
    view.setUint8(at + 2, pointer + 4);
    break;
  }
  if (options.timestampNeedsAddress) {
    const stamps = NETWORK + options.timestamp;
    view.setInt32(stamps + view.getUint8(stamps + 2) - 9, source);
  }
  options.changed = true;
}

/** `ip_options_echo()`: the options that an answer to `packet` carries; null when they cannot be made. Borrows. */
export function echoOptions(packet: Packet, net: Namespace): EchoedOptions | null {
  const options = packet.options as Options | null;
  if (options === null) return NO_OPTIONS;
  const bytes: number[] = [];
  const addresses: number[] = [];
  const compiled = new Options();
  let time = -1;
  const copy = (at: number): number => {
    const start = bytes.length;
    const from = NETWORK + at;
    bytes.push(...packet.bytes.subarray(from, from + packet.bytes[from + 1]!));
    return start;
  };
  if (options.recordRoute !== 0) {
    const start = copy(options.recordRoute);
    compiled.recordRoute = ipv4.IPV4_HEADER + start;
    const pointer = bytes[start + 2]!;
    if (options.recordNeedsAddress && pointer <= bytes[start + 1]!) {
      if (pointer + 3 > bytes[start + 1]!) return null;
      bytes[start + 2] = pointer + 4;
      addresses.push(start + pointer - 1);
      compiled.recordNeedsAddress = true;
    }
  }
  if (options.timestamp !== 0) {
    const start = copy(options.timestamp);
    compiled.timestamp = ipv4.IPV4_HEADER + start;
    const length = bytes[start + 1]!;
    let pointer = bytes[start + 2]!;
    if (pointer <= length) {
      const { timestampNeedsAddress, timestampNeedsTime } = options;
      if (timestampNeedsAddress) {
        if (pointer + 3 > length) return null;
        addresses.push(start + pointer - 1);
        compiled.timestampNeedsAddress = true;
        pointer += 4;
      }
      if (timestampNeedsTime) {
        if (pointer + 3 > length) return null;
        const room = (bytes[start + 3]! & 15) === PRESPECIFIED ? prespecifiedRoom(bytes, start, pointer, net) : 4;
        pointer += room;
        if (room > 0) time = start + pointer - 5;
        compiled.timestampNeedsTime = room > 0;
      }
      bytes[start + 2] = pointer;
    }
  }
  const routed = bytes.length;
  const firstHop = options.sourceRoute === 0 ? 0 : reverseRoute(packet, options.sourceRoute, bytes);
  if (firstHop !== 0) compiled.sourceRoute = ipv4.IPV4_HEADER + routed;
  if (options.cipso !== 0) copy(options.cipso);
  while ((bytes.length & 3) !== 0) bytes.push(END);
  return { bytes: Uint8Array.from(bytes), addresses, time, firstHop, compiled };
}

/** Bytes that a timestamp takes whose address the sender named: none when the next one is not ours. */
function prespecifiedRoom(bytes: readonly number[], start: number, pointer: number, net: Namespace): number {
  if (pointer + 7 > bytes[start + 1]!) return 0;
  const at = start + pointer - 1;
  const address = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  return net.addressType(address, null) === "UNICAST" ? 0 : 8;
}

/** The way back of a source route, which ends at the sender; the first hop, 0 when there is nothing to follow. */
function reverseRoute({ view }: Packet, sourceRoute: number, into: number[]): number {
  const at = NETWORK + sourceRoute;
  const length = view.getUint8(at + 1);
  const source = ipv4.source(view, NETWORK);
  const hops: number[] = [];
  let pointer = Math.min(view.getUint8(at + 2), length + 1) - 4;
  for (; pointer > 3; pointer -= 4) hops.push(view.getInt32(at + pointer - 1));
  const firstHop = hops.shift();
  if (firstHop === undefined || (hops.length === 0 && firstHop === source)) return 0;
  // RFC 1812, 5.3.13.4: a route that names the sender itself is mended.
  if (hops.at(-1) === source) hops.pop();
  hops.push(source);
  into.push(view.getUint8(at), hops.length * 4 + 3, 4);
  for (const hop of hops) into.push(hop >>> 24, (hop >>> 16) & 255, (hop >>> 8) & 255, hop & 255);
  return firstHop;
}

/** `ip_options_build()`: writes the options behind the fixed header of a packet that leaves with `source`. Borrows. */
export function fillOptions(packet: Packet, net: Namespace, options: EchoedOptions, source: number) {
  const { bytes, addresses, time } = options;
  packet.options = options.compiled;
  const at = NETWORK + ipv4.IPV4_HEADER;
  packet.bytes.set(bytes, at);
  for (const slot of addresses) packet.view.setInt32(at + slot, source);
  if (time >= 0) packet.view.setInt32(at + time, midnight(net));
  packet.view.setUint8(NETWORK, 0x45 + (bytes.length >> 2));
  ipv4.setChecksum(packet.view, NETWORK);
}
