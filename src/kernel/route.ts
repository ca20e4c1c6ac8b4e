import { NETWORK, type Packet } from "../packet/packet.ts";
import type { DropReason } from "../trace/reason.ts";
import { STEP, WORDS } from "../trace/step.ts";
import { isLoopback, isMulticast, isZeronet } from "../wire/address.ts";
import * as ipv4 from "../wire/ipv4.ts";
import { type Flow, Route, TABLE_LOCAL } from "./fib.ts";
import { type InDevice, selectAddress } from "./in-device.ts";
import type { Namespace } from "./namespace.ts";
import type { Destination, Errno } from "./protocol.ts";

const NO_ROUTE = new Route({ type: "no route", destination: 0, length: 0, table: 0 });
/** 255.255.255.255 reaches every host of the link. */
/** 224.0.0.1 reaches every host that understands multicast. */
const ALL_HOSTS_ROUTE = new Route({ type: "multicast", destination: 0xe0000001 | 0, length: 32, table: 255 });
const LIMITED_BROADCAST = new Route({ type: "broadcast", destination: -1, length: 32, table: 255 });
const IGMP = 2;
const LOCALHOST = 0x7f000001;
const ALL_HOSTS = 0xe0000001 | 0;
const ROUTE_TYPES: readonly string[] = WORDS.routeType;

/** Reused: a lookup never nests in another. */
const flow: Flow = { destination: 0, source: 0, tos: 0, mark: 0, in: 0, out: 0 };

function ask(destination: number, source: number, tos: number, mark: number, input: number, output: number): Flow {
  flow.destination = destination;
  flow.source = source;
  flow.tos = tos & 0x1c;
  flow.mark = mark;
  flow.in = input;
  flow.out = output;
  return flow;
}

/** What the kernel learned of one destination: a smaller MTU, a better gateway (`struct fib_nh_exception`). */
export interface RouteException {
  /** Bytes; 0 for none. */
  mtu: number;
  /** Less was asked for than `min_pmtu`. */
  mtuLocked: boolean;
  /** Virtual nanoseconds until which these hold. */
  mtuExpires: number;
  gateway: number;
}

/**
 * `ip_route_input_slow()`: where a packet that arrived goes. Sets `packet.route`; a route that refuses is a route too.
 * The reason to drop it, or null.
 */
export function routeInput(packet: Packet, device: InDevice): DropReason | null {
  const { net } = device;
  const source = ipv4.source(packet.view, NETWORK);
  const destination = ipv4.destination(packet.view, NETWORK);
  const tos = ipv4.tos(packet.view, NETWORK);
  const reason = resolve(packet, device, source, destination, tos);
  const trace = net.fabric.trace;
  if (trace !== null) {
    const route = packet.route as Route | null;
    const type = ROUTE_TYPES.indexOf(reason !== null ? "martian" : route!.type);
    const out = route?.device ?? null;
    trace.step(
      STEP.route,
      packet.id,
      net.place,
      type | ((route?.length ?? 0) << 8),
      packet.gateway,
      out === null ? 0 : out.device.place,
      route?.table ?? 0,
      0,
    );
  }
  return reason;
}

