import type { Bridge, BridgeFilter, BridgePort } from "../link/bridge.ts";
import { FRAME, NETWORK, type Packet } from "../packet/packet.ts";
import { STEP } from "../trace/step.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import { Route } from "./fib.ts";
import { fragment } from "./fragment.ts";
import type { Namespace } from "./namespace.ts";
import { neighbourOf } from "./neighbour.ts";
import { routeInput } from "./route.ts";

/** Bytes of an ARP header before its addresses (`struct arphdr`). */
const ARP_FIXED = 8;
const IPV6_HEADER = 40;

/** `br_netfilter`: shows bridged IPv4 frames to the IP hooks while `bridge-nf-call-iptables` is on. */
export class BridgeNetfilter implements BridgeFilter {
  /** What stands in for a route while a frame is bridged, one a bridge (`bridge_parent_rtable()`). */
  private readonly parents = new Map<Bridge, Route>();

  constructor(private readonly net: Namespace) {}

  private parent(bridge: Bridge): Route {
    let route = this.parents.get(bridge);
    if (route === undefined) {
      const device = this.net.inDevices.get(bridge.index)!;
      this.parents.set(bridge, (route = new Route({ destination: 0, length: 0, device, table: 0 })));
    }
    return route;
  }

  private get on(): boolean {
    return this.net.sysctls.get("net.bridge.bridge-nf-call-iptables") !== 0;
  }

  /** `br_nf_pre_routing()` and its finish: a DNAT may turn the frame elsewhere. */
  prerouting(packet: Packet, port: BridgePort): boolean {
    if (packet.vlan !== 0) return true;
    const etherType = ethernet.etherType(packet.view, FRAME);
    if (etherType === ethernet.ETHERTYPE_IPV6) return this.validIpv6(packet, port);
    if (!this.on || etherType !== ethernet.ETHERTYPE_IPV4) return true;
    const device = this.net.inDevices.get(port.bridge.index);
    if (device === undefined) return true;
    const { type } = packet;
    // Frames for other hosts are looked at too; the type comes back afterwards.
    if (type === "otherhost") packet.type = "host";
    // br_validate_ipv4(): one reason for all that can be wrong.
    if (ipv4.check(packet.view, NETWORK, packet.end) !== null) {
      this.net.fabric.drop(packet, port.device.place, "IP_INHDR");
      return false;
    }
    packet.end = NETWORK + ipv4.totalLength(packet.view, NETWORK);
    packet.bridgeIn = port.device.index;
    packet.bridgePrerouted = true;
    const destination = ipv4.destination(packet.view, NETWORK);
    if (!this.net.netfilter.prerouting.run(packet, port.bridge, null)) return false;
    if (type === "otherhost") packet.type = type;
    if (ipv4.destination(packet.view, NETWORK) !== destination) return this.turn(packet, port);
    packet.route = this.parent(port.bridge);
    return true;
  }

  /** `br_validate_ipv6()`: what calls itself IPv6 must be; rules for it there are none. False takes ownership. */
  private validIpv6(packet: Packet, port: BridgePort): boolean {
    if (this.net.sysctls.get("net.bridge.bridge-nf-call-ip6tables") === 0) return true;
    const { view, end } = packet;
    const payload = end - NETWORK < IPV6_HEADER ? -1 : view.getUint16(NETWORK + 4);
    if (payload < 0 || view.getUint8(NETWORK) >> 4 !== 6 || NETWORK + IPV6_HEADER + payload > end) {
      this.net.fabric.drop(packet, port.device.place, "IP_INHDR");
      return false;
    }
    packet.end = NETWORK + IPV6_HEADER + payload;
    return true;
  }

  /** `br_nf_local_in()`: the flow of a frame for many is confirmed before it goes up, for its copies went out already. */
  input(packet: Packet): boolean {
    const route = packet.route as Route | null;
    if (route !== null && route.table === 0 && route.type === "unicast") packet.route = null;
    if (packet.connection === null || packet.type === "host") return true;
    if (this.net.tracker.insert(packet) === "ACCEPT") return true;
    this.net.drop(packet, "NETFILTER_DROP");
    return false;
  }

  /** The destination changed inside the bridge: back into it at layer 2, or up to be routed. */
  private turn(packet: Packet, port: BridgePort): boolean {
    const { bridge } = port;
    const { net } = this;
    const device = net.inDevices.get(bridge.index)!;
    const reason = routeInput(packet, device);
    if (reason !== null) {
      net.fabric.drop(packet, bridge.place, reason);
      return false;
    }
    const route = packet.route as Route;
    const staysHere = route.type === "unicast" && route.device === device && device.forwarding;
    if (staysHere) return this.toNeighbour(packet, port, packet.gateway || ipv4.destination(packet.view, NETWORK));
    ethernet.setDestination(packet.view, FRAME, bridge.macHigh, bridge.macLow);
    net.fabric.trace?.step(STEP.readdress, packet.id, bridge.place, bridge.macHigh, bridge.macLow);
    packet.type = "host";
    return true;
  }

