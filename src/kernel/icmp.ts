import { NETWORK, type Packet } from "../packet/packet.ts";
import { STEP } from "../trace/step.ts";
import { fold, pseudoSum } from "../wire/checksum.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { Route } from "./fib.ts";
import { selectAddress } from "./in-device.ts";
import { echoOptions, midnight } from "./ip-options.ts";
import type { Namespace } from "./namespace.ts";
import type { IcmpError } from "./protocol.ts";

/** An error with its own and the quoted headers fits the smallest datagram every host must take (RFC 1812, 4.3.2.3). */
const MAX_ERROR = 576;
const BURST = 6;
const LAST_TYPE = 18;

/** One host as errors and redirects to it are counted, by one clock (`struct inet_peer`). Nanoseconds. */
export interface Peer {
  tokens: number;
  last: number;
  redirects: number;
}

/** `inet_peer_xrlim_allow()` and the global bucket: how many errors may still go out. Times in nanoseconds. */
export class IcmpLimits {
  private readonly peers = new Map<number, Peer>();
  private credit = 0;
  private stamp = Number.NEGATIVE_INFINITY;

  constructor(private readonly net: Namespace) {}

  allows(type: number, code: number, target: number, loopback: boolean): boolean {
    const { sysctls, fabric } = this.net;
    if (type === icmp.UNREACHABLE && code === icmp.FRAGMENTATION_NEEDED) return true;
    if (((1 << type) & sysctls.get("net.ipv4.icmp_ratemask")) === 0) return true;
    const now = fabric.scheduler.now;
    if (!loopback && !this.global(now)) return false;
    const interval = sysctls.get("net.ipv4.icmp_ratelimit") * 1e6;
    if (loopback || interval === 0) return true;
    return this.take(target, interval, BURST * interval);
  }

  peer(target: number): Peer {
    let peer = this.peers.get(target);
    if (peer === undefined)
      this.peers.set(target, (peer = { tokens: 0, last: this.net.fabric.scheduler.now - 60e9, redirects: 0 }));
    return peer;
  }

  /** From the bucket of one host, filled up to `most`. */
  private take(target: number, interval: number, most: number): boolean {
    const now = this.net.fabric.scheduler.now;
    const peer = this.peer(target);
    peer.tokens = Math.min(peer.tokens + now - peer.last, most);
    peer.last = now;
    if (peer.tokens < interval) return false;
    peer.tokens -= interval;
    return true;
  }

  /** `ip_error()`: one host hears of five refused routes at once, then of one a second. */
  allowsRefusal(target: number): boolean {
    return this.take(target, 1e9, 5e9);
  }

  /** `icmp_global_allow()`. */
  private global(now: number): boolean {
    const { sysctls } = this.net;
    const burst = sysctls.get("net.ipv4.icmp_msgs_burst");
    const rate = sysctls.get("net.ipv4.icmp_msgs_per_sec");
    this.credit = Math.min(burst, this.credit + (Math.min(now - this.stamp, 1e9) * rate) / 1e9);
    this.stamp = now;
    if (this.credit < 1) return false;
    this.credit -= 1;
    return true;
  }
}

/** True when this packet must never be answered with an error. */
function unanswerable(packet: Packet): boolean {
  const { view } = packet;
  const route = packet.route as Route | null;
  if (route === null || route.type === "broadcast" || route.type === "multicast" || packet.type !== "host") return true;
  if (ipv4.fragmentOffset(view, NETWORK) !== 0) return true;
  if (ipv4.protocol(view, NETWORK) !== ipv4.PROTOCOL_ICMP) return false;
  const at = NETWORK + ipv4.headerLength(view, NETWORK);
  if (at >= packet.end) return true;
  const type = icmp.type(view, at);
  return type > LAST_TYPE || icmp.isUnanswerable(type);
}

/**
 * `icmp_send()`: tells the sender of `packet` what became of it. `information` is the MTU of type 3 code 4, the gateway
 * of a redirect, the pointer of type 12. Borrows the packet.
 */
