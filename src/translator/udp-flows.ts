import type { Packet } from "../packet/packet.ts";
import type { Timer } from "../sim/scheduler.ts";
import { STEP, wordNumber } from "../trace/step.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as udp from "../wire/udp.ts";
import type { Guest } from "./guest.ts";
import type { Endpoint, HostDatagrams, HostFailure } from "./host-sockets.ts";
import { answerTo } from "./preset.ts";

const CHANGE = {
  begins: wordNumber("flowChange", "begins"),
  continues: wordNumber("flowChange", "continues"),
  expires: wordNumber("flowChange", "expires"),
  evicted: wordNumber("flowChange", "evicted"),
};
const SENDTO = wordNumber("call", "sendto");
const DNS = 53;
const SECOND = 1e9;

/** A datagram of a guest on its way out. */
export interface GuestDatagram {
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** Where the host sends it: not always where the guest did. */
  readonly outside: Endpoint;
  /** Borrowed. */
  readonly data: Uint8Array;
  readonly ttl: number;
}

/** A guest's address and port, and the socket that stands for it outside. */
export interface UdpFlow {
  readonly number: number;
  readonly inside: Endpoint;
  /** The only peer; null where anybody may answer. */
  readonly peer: Endpoint | null;
  readonly socket: HostDatagrams;
  /** Virtual nanoseconds. */
  lastUse: number;
  /** Nanoseconds. */
  idle: number;
  /** Where the guest thinks that it sends to, for answers in the name of that. */
  intercepted: Endpoint;
  /** The length of the last datagram, for the quote of an error. */
  lastLength: number;
}

/** What a guest's datagrams are answered with: as from their true sender, or as from whom the guest wrote to. */
export type ReplySource = "true sender" | "intercepted";

/** The UDP NAT of one guest, `hostnet_udp.ml`. In the order of last use, so that the oldest can be found. */
export class UdpFlows {
  private readonly buckets = new Map<number, UdpFlow[]>();
  /** From the longest unused on: a Set remembers the order in which it was filled. */
  private readonly byUse = new Set<UdpFlow>();
  private readonly timer: Timer;
  private readonly born: number;

  constructor(
    private readonly guest: Guest,
    private readonly replies: ReplySource,
  ) {
    const { scheduler } = guest.translator.fabric;
    this.timer = scheduler.timer(() => this.expire(), true);
    this.born = scheduler.now;
  }

  get all(): Iterable<UdpFlow> {
    return this.byUse;
  }

  get size(): number {
    return this.byUse.size;
  }

  private get rules() {
    return this.guest.translator.behaviour.udp;
  }

  /** Takes ownership of the packet that brought the datagram. */
  send(packet: Packet, datagram: GuestDatagram): void {
    const { translator } = this.guest;
    const { fabric, place } = translator;
    const flow = this.find(packet.id, datagram) ?? this.open(packet, datagram);
    if (flow === null) return;
    flow.intercepted = datagram.to;
    flow.lastLength = datagram.data.length;
    const { outside, data, ttl } = datagram;
    const refused = flow.socket.send(data, outside, ttl, packet.id);
    if (fabric.trace !== null) {
      const result = refused === null ? 0 : fabric.names.text(refused);
      fabric.trace.step(STEP.call, packet.id, place, SENDTO, outside.address, outside.port, data.length, result);
    }
    if (refused === null) {
      this.touch(flow);
      fabric.deliver(packet, place, "the host's socket");
      return;
    }
    const answer = answerTo(this.rules.refused, refused);
    if (typeof answer === "object") this.guest.output.errorAbout(packet, datagram.to.address, unreachable(answer.code));
    fabric.drop(packet, place, "HOST_REFUSED");
  }

  private key(inside: Endpoint, peer: Endpoint | null): number {
    const own = Math.imul(inside.address, 0x9e3779b1) ^ (inside.port << 7);
    return peer === null ? own : own ^ Math.imul(peer.address, 0x85ebca6b) ^ Math.imul(peer.port, 0xc2b2ae35);
  }

  private find(packet: number, { from, outside }: GuestDatagram): UdpFlow | null {
    const peer = this.rules.mapping === "endpoint-independent" ? null : outside;
    const bucket = this.buckets.get(this.key(from, peer));
    if (bucket === undefined) return null;
    for (const flow of bucket)
      if (same(flow.inside, from) && (peer === null || same(flow.peer!, peer))) {
        this.tell(packet, CHANGE.continues, flow);
        return flow;
      }
    return null;
  }

