import { FRAME, NETWORK, type Packet } from "../packet/packet.ts";
import type { Timer } from "../sim/scheduler.ts";
import { STEP, WORDS } from "../trace/step.ts";
import { formatIpv4, isLoopback, isMulticast } from "../wire/address.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { InDevice } from "./in-device.ts";
import type { Errno } from "./protocol.ts";
import { KERNEL_SOCKET } from "./socket-owner.ts";

/** `NUD_*`. NOARP entries need no resolution: loopback, broadcast, multicast. */
export type NeighbourState =
  | "NONE"
  | "INCOMPLETE"
  | "REACHABLE"
  | "STALE"
  | "DELAY"
  | "PROBE"
  | "FAILED"
  | "NOARP"
  | "PERMANENT";

const STATES: readonly string[] = WORDS.neighbourState;

/** What a small frame occupies in the kernel (`skb->truesize`): buffer and `sk_buff` rounded up. */
function truesize(packet: Packet): number {
  const length = packet.length;
  return length <= 320 ? 832 : length <= 896 ? 1280 : 2304;
}

/** It is charged to the kernel's ICMP socket until it leaves this host. */
const isOwnIcmp = ({ socket, view }: Packet): boolean =>
  socket === KERNEL_SOCKET && ipv4.protocol(view, NETWORK) === ipv4.PROTOCOL_ICMP;

/** Who has an address, and how sure we are (`struct neighbour`). */
export class Neighbour {
  state: NeighbourState = "NONE";
  macHigh = 0;
  macLow = 0;
  /** A complete Ethernet header is cached (`neigh->hh`). */
  cached = false;
  private probes = 0;
  private confirmed = 0;
  private used = 0;
  private updated = 0;
  private readonly reachableTime: number;
  /** While packets wait for the answer. */
  private readonly resolving: Timer;
  /** Doubts about a known address; alone it keeps no run going. */
  private readonly ageing: Timer;
  private readonly waiting: Packet[] = [];
  private waitingBytes = 0;

  constructor(
    readonly device: InDevice,
    readonly address: number,
  ) {
    const { scheduler } = device.net.fabric;
    const expire = () => {
      scheduler.disable();
      this.expire();
      scheduler.enable();
    };
    this.resolving = scheduler.timer(expire);
    this.ageing = scheduler.timer(expire, true);
    const base = device.net.sysctls.get("net.ipv4.neigh.default.base_reachable_time_ms") * 1e6;
    this.reachableTime = Math.floor(base / 2 + device.net.random.unit() * base);
    const now = scheduler.now;
    this.confirmed = now - base * 2;
    this.used = now;
    this.updated = now;
    this.construct();
  }

  /** `arp_constructor()`. */
  private construct(): void {
    const { device: link } = this.device;
    if (this.device.isLoopback) this.settle(0, 0);
    else if (!link.arps) this.settle(link.macHigh, link.macLow);
    else if (isMulticast(this.address)) this.settle(0x0100, 0x5e000000 | (this.address & 0x7fffff));
    else if (this.device.net.addressType(this.address, null) === "BROADCAST") this.settle(0xffff, -1);
  }

  private settle(high: number, low: number): void {
    this.state = "NOARP";
    this.macHigh = high;
    this.macLow = low;
  }

  get valid(): boolean {
    const { state } = this;
    return state !== "NONE" && state !== "INCOMPLETE" && state !== "FAILED";
  }

  /** `NUD_CONNECTED`. */
  get connected(): boolean {
    const { state } = this;
    return state === "REACHABLE" || state === "PERMANENT" || state === "NOARP";
  }