  /** `br_nf_pre_routing_finish_bridge()`. */
  private toNeighbour(packet: Packet, port: BridgePort, nextHop: number): boolean {
    const { view } = packet;
    const neighbour = neighbourOf(this.net.inDevices.get(port.bridge.index)!, nextHop);
    packet.route = this.parent(port.bridge);
    packet.gateway = 0;
    if (neighbour.connected && neighbour.cached) {
      const { macHigh, macLow } = neighbour;
      ethernet.setDestination(view, FRAME, macHigh, macLow);
      this.net.fabric.trace?.step(STEP.readdress, packet.id, port.bridge.place, macHigh, macLow);
      return true;
    }
    packet.bridgeDnat = true;
    packet.bridgeSourceHigh = ethernet.sourceHigh(view, FRAME);
    packet.bridgeSourceLow = ethernet.sourceLow(view, FRAME);
    port.leavePrerouting(packet);
    neighbour.output(packet);
    return false;
  }

  /** `br_nf_dev_xmit()`: the neighbour is known now, and the frame goes back to where it was in the bridge. */
  transmit(packet: Packet, bridge: Bridge): boolean {
    if (!packet.bridgeDnat) return true;
    packet.bridgeDnat = false;
    // The taps of the bridge hold it, and what is held is copied when it is cut (skb_cloned()).
    if (packet.fragments !== null) packet.fragments = null;
    const port = bridge.ports.find((each) => each.device.index === packet.bridgeIn);
    if (port === undefined) this.net.fabric.drop(packet, bridge.place, "BRIDGE_PORT_DOWN");
    else port.handle(packet);
    return false;
  }

  /** `br_nf_forward_ip()`. */
  forward(packet: Packet, to: BridgePort): boolean {
    // br_nf_forward_arp(), which is always on here.
    const type = ethernet.etherType(packet.view, FRAME);
    if (type === ethernet.ETHERTYPE_ARP && packet.vlan === 0 && packet.end < NETWORK + ARP_FIXED) {
      this.net.fabric.drop(packet, to.bridge.place, "NETFILTER_DROP");
      return false;
    }
    return this.forwardIp(packet, to);
  }

  private forwardIp(packet: Packet, to: BridgePort): boolean {
    if (packet.bridgeIn === 0 || !packet.bridgePrerouted) return true;
    packet.bridgeOut = to.device.index;
    const { type } = packet;
    if (type === "otherhost") packet.type = "host";
    if (!this.net.netfilter.forward.run(packet, to.bridge, to.bridge)) return false;
    packet.type = type;
    return true;
  }

  /** `br_nf_post_routing()`; what was gathered from fragments leaves in fragments. */
  postrouting(packet: Packet, to: BridgePort): boolean {
    if (packet.bridgeOut === 0) return true;
    const { type } = packet;
    if (type === "otherhost") packet.type = "host";
    if (!this.net.netfilter.postrouting.run(packet, null, to.bridge)) return false;
    packet.type = type;
    return this.fits(packet, to) || this.cut(packet, to);
  }

  /** `br_nf_dev_queue_xmit()`: what was gathered from fragments leaves in fragments, and what is too long is cut. */
  private fits({ end, fragmentMax }: Packet, to: BridgePort): boolean {
    const mtu = fragmentMax === 0 ? to.device.mtu : Math.min(to.device.mtu, fragmentMax);
    return end - NETWORK <= mtu;
  }

  /** `br_nf_ip_fragment()`: to the MTU of the bridge, not of the port. */
  private cut(packet: Packet, to: BridgePort): false {
    const { bridge } = to;
    const { fragmentMax, ignoreDf } = packet;
    if ((ipv4.dontFragment(packet.view, NETWORK) && !ignoreDf) || fragmentMax > bridge.mtu) {
      this.net.fabric.drop(packet, to.device.place, "PKT_TOO_BIG");
      return false;
    }
    const mtu = fragmentMax === 0 ? bridge.mtu : Math.min(bridge.mtu, fragmentMax);
    // br_validate_ipv4() has emptied its control block (IPSKB_FRAG_PMTU).
    packet.fragmentDf = false;
    fragment(packet, this.net, mtu, (piece) => {
      // skb_cow_head(): it goes on in a copy of what the taps share.
      piece.shown = null;
      bridge.push(piece, to);
      return true;
    });
    return false;
  }
}