  private open(packet: Packet, { from, to, outside }: GuestDatagram): UdpFlow | null {
    const { translator } = this.guest;
    if (to.address === -1) {
      translator.fabric.drop(packet, translator.place, "GUEST_BROADCAST");
      return null;
    }
    this.evict();
    const peer = this.rules.mapping === "endpoint-independent" ? null : outside;
    let flow: UdpFlow | null = null;
    const socket = translator.host.datagrams(null, peer, {
      received: (data, sender, cause) => this.received(flow!, data, sender, cause),
      error: (failure, target, cause) => this.failed(flow!, failure, target, cause),
    });
    if (typeof socket === "string") {
      translator.fabric.drop(packet, translator.place, "HOST_REFUSED");
      return null;
    }
    flow = {
      number: translator.nextFlow(),
      inside: from,
      peer,
      socket,
      lastUse: translator.now,
      idle: this.rules.idle * SECOND,
      intercepted: to,
      lastLength: 0,
    };
    const key = this.key(from, peer);
    const bucket = this.buckets.get(key);
    if (bucket === undefined) this.buckets.set(key, [flow]);
    else bucket.push(flow);
    this.byUse.add(flow);
    this.arm();
    this.tell(packet.id, CHANGE.begins, flow);
    return flow;
  }

  private tell(packet: number, change: number, { number, socket }: UdpFlow): void {
    const { fabric, place } = this.guest.translator;
    if (fabric.trace === null) return;
    const { address, port } = socket.local;
    fabric.trace.step(STEP.flow, packet, place, change, ipv4.PROTOCOL_UDP, number, address, port);
  }

  private touch(flow: UdpFlow): void {
    flow.lastUse = this.guest.translator.now;
    this.byUse.delete(flow);
    this.byUse.add(flow);
  }

  /** At the limit the longest unused quarter goes at once. */
  private evict(): void {
    const { most, keep } = this.rules;
    if (most === 0 || this.byUse.size < most) return;
    for (const flow of this.byUse) {
      if (this.byUse.size <= keep) break;
      this.close(flow, CHANGE.evicted);
    }
  }

  private close(flow: UdpFlow, change: number): void {
    const key = this.key(flow.inside, flow.peer);
    const bucket = this.buckets.get(key)!;
    if (bucket.length === 1) this.buckets.delete(key);
    else bucket.splice(bucket.indexOf(flow), 1);
    this.byUse.delete(flow);
    flow.socket.close();
    this.tell(0, change, flow);
  }

  /** At the next sweep, or when the first flow has been idle long enough. */
  private arm(): void {
    if (this.timer.armed || this.byUse.size === 0) return;
    const { sweep } = this.rules;
    const { now } = this.guest.translator;
    if (sweep > 0) {
      const period = sweep * SECOND;
      this.timer.arm(this.born + (Math.floor((now - this.born) / period) + 1) * period);
      return;
    }
    let next = Number.POSITIVE_INFINITY;
    for (const { lastUse, idle } of this.byUse) next = Math.min(next, lastUse + idle);
    this.timer.arm(Math.max(now, next));
  }

  private expire(): void {
    const { now } = this.guest.translator;
    const exact = this.rules.sweep === 0;
    for (const flow of this.byUse) {
      const unused = now - flow.lastUse;
      if (exact ? unused >= flow.idle : unused > flow.idle) this.close(flow, CHANGE.expires);
    }
    this.arm();
  }

  private received(flow: UdpFlow, data: Uint8Array, sender: Endpoint, cause: number): void {
    if (!this.byUse.has(flow)) return;
    if (flow.intercepted.port === DNS) flow.idle = this.rules.idleDns * SECOND;
    this.touch(flow);
    this.rearm();
    const { translator, output } = this.guest;
    const from =
      this.replies === "intercepted"
        ? flow.intercepted
        : { address: translator.seenFromInside(sender.address), port: sender.port };
    output.udp(from, flow.inside, data, cause);
  }

  /** A shorter life may have become due before the timer. */
  private rearm(): void {
    if (this.rules.sweep > 0 || this.rules.idleDns === this.rules.idle) return;
    this.timer.cancel();
    this.arm();
  }

  /** An ICMP error about a datagram of this flow, with its quote as the guest knows it. */
  private failed(flow: UdpFlow, { icmp: error }: HostFailure, to: Endpoint, cause: number): void {
    const { translator, output } = this.guest;
    if (error === null || !this.byUse.has(flow) || !translator.behaviour.relays.udp.includes(error.type)) return;
    const quote = new Uint8Array(ipv4.IPV4_HEADER + udp.UDP_HEADER);
    const view = new DataView(quote.buffer);
    const target = { address: translator.seenFromInside(to.address), port: to.port };
    const length = udp.UDP_HEADER + flow.lastLength;
    ipv4.write(view, 0, {
      source: flow.inside.address,
      destination: target.address,
      protocol: ipv4.PROTOCOL_UDP,
      length: ipv4.IPV4_HEADER + length,
      ttl: 1,
    });
    view.setUint16(ipv4.IPV4_HEADER, flow.inside.port);
    view.setUint16(ipv4.IPV4_HEADER + 2, target.port);
    view.setUint16(ipv4.IPV4_HEADER + 4, length);
    const { from, type, code, information } = error;
    output.error(translator.seenFromInside(from), flow.inside.address, { type, code, information }, quote, cause);
  }
}

const same = (a: Endpoint, b: Endpoint): boolean => a.port === b.port && a.address === b.address;

/** Destination unreachable of this code. */
export const unreachable = (code: number) => ({ type: icmp.UNREACHABLE, code, information: 0 });