  /** `neigh_output()`: completes the Ethernet header and sends, or keeps the packet until it can. Takes ownership. */
  output(packet: Packet): Errno | null {
    const trace = this.device.net.fabric.trace;
    if (!this.connected) {
      if (this.solicitFor(packet)) return null;
    }
    if (trace !== null && this.state !== "NOARP")
      trace.step(
        STEP.neighbour,
        packet.id,
        this.device.device.place,
        this.address,
        STATES.indexOf(this.state),
        this.macHigh,
        this.macLow,
      );
    this.cached = true;
    const { view } = packet;
    const { device } = this.device;
    ethernet.setDestination(view, FRAME, this.macHigh, this.macLow);
    // Taps share the bytes that br_nf_dev_xmit() puts the old source back into.
    if (packet.bridgeDnat) ethernet.setSource(view, FRAME, packet.bridgeSourceHigh, packet.bridgeSourceLow);
    else ethernet.setSource(view, FRAME, device.macHigh, device.macLow);
    ethernet.setEtherType(view, FRAME, ethernet.ETHERTYPE_IPV4);
    return device.send(packet) ? null : "ENOBUFS";
  }

  /** `neigh_event_send()`: true when the packet has to wait, or was lost. Takes ownership when true. */
  private solicitFor(packet: Packet): boolean {
    const { net } = this.device;
    const now = net.fabric.scheduler.now;
    this.used = now;
    if (this.state === "DELAY" || this.state === "PROBE") return false;
    if (this.state === "STALE") {
      this.become("DELAY");
      this.updated = now;
      this.wake(net.sysctls.get("net.ipv4.neigh.default.delay_first_probe_time") * 1e9);
      return false;
    }
    const { scheduler } = net.fabric;
    scheduler.disable();
    this.enqueue(packet);
    this.solicit();
    scheduler.enable();
    return true;
  }

  /** Asks without having anything to send. */
  solicit(): void {
    if (this.valid || this.state === "INCOMPLETE") return;
    this.probes = this.device.net.sysctls.get("net.ipv4.neigh.default.ucast_solicit");
    this.become("INCOMPLETE");
    this.updated = this.device.net.fabric.scheduler.now;
    this.wake(this.retransmit);
    this.probe();
  }

  private enqueue(packet: Packet): void {
    const { net, device } = this.device;
    const size = truesize(packet);
    const limit = net.sysctls.get("net.ipv4.neigh.default.unres_qlen_bytes");
    while (this.waiting.length > 0 && this.waitingBytes + size > limit) {
      const oldest = this.waiting.shift()!;
      this.waitingBytes -= truesize(oldest);
      if (isOwnIcmp(oldest)) net.icmpHeld -= truesize(oldest);
      net.fabric.drop(oldest, device.place, "NEIGH_QUEUEFULL");
    }
    net.fabric.trace?.step(STEP.queue, packet.id, device.place, this.address);
    this.waiting.push(packet);
    this.waitingBytes += size;
    if (isOwnIcmp(packet)) net.icmpHeld += size;
  }

  /** What waited goes on, or is lost; the books of who holds it end here. */
  private unqueue(): Packet[] {
    const { net } = this.device;
    for (const packet of this.waiting) if (isOwnIcmp(packet)) net.icmpHeld -= truesize(packet);
    this.waitingBytes = 0;
    return this.waiting.splice(0);
  }

  private get retransmit(): number {
    return this.device.net.sysctls.get("net.ipv4.neigh.default.retrans_time_ms") * 1e6;
  }

  private wake(delay: number): void {
    (this.state === "INCOMPLETE" ? this.resolving : this.ageing).armIn(delay);
  }

  private sleep(): void {
    this.resolving.cancel();
    this.ageing.cancel();
  }

  private become(state: NeighbourState): void {
    this.state = state;
    const trace = this.device.net.fabric.trace;
    if (trace !== null)
      trace.step(
        STEP.neighbour,
        0,
        this.device.device.place,
        this.address,
        STATES.indexOf(state),
        this.macHigh,
        this.macLow,
      );
  }