function resolve(
  packet: Packet,
  device: InDevice,
  source: number,
  destination: number,
  tos: number,
): DropReason | null {
  const { net } = device;
  packet.route = null;
  packet.gateway = 0;
  packet.redirect = false;
  if (isMulticast(destination)) {
    if (destination !== ALL_HOSTS) return "IP_INVALID_DEST";
    packet.route = ALL_HOSTS_ROUTE;
    return validateMulticastSource(packet, device, source, destination, tos);
  }
  if (isMulticast(source) || source === -1) return "IP_INVALID_SOURCE";
  if (destination === -1 || (source === 0 && destination === 0)) {
    const bad = isZeronet(source) ? null : validateSource(packet, source, 0, tos, 0, device);
    packet.route = LIMITED_BROADCAST;
    return typeof bad === "string" ? bad : null;
  }
  if (isZeronet(source)) return "IP_INVALID_SOURCE";
  if (isZeronet(destination)) return "IP_INVALID_DEST";
  if (isLoopback(destination) && !device.routeLocalnet) return "IP_LOCALNET";
  if (isLoopback(source) && !device.routeLocalnet) return "IP_LOCALNET";
  const route = net.fib.lookup(ask(destination, source, tos, packet.mark, device.device.index, 0));
  if (route === null || isRefusal(route)) {
    packet.route = route ?? NO_ROUTE;
    return null;
  }
  const directed = route.type === "broadcast" && device.bcForwarding;
  if (route.type === "local" || (route.type === "broadcast" && !directed)) {
    const scopeOf = route.type === "local" ? destination : 0;
    const bad = validateSource(packet, source, scopeOf, tos, 0, device);
    if (typeof bad === "string") return bad;
    packet.route = route;
    return null;
  }
  packet.route = directed ? new Route({ destination, length: 32, device: route.device, source: route.source }) : route;
  packet.gateway = route.gateway;
  if (!device.forwarding) return null;
  const out = route.device!;
  const near = validateSource(packet, source, destination, tos, out.device.index, device);
  if (typeof near === "string") return near;
  if (out === device && near && out.sendRedirects && (out.sharedMedia || out.onLink(source, route.gateway)))
    packet.redirect = true;
  const exception = net.paths.exception(destination);
  if (exception !== null && exception.gateway !== 0) packet.gateway = exception.gateway;
  return null;
}

/** The same for another address than the one in the header, such as the next hop of a source route. */
export function routeInputTo(packet: Packet, device: InDevice, destination: number): DropReason | null {
  const { view } = packet;
  return resolve(packet, device, ipv4.source(view, NETWORK), destination, ipv4.tos(view, NETWORK));
}

/** `ip_mc_validate_source()`. */
function validateMulticastSource(
  packet: Packet,
  device: InDevice,
  source: number,
  destination: number,
  tos: number,
): DropReason | null {
  if (isMulticast(source) || source === -1) return "IP_INVALID_SOURCE";
  if (isLoopback(source) && !device.routeLocalnet) return "IP_LOCALNET";
  if (isZeronet(source)) {
    const here = destination >>> 8 === 0xe00000 || ipv4.protocol(packet.view, NETWORK) === IGMP;
    return here ? null : "IP_INVALID_SOURCE";
  }
  const bad = validateSource(packet, source, 0, tos, 0, device);
  return typeof bad === "string" ? bad : null;
}

/** Where the address that an ARP request asks for is; null when the question itself is martian. */
export function routeForArp(packet: Packet, device: InDevice, target: number, sender: number): Route | null {
  const reason = resolve(packet, device, sender, target, 0);
  const route = packet.route as Route | null;
  packet.route = null;
  return reason === null ? route : null;
}

export function isRefusal(route: Route): boolean {
  const { type } = route;
  return type === "blackhole" || type === "unreachable" || type === "prohibit" || type === "no route";
}

/**
 * `fib_validate_source()`: a reason to drop, or whether the source is on the link of `device`. `output` is the index of
 * the device the packet will leave by, 0 for none.
 */
function validateSource(
  packet: Packet,
  source: number,
  destination: number,
  tos: number,
  output: number,
  device: InDevice,
): DropReason | boolean {
  const { net } = device;
  const filter = device.rpFilter;
  if (filter === 0 && (device.device.index !== output || !device.sendRedirects)) {
    if (device.acceptLocal) return false;
    if (!net.fib.customRules) return net.addresses.has(source) ? "IP_LOCAL_SOURCE" : false;
  }
  const index = device.device.index;
  const mark = device.sourceValidMark ? packet.mark : 0;
  const input = output || net.loopback.device.index;
  const back = net.fib.lookup(ask(source, destination, tos, mark, input, 0));
  if (back === null || isRefusal(back)) return filter !== 0 ? "IP_RPFILTER" : false;
  if (back.type !== "unicast" && (back.type !== "local" || !device.acceptLocal)) return "IP_LOCAL_SOURCE";
  if (back.device === device || (back.type === "local" && device.isLoopback)) return back.gateway === 0;
  if (device.addresses.length === 0) return filter !== 0 ? "IP_RPFILTER" : false;
  if (filter === 1) return "IP_RPFILTER";
  const here = net.fib.lookup(ask(source, destination, tos, mark, input, index));
  return here !== null && here.type === "unicast" && here.gateway === 0;
}

