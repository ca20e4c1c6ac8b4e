import { NETWORK, type Packet } from "../packet/packet.ts";
import type { Timer } from "../sim/scheduler.ts";
import { STEP, wordNumber } from "../trace/step.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { Guest } from "./guest.ts";
import type { HostFailure, HostPing } from "./host-sockets.ts";

const BEGINS = wordNumber("flowChange", "begins");
const CONTINUES = wordNumber("flowChange", "continues");
const EXPIRES = wordNumber("flowChange", "expires");
const SENDTO = wordNumber("call", "sendto");
const SECOND = 1e9;
/** There are no more identifiers than this. */
const MOST = 65_536;

/** A guest's address and echo identifier, and the host's socket that asks in its place. */
export interface IcmpFlow {
  readonly number: number;
  readonly address: number;
  readonly identifier: number;
  readonly socket: HostPing;
  /** Virtual nanoseconds. */
  lastUse: number;
  /** Whom the guest asked last. */
  asked: number;
}

/** The ICMP NAT of one guest, `hostnet_icmp.ml`: each identifier gets another outside. */
export class IcmpFlows {
  private readonly flows = new Map<number, IcmpFlow[]>();
  private readonly timer: Timer;
  size = 0;

  constructor(private readonly guest: Guest) {
    this.timer = guest.translator.fabric.scheduler.timer(() => this.expire(), true);
  }

  *all(): Iterable<IcmpFlow> {
    for (const list of this.flows.values()) yield* list;
  }

  /** An echo request whose ICMP header stands at `at`. Takes ownership. */
  send(packet: Packet, at: number): void {
    const { translator } = this.guest;
    const { fabric, place, behaviour } = translator;
    const { view } = packet;
    const flow = this.find(packet, at) ?? this.open(packet, at);
    if (flow === null) return;
    const to = ipv4.destination(view, NETWORK);
    flow.lastUse = translator.now;
    flow.asked = to;
    const ttl = behaviour.icmp.carriesTtl ? ipv4.ttl(view, NETWORK) : 0;
    const data = packet.bytes.subarray(at + icmp.ICMP_HEADER, packet.end);
    const refused = flow.socket.send(data, to, icmp.sequence(view, at), ttl, packet.id);
    if (fabric.trace !== null) {
      const result = refused === null ? 0 : fabric.names.text(refused);
      fabric.trace.step(STEP.call, packet.id, place, SENDTO, to, 0, packet.end - at, result);
    }
    if (refused === null) fabric.deliver(packet, place, "the host's socket");
    else {
      const answer = translator.answerToRefusal(refused);
      if (answer !== null) this.guest.output.errorAbout(packet, to, answer);
      fabric.drop(packet, place, "HOST_REFUSED");
    }
  }

  private find({ id, view }: Packet, at: number): IcmpFlow | null {
    const address = ipv4.source(view, NETWORK);
    for (const flow of this.flows.get(icmp.identifier(view, at)) ?? [])
      if (flow.address === address) {
        this.tell(id, CONTINUES, flow);
        return flow;
      }
    return null;
  }

  private open(packet: Packet, at: number): IcmpFlow | null {
    const { translator } = this.guest;
    let flow: IcmpFlow | null = null;
    const socket =
      this.size >= MOST
        ? null
        : translator.host.ping({
            echo: (from, sequence, data, cause) => this.echoed(flow!, from, sequence, data, cause),
            error: (failure, sequence, cause) => this.failed(flow!, failure, sequence, cause),
          });
    if (socket === null) {
      translator.fabric.drop(packet, translator.place, this.size >= MOST ? "FLOWS_FULL" : "ECHO_UNSUPPORTED");
      return null;
    }
    const identifier = icmp.identifier(packet.view, at);
    const address = ipv4.source(packet.view, NETWORK);
    flow = { number: translator.nextFlow(), address, identifier, socket, lastUse: translator.now, asked: 0 };
    const list = this.flows.get(identifier);
    if (list === undefined) this.flows.set(identifier, [flow]);
    else list.push(flow);
    this.size++;
    if (!this.timer.armed) this.timer.armIn(translator.behaviour.icmp.idle * SECOND);
    this.tell(packet.id, BEGINS, flow);
    return flow;
  }

  private tell(packet: number, change: number, { number, socket }: IcmpFlow): void {
    const { fabric, place } = this.guest.translator;
    fabric.trace?.step(STEP.flow, packet, place, change, ipv4.PROTOCOL_ICMP, number, 0, socket.identifier);
  }

  private echoed(flow: IcmpFlow, from: number, sequence: number, data: Uint8Array, cause: number): void {
    const { output, translator } = this.guest;
    const { identifier, address } = flow;
    output.echoReply(translator.seenFromInside(from), address, { identifier, sequence, data }, cause);
  }

  /** An ICMP error about a request of this flow, quoting the request as the guest knows it. */
  private failed(flow: IcmpFlow, { icmp: error }: HostFailure, sequence: number, cause: number): void {
    const { output, translator } = this.guest;
    if (error === null || !translator.behaviour.relays.icmp.includes(error.type)) return;
    const quote = new Uint8Array(ipv4.IPV4_HEADER + icmp.ICMP_HEADER);
    const view = new DataView(quote.buffer);
    ipv4.write(view, 0, {
      source: flow.address,
      destination: flow.asked,
      protocol: ipv4.PROTOCOL_ICMP,
      length: quote.length,
      ttl: 1,
    });
    icmp.write(view, ipv4.IPV4_HEADER, icmp.ECHO_REQUEST, 0, (flow.identifier << 16) | sequence);
    const { type, code, information } = error;
    output.error(translator.seenFromInside(error.from), flow.address, { type, code, information }, quote, cause);
  }

  /** Every so often as a flow may be idle, as vpnkit's background collection does. */
  private expire(): void {
    const { now, behaviour } = this.guest.translator;
    const idle = behaviour.icmp.idle * SECOND;
    for (const [identifier, list] of this.flows) {
      for (const flow of [...list])
        if (now - flow.lastUse >= idle) {
          flow.socket.close();
          list.splice(list.indexOf(flow), 1);
          this.size--;
          this.tell(0, EXPIRES, flow);
        }
      if (list.length === 0) this.flows.delete(identifier);
    }
    if (this.size > 0) this.timer.armIn(idle);
  }
}