  /** `neigh_timer_handler()`. */
  private expire(): void {
    const { net } = this.device;
    const now = net.fabric.scheduler.now;
    const delay = net.sysctls.get("net.ipv4.neigh.default.delay_first_probe_time") * 1e9;
    if (this.state === "REACHABLE") {
      if (now < this.confirmed + this.reachableTime) this.ageing.arm(this.confirmed + this.reachableTime);
      else if (now <= this.used + delay) {
        this.become("DELAY");
        this.updated = now;
        this.wake(delay);
      } else this.become("STALE");
      return;
    }
    if (this.state === "DELAY") {
      if (now <= this.confirmed + delay) {
        this.become("REACHABLE");
        this.ageing.arm(this.confirmed + this.reachableTime);
        return;
      }
      this.become("PROBE");
      this.probes = 0;
    }
    if (this.state !== "PROBE" && this.state !== "INCOMPLETE") return;
    const unicast = net.sysctls.get("net.ipv4.neigh.default.ucast_solicit");
    const limit = this.state === "PROBE" ? unicast : unicast + net.sysctls.get("net.ipv4.neigh.default.mcast_solicit");
    if (this.probes >= limit) {
      this.fail();
      return;
    }
    this.wake(this.retransmit);
    this.probe();
  }

  /** `neigh_invalidate()`: nobody answered; every waiting packet's sender hears of it. */
  private fail(): void {
    const { net, device } = this.device;
    this.become("FAILED");
    this.updated = net.fabric.scheduler.now;
    for (const packet of this.unqueue()) {
      net.linkFailure(packet);
      net.fabric.drop(packet, device.place, "NEIGH_FAILED");
    }
  }

  /** `arp_solicit()`. */
  private probe(): void {
    const { net } = this.device;
    const unicast = net.sysctls.get("net.ipv4.neigh.default.ucast_solicit");
    const toUs = this.probes < unicast && this.state === "PROBE";
    this.probes++;
    const newest = this.waiting[this.waiting.length - 1] ?? null;
    net.arpSolicit(
      this,
      newest === null ? 0 : ipv4.source(newest.view, NETWORK),
      toUs,
      newest === null ? 0 : newest.id,
    );
  }

  /** `neigh_update()` after an ARP packet: `override` lets another MAC address replace a known one. */
  update(high: number, low: number, state: "REACHABLE" | "STALE", override: boolean): void {
    if (this.state === "PERMANENT" || this.state === "NOARP") return;
    const { scheduler } = this.device.net.fabric;
    const now = scheduler.now;
    const same = this.macHigh === high && this.macLow === low;
    if (state === "REACHABLE") this.confirmed = now;
    const wasValid = this.valid;
    let next: NeighbourState = state;
    if (wasValid) {
      if (!same && !override) return;
      if (same && state === "STALE") next = this.state;
    }
    if (next !== this.state || !same) this.updated = now;
    this.macHigh = high;
    this.macLow = low;
    if (!same && state !== "REACHABLE")
      this.confirmed = now - this.device.net.sysctls.get("net.ipv4.neigh.default.base_reachable_time_ms") * 2e6;
    if (next === this.state) return;
    this.sleep();
    this.become(next);
    if (next === "REACHABLE") this.ageing.arm(now + this.reachableTime);
    if (!wasValid) this.flush();
  }

  /** True when the entry has not changed within the last `locktime`. */
  get unlocked(): boolean {
    const { net } = this.device;
    const lock = net.sysctls.get("net.ipv4.neigh.default.locktime") * 1e7;
    return net.fabric.scheduler.now > this.updated + lock;
  }

  private flush(): void {
    for (const packet of this.unqueue()) this.output(packet);
  }

  /** A static entry, `ip neigh add ... nud permanent`. */
  fix(high: number, low: number): void {
    this.sleep();
    this.macHigh = high;
    this.macLow = low;
    this.state = "PERMANENT";
    this.flush();
  }

  /** The device goes down: `neigh_flush_dev()`. */
  forget(): void {
    this.sleep();
    const { net, device } = this.device;
    for (const packet of this.unqueue()) net.fabric.drop(packet, device.place, "NEIGH_DEAD");
  }

  toString(): string {
    return `${formatIpv4(this.address)} ${this.state}`;
  }
}

/** `ip_neigh_for_gw()`: the entry of an address on a device, made when it is missing. */
export function neighbourOf(device: InDevice, address: number): Neighbour {
  let neighbour = device.neighbours.get(address);
  if (neighbour === undefined) device.neighbours.set(address, (neighbour = new Neighbour(device, address)));
  return neighbour;
}

export const resolvable = (address: number): boolean => !isLoopback(address) && !isMulticast(address);
