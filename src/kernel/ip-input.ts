import { NETWORK, type Packet } from "../packet/packet.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as tcp from "../wire/tcp.ts";
import type { Route } from "./fib.ts";
import { pull } from "./fragment.ts";
import type { InDevice } from "./in-device.ts";
import { forward } from "./ip-forward.ts";
import { receiveOptions } from "./ip-options.ts";
import { isJoined } from "./ip-output.ts";
import { localDeliver } from "./local-delivery.ts";
import { isRefusal, routeInput } from "./route.ts";

/** `ip_rcv_core()`: false when the packet was dropped. Trims what Ethernet padded. */
export function checkHeader(packet: Packet, device: InDevice): boolean {
  const { net } = device;
  if (packet.type === "otherhost") {
    net.fabric.drop(packet, device.device.place, "OTHERHOST");
    return false;
  }
  const bad = ipv4.check(packet.view, NETWORK, packet.end);
  if (bad !== null) {
    net.fabric.drop(packet, device.device.place, bad);
    return false;
  }
  packet.end = NETWORK + ipv4.totalLength(packet.view, NETWORK);
  return true;
}

/** `ip_rcv()`: an IPv4 packet has arrived. Takes ownership. */
export function ipReceive(packet: Packet, device: InDevice): void {
  if (!checkHeader(packet, device)) return;
  // skb_orphan(): a socket that TPROXY found on the bridge is forgotten.
  packet.socket = null;
  // ip_rcv_core() starts with an empty control block: what a bridge gathered is no longer held to its fragments' size.
  if (packet.fragmentMax !== 0) {
    packet.fragmentMax = 0;
    packet.fragmentDf = false;
    packet.fragments = null;
  }
  const { netfilter } = device.net;
  // ip_sabotage_in(): the bridge has run PREROUTING for this one.
  if (packet.bridgePrerouted) packet.bridgePrerouted = false;
  else if (!netfilter.prerouting.run(packet, device.device, null)) return;
  finish(packet, device);
}

/** `ip_rcv_finish()`: options, routing, then up or on. Takes ownership. */
function finish(packet: Packet, device: InDevice): void {
  const { net } = device;
  // What comes over lo has its route already.
  if (packet.route === null) {
    demuxEarly(packet);
    const reason = routeInput(packet, device);
    if (reason !== null) {
      net.fabric.drop(packet, device.device.place, reason);
      return;
    }
  }
  if (ipv4.headerLength(packet.view, NETWORK) > ipv4.IPV4_HEADER && !receiveOptions(packet, device)) return;
  const route = packet.route as Route;
  const group = packet.type === "broadcast" || packet.type === "multicast";
  if (group && device.dropUnicastInGroup && route.type !== "broadcast" && route.type !== "multicast") {
    net.fabric.drop(packet, device.device.place, "UNICAST_IN_L2_MULTICAST");
    return;
  }
  // The output route of what came over lo leads nowhere for a group that nobody here is in (dst_discard()).
  if (route.type === "multicast" && !isJoined(route)) {
    net.fabric.drop(packet, device.device.place, "NOT_SPECIFIED");
    return;
  }
  if (route.type === "unicast" && !route.local) {
    if (packet.type === "host") forward(packet, device);
    else net.fabric.drop(packet, device.device.place, "NOT_SPECIFIED");
  } else if (route.local || route.type === "broadcast" || route.type === "multicast") localDeliver(packet, device);
  else refuse(packet, device, route);
}

/** `tcp_v4_early_demux()`: no socket is found so early here, but the header it looks at is in one piece now. Borrows. */
function demuxEarly(packet: Packet): void {
  if (packet.fragments === null || packet.type !== "host" || ipv4.isFragment(packet.view, NETWORK)) return;
  if (ipv4.protocol(packet.view, NETWORK) !== ipv4.PROTOCOL_TCP) return;
  const end = NETWORK + ipv4.headerLength(packet.view, NETWORK) + tcp.TCP_HEADER;
  if (end <= packet.end) pull(packet, end);
}

/** `ip_error()`: routing refuses; the sender may hear why. Takes ownership. */
function refuse(packet: Packet, device: InDevice, route: Route): void {
  const { net } = device;
  const { place } = device.device;
  if (!device.forwarding) {
    net.fabric.drop(packet, place, "IP_INADDRERRORS");
    return;
  }
  if (!isRefusal(route)) {
    net.fabric.drop(packet, place, "IP_INNOROUTES");
    return;
  }
  const told = route.type !== "blackhole" && net.icmpLimits.allowsRefusal(ipv4.source(packet.view, NETWORK));
  switch (route.type) {
    case "no route":
      if (told) net.sendIcmpError(packet, icmp.UNREACHABLE, icmp.NET_UNREACHABLE, 0);
      net.fabric.drop(packet, place, "IP_INNOROUTES");
      return;
    case "unreachable":
      if (told) net.sendIcmpError(packet, icmp.UNREACHABLE, icmp.HOST_UNREACHABLE, 0);
      net.fabric.drop(packet, place, "IP_INADDRERRORS");
      return;
    case "prohibit":
      if (told) net.sendIcmpError(packet, icmp.UNREACHABLE, icmp.ADMIN_PROHIBITED, 0);
      net.fabric.drop(packet, place, "PROHIBITED");
      return;
    default:
      net.fabric.drop(packet, place, "BLACKHOLE");
  }
}