/** The route of a packet of our own, or why there is none (`ip_route_output_key_hash_rcu()`). */
export type OutputRoute =
  | { readonly error: Errno; readonly route: null }
  | { readonly error: null; readonly route: Route; readonly source: number; readonly gateway: number };

const ERRORS: Partial<Record<string, Errno>> = {
  blackhole: "EINVAL",
  unreachable: "EHOSTUNREACH",
  prohibit: "EACCES",
  "no route": "ENETUNREACH",
};

export function routeOutput(net: Namespace, to: Destination): OutputRoute {
  const { source } = to;
  if (source !== 0 && (isMulticast(source) || source === -1 || isZeronet(source)))
    return { error: "EINVAL", route: null };
  const group = isMulticast(to.destination) || to.destination === -1;
  if (source !== 0 && (to.anySource !== true || (group && to.device === 0)) && net.owner(source) === null)
    return { error: "ENETUNREACH", route: null };
  if (to.device !== 0 && net.deviceByIndex(to.device)?.up !== true) return { error: "ENETUNREACH", route: null };
  if (to.destination === 0) return toSelf(net, source || LOCALHOST);
  const { destination } = to;
  if (to.device === 0 && source !== 0 && group) return viaDevice(net, net.owner(source)!, destination, source);
  if (to.device !== 0 && group) {
    const device = net.inDevices.get(to.device);
    if (device === undefined) return { error: "ENETUNREACH", route: null };
    return viaDevice(net, device, destination, source || selectAddress(net, device, 0, "link"));
  }
  const route = net.fib.lookup(ask(destination, source, to.tos, to.mark, net.loopback.device.index, to.device));
  const refusal = ERRORS[route?.type ?? "no route"];
  if (route === null || refusal !== undefined) {
    // Told to leave by a device, it takes the destination to be on its link.
    const forced = to.device === 0 ? undefined : net.inDevices.get(to.device);
    if (forced === undefined) return { error: refusal ?? "ENETUNREACH", route: null };
    return viaDevice(net, forced, destination, source || selectAddress(net, forced, 0, "link"));
  }
  if (route.type === "local") {
    const own = source || route.source || destination;
    // __mkroute_output(): a group stays one, whatever the tables say of it.
    return group ? viaDevice(net, net.loopback, destination, own) : { error: null, route, source: own, gateway: 0 };
  }
  if (isLoopback(source) && !route.device!.isLoopback && !route.device!.routeLocalnet)
    return { error: "EINVAL", route: null };
  const chosen = source || preferredSource(net, route);
  // __mkroute_output(): what leaves by lo is for this host (RTCF_LOCAL).
  if (group || route.device!.isLoopback) return viaDevice(net, route.device!, destination, chosen);
  const exception = net.paths.exception(destination);
  const gateway = exception !== null && exception.gateway !== 0 ? exception.gateway : route.gateway;
  return { error: null, route, source: chosen, gateway };
}

/** What is sent to 0.0.0.0 is for this host, whatever its tables say. */
function toSelf(net: Namespace, address: number): OutputRoute {
  const route = new Route({
    type: "local",
    destination: address,
    length: 32,
    device: net.loopback,
    table: TABLE_LOCAL,
  });
  return { error: null, route, source: address, gateway: 0 };
}

function viaDevice(net: Namespace, device: InDevice, destination: number, source: number): OutputRoute {
  const type = destination === -1 ? "broadcast" : isMulticast(destination) ? "multicast" : "unicast";
  const local = type === "unicast" && device.isLoopback;
  const route = new Route({ type, destination, length: 32, device, table: 0, local });
  return { error: null, route, source: source || selectAddress(net, device, destination, "link"), gateway: 0 };
}

/** `fib_result_prefsrc()`. */
export function preferredSource(net: Namespace, route: Route): number {
  if (route.source !== 0) return route.source;
  return selectAddress(net, route.device!, route.gateway, route.scope);
}
