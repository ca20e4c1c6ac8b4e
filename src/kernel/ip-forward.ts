import { NETWORK, type Packet } from "../packet/packet.ts";
import { STEP } from "../trace/step.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { Route } from "./fib.ts";
import type { InDevice } from "./in-device.ts";
import { forwardOptions, type Options } from "./ip-options.ts";
import { output } from "./ip-output.ts";
import { sendRedirect } from "./redirect.ts";

const TOS_MASK = 0x1e;
/** `ip_tos2prio`: best effort, bulk, interactive, interactive bulk; every other bit of the field is for ECN. */
const PRIORITIES = [0, 0, 0, 0, 2, 2, 2, 2, 6, 6, 6, 6, 4, 4, 4, 4];

/** `ip_forward()`: TTL, MTU and redirect are decided before the FORWARD hook. Takes ownership. */
export function forward(packet: Packet, from: InDevice): void {
  const { net } = from;
  const { view } = packet;
  const route = packet.route as Route;
  const to = route.device!;
  // What TPROXY has given to a socket stays here.
  if (packet.socket !== null) {
    net.fabric.drop(packet, from.device.place, "NOT_SPECIFIED");
    return;
  }
  if (!from.forwarding) {
    net.fabric.drop(packet, from.device.place, "IP_INADDRERRORS");
    return;
  }
  const ttl = ipv4.ttl(view, NETWORK);
  if (ttl <= 1) {
    net.sendIcmpError(packet, icmp.TIME_EXCEEDED, 0, 0);
    net.fabric.drop(packet, from.device.place, "IP_INHDR");
    return;
  }
  const options = packet.options as Options | null;
  if (options?.strict === true && packet.gateway !== 0) {
    net.sendIcmpError(packet, icmp.UNREACHABLE, icmp.SOURCE_ROUTE_FAILED, 0);
    net.fabric.drop(packet, from.device.place, "NOT_SPECIFIED");
    return;
  }
  const mtu = net.paths.forwardMtu(packet, route);
  if (exceeds(packet, mtu)) {
    net.sendIcmpError(packet, icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, mtu);
    net.fabric.drop(packet, from.device.place, "PKT_TOO_BIG");
    return;
  }
  // skb_cow(): taps keep the bytes of its arrival.
  packet.shown = null;
  ipv4.setTtl(view, NETWORK, ttl - 1);
  if (net.fabric.trace !== null) net.fabric.trace.step(STEP.set, packet.id, net.place, 0, ttl, ttl - 1);
  if (packet.redirect && (options === null || options.sourceRoute === 0)) sendRedirect(packet, from, packet.gateway);
  if (net.sysctls.get("net.ipv4.ip_forward_update_priority") !== 0)
    packet.priority = PRIORITIES[(ipv4.tos(view, NETWORK) & TOS_MASK) >> 1]!;
  if (!net.netfilter.forward.run(packet, from.device, to.device)) return;
  if (options !== null) forwardOptions(packet, net);
  output(packet, net, from.device);
}

/** `ip_exceeds_mtu()`. */
function exceeds(packet: Packet, mtu: number): boolean {
  if (packet.end - NETWORK <= mtu || !ipv4.dontFragment(packet.view, NETWORK)) return false;
  return packet.fragmentMax > mtu || !packet.ignoreDf;
}