export function sendError(net: Namespace, packet: Packet, type: number, code: number, information: number): void {
  const { trace } = net.fabric;
  if (net.icmpBusy || unanswerable(packet)) {
    trace?.step(STEP.error, packet.id, net.place, 2, type, code, information);
    return;
  }
  const { view } = packet;
  const offender = ipv4.source(view, NETWORK);
  const source = errorSource(net, packet, offender);
  const tos = (ipv4.tos(view, NETWORK) & 0x1e) | 0xc0;
  const options = echoOptions(packet, net);
  if (options === null) return;
  const destination = { destination: options.firstHop || offender, source, tos, mark: 0, device: 0 };
  const path = net.path(destination);
  if (path.error !== null) return;
  if (!net.icmpLimits.allows(type, code, offender, net.isLocal(offender))) {
    trace?.step(STEP.error, packet.id, net.place, 1, type, code, information);
    return;
  }
  const room = Math.min(path.mtu, MAX_ERROR) - ipv4.IPV4_HEADER - options.bytes.length - icmp.ICMP_HEADER;
  const quoted = Math.min(packet.end - NETWORK, room);
  const length = icmp.ICMP_HEADER + quoted;
  net.sendIcmp({
    ...destination,
    protocol: ipv4.PROTOCOL_ICMP,
    ttl: 0,
    dontFragment: false,
    options,
    length,
    parent: packet.id,
    relatesTo: packet,
    socket: null,
    write(error, at) {
      icmp.write(error.view, at, type, code, information);
      error.bytes.set(packet.bytes.subarray(NETWORK, NETWORK + quoted), at + icmp.ICMP_HEADER);
      if (packet.partialChecksum) showPartialChecksum(error, at + icmp.ICMP_HEADER);
      icmp.setChecksum(error.view, at, length);
      trace?.step(STEP.error, packet.id, net.place, 0, type, code, information, error.id);
    },
  });
}

/** The quote at `at` is of a datagram whose transport checksum nobody has computed yet. */
function showPartialChecksum({ view, end }: Packet, at: number): void {
  const transport = at + ipv4.headerLength(view, at);
  const protocol = ipv4.protocol(view, at);
  const place = transport + (protocol === ipv4.PROTOCOL_UDP ? 6 : 16);
  if (place + 2 > end) return;
  const length = ipv4.totalLength(view, at) - ipv4.headerLength(view, at);
  view.setUint16(place, fold(pseudoSum(ipv4.source(view, at), ipv4.destination(view, at), protocol, length)));
}

/** The address that the error comes from; 0 leaves it to routing. */
function errorSource(net: Namespace, packet: Packet, offender: number): number {
  const route = packet.route as Route;
  if (route.local) return ipv4.destination(packet.view, NETWORK);
  if (net.sysctls.get("net.ipv4.icmp_errors_use_inbound_ifaddr") === 0) return 0;
  // rt_is_input_route() is false of what stands in for the route of a bridged packet.
  if (route.table === 0 && route.type === "unicast") return 0;
  const inbound = net.inDevices.get(packet.arrival);
  return inbound === undefined ? 0 : selectAddress(net, inbound, offender, "link");
}

/** `icmp_rcv()`: a message for this host; `at` is its header. Takes ownership. */
export function icmpReceive(net: Namespace, packet: Packet, at: number): void {
  const { view } = packet;
  const length = packet.end - at;
  const valid = icmp.isValid(view, at, length);
  if (!valid || length < icmp.ICMP_HEADER) {
    net.fabric.drop(packet, net.place, valid ? "PKT_TOO_SMALL" : "ICMP_CSUM");
    return;
  }
  const type = icmp.type(view, at);
  if (!(packet.route as Route).local && !answersBroadcast(net, type)) {
    net.fabric.drop(packet, net.place, "INVALID_PROTO");
    return;
  }
  if (type === icmp.ECHO_REQUEST && net.sysctls.get("net.ipv4.icmp_echo_ignore_all") === 0) {
    reply(net, packet, at, icmp.ECHO_REPLY);
    net.fabric.consume(packet, net.place, "kernel answers");
  } else if (type === icmp.TIMESTAMP_REQUEST && length >= icmp.ICMP_HEADER + 4) {
    reply(net, packet, at, icmp.TIMESTAMP_REPLY);
    net.fabric.consume(packet, net.place, "kernel answers");
  } else if (icmp.isError(type)) errorReceived(net, packet, at);
  else if (type === icmp.ECHO_REPLY) net.echoReply(packet, at);
  else net.fabric.drop(packet, net.place, "UNHANDLED_PROTO");
}

