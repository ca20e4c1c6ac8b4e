import { NETWORK, type Packet } from "../packet/packet.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { Route } from "./fib.ts";
import type { InDevice } from "./in-device.ts";
import { outDevice } from "./ip-output.ts";
import type { Namespace } from "./namespace.ts";
import { neighbourOf } from "./neighbour.ts";
import type { IcmpError, Sender } from "./protocol.ts";
import { type RouteException, routeOutput } from "./route.ts";

/** What a namespace knows of the paths beyond its links: MTUs, and what ICMP errors taught (`fib_nh_exception`). */
export class Paths {
  private readonly exceptions = new Map<number, RouteException>();

  constructor(private readonly net: Namespace) {}

  /** `ip_dst_mtu_maybe_forward()`. */
  forwardMtu(packet: Packet, route: Route): number {
    const device = route.device!.device;
    const destination = ipv4.destination(packet.view, NETWORK);
    if (this.net.sysctls.get("net.ipv4.ip_forward_use_pmtu") === 0 && !this.isLocked(destination))
      return route.mtu || device.mtu;
    return this.mtu(destination, route, route.device!);
  }

  /** `ip_skb_dst_mtu()`. */
  outputMtu(packet: Packet, to: InDevice): number {
    if ((packet.socket as Sender | null)?.ignoresPathMtu === true) return to.device.mtu;
    if (packet.arrival !== 0 || this.exceptions.size === 0) return (packet.route as Route).mtu || to.device.mtu;
    return this.mtu(ipv4.destination(packet.view, NETWORK), packet.route as Route, to);
  }

  /** What is known of the whole path, bytes. */
  mtu(destination: number, route: Route, device: InDevice): number {
    const mtu = route.mtu || device.device.mtu;
    const known = this.exceptions.get(destination);
    if (known === undefined || known.mtu === 0 || known.mtuExpires <= this.net.fabric.scheduler.now) return mtu;
    return Math.min(mtu, known.mtu);
  }

  /** `ip_mtu_locked()`: somebody on the way wants less than is believed. */
  isLocked(destination: number): boolean {
    if (this.exceptions.size === 0) return false;
    const known = this.exceptions.get(destination);
    return known?.mtuLocked === true && known.mtuExpires > this.net.fabric.scheduler.now;
  }

  exception(destination: number): RouteException | null {
    return this.exceptions.size === 0 ? null : (this.exceptions.get(destination) ?? null);
  }

  /** `__ip_rt_update_pmtu()`, `__ip_do_redirect()`: an ICMP error tells of the path of a packet that we sent. */
  note(packet: Packet, quoted: number, error: IcmpError): void {
    const destination = ipv4.destination(packet.view, quoted);
    if (error.type === icmp.UNREACHABLE && error.code === icmp.FRAGMENTATION_NEEDED) {
      const found = routeOutput(this.net, { destination, source: 0, tos: 0, mark: 0, device: 0 });
      if (found.error !== null) return;
      const current = this.mtu(destination, found.route, outDevice(this.net, found.route));
      if (error.information > current || this.isLocked(destination)) return;
      const least = this.net.sysctls.get("net.ipv4.route.min_pmtu");
      const known = this.exceptionFor(destination);
      known.mtuLocked = error.information < least;
      known.mtu = known.mtuLocked ? Math.min(current, least) : error.information;
      known.mtuExpires = this.net.fabric.scheduler.now + this.net.sysctls.get("net.ipv4.route.mtu_expires") * 1e9;
    } else if (error.type === icmp.REDIRECT) this.redirected(packet, destination, error);
  }

  private redirected(packet: Packet, destination: number, error: IcmpError): void {
    const arrival = this.net.inDevices.get(packet.arrival);
    const better = error.information;
    const found = routeOutput(this.net, { destination, source: 0, tos: 0, mark: 0, device: 0 });
    if (arrival === undefined || found.error !== null || found.route.device !== arrival) return;
    if (found.gateway !== error.from || better === error.from || !arrival.acceptRedirects) return;
    if (this.net.addressType(better, null) !== "UNICAST") return;
    if (!arrival.sharedMedia && !this.trustsGateway(arrival, better, error.from)) return;
    const neighbour = neighbourOf(arrival, better);
    if (neighbour.valid) this.exceptionFor(destination).gateway = better;
    else neighbour.solicit();
  }

  /** Without shared media a new gateway must be a neighbour of the old; with secure redirects, a gateway already. */
  private trustsGateway(arrival: InDevice, better: number, old: number): boolean {
    if (!arrival.onLink(better, old)) return false;
    if (!arrival.secureRedirects) return true;
    for (const route of this.net.fib) if (route.gateway === better && route.device === arrival) return true;
    return false;
  }

  private exceptionFor(destination: number): RouteException {
    let known = this.exceptions.get(destination);
    if (known === undefined)
      this.exceptions.set(destination, (known = { mtu: 0, mtuLocked: false, mtuExpires: 0, gateway: 0 }));
    return known;
  }
}
