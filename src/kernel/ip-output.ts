import type { Device } from "../link/device.ts";
import { beginSegments, endSegments, makeSegment, segmentLength } from "../link/segmentation.ts";
import { NETWORK, type Packet } from "../packet/packet.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { Route } from "./fib.ts";
import { fragment } from "./fragment.ts";
import type { InDevice } from "./in-device.ts";
import type { Namespace } from "./namespace.ts";
import { neighbourOf } from "./neighbour.ts";
import type { Errno } from "./protocol.ts";

/** The device a routed packet leaves by; local destinations go over lo. */
export function outDevice(net: Namespace, route: Route): InDevice {
  return route.type === "local" ? net.loopback : (route.device ?? net.loopback);
}

/** `ip_local_out()`: a packet of our own, routed and complete. Takes ownership. */
export function localOut(packet: Packet, net: Namespace): Errno | null {
  net.dropError = "EPERM";
  if (!net.netfilter.output.run(packet, null, outDevice(net, packet.route as Route).device)) return net.dropError;
  return output(packet, net, null);
}

/** `ip_output()`, `ip_mc_output()`: POSTROUTING, then out. `from` is where it came in, null for our own. Takes ownership. */
export function output(packet: Packet, net: Namespace, from: Device | null): Errno | null {
  const route = packet.route as Route;
  const to = outDevice(net, route);
  if (from === null && !to.isLoopback && (route.type === "broadcast" || isJoined(route))) loopBack(packet, net, to);
  // Only ip_mc_output() looks: a group that nobody here is in goes out by ip_output().
  if (isJoined(route) && !to.isLoopback && ipv4.ttl(packet.view, NETWORK) === 0) {
    net.fabric.drop(packet, to.device.place, "NOT_SPECIFIED");
    return null;
  }
  net.dropError = "EPERM";
  if (!net.netfilter.postrouting.run(packet, from, to.device)) return net.dropError;
  // A hook may have routed it elsewhere.
  return finishOutput(packet, net, outDevice(net, packet.route as Route));
}

/** A broadcast of our own is for us, too (`dev_loopback_xmit()`). Borrows. */
function loopBack(packet: Packet, net: Namespace, to: InDevice): void {
  const copy = net.fabric.clone(packet, to.device.place);
  if (!net.netfilter.postrouting.run(copy, null, to.device)) return;
  copy.type = "host";
  copy.arrival = to.device.index;
  copy.device = to.device.index;
  const { scheduler } = net.fabric;
  scheduler.disable();
  scheduler.defer(to, copy);
  scheduler.enable();
}

/** Every host is a member of 224.0.0.1; others would be joined by a program. */
export const isJoined = (route: Route): boolean => route.type === "multicast" && route.destination === (0xe0000001 | 0);

/** `ip_finish_output()`: fragments what is too long. Takes ownership. */
function finishOutput(packet: Packet, net: Namespace, to: InDevice): Errno | null {
  if (packet.segmentSize !== 0) return finishSegments(packet, net, to);
  const mtu = net.paths.outputMtu(packet, to);
  if (packet.end - NETWORK <= mtu && packet.fragmentMax === 0) return emit(packet, to);
  const keeps = ipv4.dontFragment(packet.view, NETWORK);
  if (keeps && (!packet.ignoreDf || packet.fragmentMax > mtu)) {
    net.sendIcmpError(packet, icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, mtu);
    net.fabric.drop(packet, to.device.place, "PKT_TOO_BIG");
    return "EMSGSIZE";
  }
  let error: Errno | null = null;
  fragment(packet, net, packet.fragmentMax === 0 ? mtu : Math.min(mtu, packet.fragmentMax), (piece) => {
    error = emit(piece, to);
    return error === null;
  });
  return error;
}

/** `ip_finish_output_gso()`: segments that the path has become too narrow for are cut here. Takes ownership. */
function finishSegments(packet: Packet, net: Namespace, to: InDevice): Errno | null {
  if (segmentLength(packet) <= net.paths.outputMtu(packet, to)) return emit(packet, to);
  const { fabric } = net;
  const { place } = to.device;
  let error: Errno | null = null;
  const count = beginSegments(packet, fabric, place);
  for (let i = 0; i < count; i++) error = finishOutput(makeSegment(packet, i, fabric, place), net, to) ?? error;
  endSegments(packet, fabric, place);
  return error;
}

/** `ip_finish_output2()`. Takes ownership. */
function emit(packet: Packet, to: InDevice): Errno | null {
  const nextHop = packet.gateway !== 0 ? packet.gateway : ipv4.destination(packet.view, NETWORK);
  return neighbourOf(to, nextHop).output(packet);
}