function answersBroadcast(net: Namespace, type: number): boolean {
  if (type === icmp.ECHO_REQUEST || type === icmp.TIMESTAMP_REQUEST)
    return net.sysctls.get("net.ipv4.icmp_echo_ignore_broadcasts") === 0;
  return type === icmp.ADDRESS_REQUEST || type === icmp.ADDRESS_REPLY;
}

/** `icmp_reply()`: the same data back, from the address that was asked. Borrows. */
function reply(net: Namespace, packet: Packet, at: number, type: number): void {
  const { view } = packet;
  const stamps = type === icmp.TIMESTAMP_REPLY;
  const length = stamps ? icmp.ICMP_HEADER + 12 : packet.end - at;
  const route = packet.route as Route;
  const asked = ipv4.destination(view, NETWORK);
  const device = net.inDevices.get(packet.arrival) ?? net.loopback;
  const to = ipv4.source(view, NETWORK);
  const options = echoOptions(packet, net);
  if (options === null || !net.icmpLimits.allows(type, 0, to, net.isLocal(to))) return;
  net.sendIcmp({
    destination: options.firstHop || to,
    source: route.local ? asked : selectAddress(net, device, to, "link"),
    tos: ipv4.tos(view, NETWORK),
    mark: 0,
    device: 0,
    protocol: ipv4.PROTOCOL_ICMP,
    ttl: 0,
    dontFragment: false,
    options,
    length,
    parent: packet.id,
    socket: null,
    write(answer, start) {
      answer.bytes.set(packet.bytes.subarray(at, Math.min(packet.end, at + length)), start);
      answer.view.setUint8(start, type);
      if (stamps) {
        answer.view.setUint8(start + 1, 0);
        answer.view.setInt32(start + 12, midnight(net));
        answer.view.setInt32(start + 16, midnight(net));
      }
      icmp.setChecksum(answer.view, start, length);
    },
  });
}

/** `icmp_unreach()`, `icmp_redirect()`: hands the news to the protocol that sent the quoted packet. Takes ownership. */
function errorReceived(net: Namespace, packet: Packet, at: number): void {
  const { view } = packet;
  const quoted = at + icmp.ICMP_HEADER;
  const header = packet.end - quoted < ipv4.IPV4_HEADER ? 0 : ipv4.headerLength(view, quoted);
  if (header < ipv4.IPV4_HEADER || packet.end - quoted < header + 8) {
    net.fabric.drop(packet, net.place, "PKT_TOO_SMALL");
    return;
  }
  const type = icmp.type(view, at);
  const code = icmp.code(view, at);
  const protocol = ipv4.protocol(view, quoted);
  const tooBig = type === icmp.UNREACHABLE && code === icmp.FRAGMENTATION_NEEDED;
  const disbelief = tooBig ? net.sysctls.get("net.ipv4.ip_no_pmtu_disc") : 0;
  // TCP checks what is quoted (`icmp_tag_validation()`).
  if (disbelief === 2 || (disbelief === 3 && protocol !== ipv4.PROTOCOL_TCP)) {
    net.fabric.consume(packet, net.place, "ICMP error");
    return;
  }
  const mtu = code === icmp.FRAGMENTATION_NEEDED && disbelief !== 1 ? icmp.nextHopMtu(view, at) : 0;
  const information = type === icmp.REDIRECT ? icmp.gateway(view, at) : mtu;
  const error: IcmpError = { type, code, information, from: ipv4.source(view, NETWORK), ttl: ipv4.ttl(view, NETWORK) };
  // icmp_err(): a quoted request belongs to a socket, a quoted reply to the kernel itself.
  if (protocol === ipv4.PROTOCOL_ICMP && icmp.type(view, quoted + header) === icmp.ECHO_REPLY)
    net.noteError(packet, quoted, error);
  net.raw?.error(packet, quoted, packet.end, error);
  net.transport(protocol)?.error(packet, quoted, packet.end, error);
  net.fabric.consume(packet, net.place, "ICMP error");
}
