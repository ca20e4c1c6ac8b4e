import { FRAME, type Fragment, NETWORK, type Packet } from "../packet/packet.ts";
import type { Timer } from "../sim/scheduler.ts";
import { STEP } from "../trace/step.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { InDevice } from "./in-device.ts";
import type { Namespace } from "./namespace.ts";

/** Who gathers: fragments for conntrack and for local delivery do not mix (`enum ip_defrag_users`). */
export type DefragUser = "conntrack in" | "conntrack out" | "bridge" | "local";

const NOT_ECT = 1;
const CE = 8;

interface Piece {
  readonly packet: Packet;
  readonly offset: number;
  readonly length: number;
  readonly dontFragment: boolean;
}

/** The fragments of one datagram (`struct ipq`). */
class Queue {
  readonly pieces: Piece[] = [];
  /** Payload length, known once the last fragment is here. */
  total = -1;
  /** A bit for each ECN field seen: not-ECT, ECT(1), ECT(0), CE. */
  ecn = 0;
  /** How many fragments its source had sent when the last one of this datagram came. */
  sent = 0;
  device: InDevice | null = null;

  constructor(
    readonly source: number,
    readonly destination: number,
    readonly identification: number,
    readonly protocol: number,
    readonly user: DefragUser,
    readonly timer: Timer,
  ) {}
}

/** `ip_defrag()`: gathers fragments until a datagram is whole, or `ipfrag_time` is over. */
export class Reassembly {
  private readonly queues = new Set<Queue>();
  /** Fragments that each source has sent (`inet_peer.rid`). */
  private readonly sent = new Map<number, number>();

  constructor(private readonly net: Namespace) {}

  /**
   * True when `packet` completed its datagram and now holds all of it. False takes ownership: it waits for the rest, or
   * was dropped.
   */
  add(packet: Packet, device: InDevice | null, user: DefragUser): boolean {
    const { view } = packet;
    const queue = this.find(packet, user);
    if (device !== null) queue.device = device;
    const word = ipv4.fragmentWord(view, NETWORK);
    const offset = ipv4.fragmentOffset(view, NETWORK);
    const more = (word & ipv4.MORE_FRAGMENTS) !== 0;
    let length = packet.end - NETWORK - ipv4.headerLength(view, NETWORK);
    if (more) length &= ~7;
    const end = offset + length;
    if (this.strayed(queue)) this.restart(queue);
    if (!this.fits(queue, offset, end, more) || length === 0) {
      this.discard(queue, packet);
      return false;
    }
    const clash = queue.pieces.find((piece) => piece.offset < end && offset < piece.offset + piece.length);
    if (clash !== undefined) {
      if (clash.offset <= offset && end <= clash.offset + clash.length)
        this.net.fabric.drop(packet, this.net.place, "DUP_FRAG");
      else this.discard(queue, packet);
      return false;
    }
    if (!more) queue.total = end;
    queue.ecn |= 1 << (ipv4.tos(view, NETWORK) & 3);
    const slot = queue.pieces.findIndex((piece) => piece.offset > offset);
    const piece = { packet, offset, length, dontFragment: (word & ipv4.DONT_FRAGMENT) !== 0 };
    queue.pieces.splice(slot < 0 ? queue.pieces.length : slot, 0, piece);
    const have = queue.pieces.reduce((sum, each) => sum + each.length, 0);
    return queue.total >= 0 && have === queue.total && this.join(queue, packet);
  }

  /** `ip_frag_too_far()`: too many other fragments from the same source came in between, so the id may be a new one's. */
  private strayed(queue: Queue): boolean {
    const before = queue.sent;
    const now = (this.sent.get(queue.source) ?? 0) + 1;
    this.sent.set(queue.source, now);
    queue.sent = now;
    const limit = this.net.sysctls.get("net.ipv4.ipfrag_max_dist");
    return limit > 0 && queue.pieces.length > 0 && now - before > limit;
  }

  /** `ip_frag_reinit()`: what was gathered belongs to an older datagram. */
  private restart(queue: Queue): void {
    for (const piece of queue.pieces.splice(0)) this.net.fabric.drop(piece.packet, this.net.place, "FRAG_TOO_FAR");
    queue.total = -1;
    queue.ecn = 0;
    queue.timer.armIn(this.net.sysctls.get("net.ipv4.ipfrag_time") * 1e9);
  }

  private find(packet: Packet, user: DefragUser): Queue {
    const { view } = packet;
    const source = ipv4.source(view, NETWORK);
    const destination = ipv4.destination(view, NETWORK);
    const identification = ipv4.identification(view, NETWORK);
    const protocol = ipv4.protocol(view, NETWORK);
    for (const queue of this.queues)
      if (
        queue.identification === identification &&
        queue.source === source &&
        queue.destination === destination &&
        queue.protocol === protocol &&
        queue.user === user
      )
        return queue;
    const timer = this.net.fabric.scheduler.timer(() => this.expire(queue));
    const queue = new Queue(source, destination, identification, protocol, user, timer);
    timer.armIn(this.net.sysctls.get("net.ipv4.ipfrag_time") * 1e9);
    this.queues.add(queue);
    return queue;
  }

  /** False when this fragment contradicts what the last one said. */
  private fits(queue: Queue, offset: number, end: number, more: boolean): boolean {
    const reach = queue.pieces.reduce((max, piece) => Math.max(max, piece.offset + piece.length), 0);
    if (!more) return end >= reach && (queue.total < 0 || queue.total === end);
    return queue.total < 0 || end <= queue.total || offset === end;
  }

  private discard(queue: Queue, packet: Packet): void {
    this.close(queue);
    for (const piece of queue.pieces) this.net.fabric.drop(piece.packet, this.net.place, "DUP_FRAG");
    this.net.fabric.drop(packet, this.net.place, "DUP_FRAG");
  }

  private close(queue: Queue): void {
    queue.timer.cancel();
    this.queues.delete(queue);
  }

  /** `ip_frag_reasm()`: the fragment that came last becomes the datagram. */
  private join(queue: Queue, last: Packet): boolean {
    this.close(queue);
    const { fabric } = this.net;
    const first = queue.pieces[0]!.packet;
    const header = ipv4.headerLength(first.view, NETWORK);
    const length = header + queue.total;
    const mixed = (queue.ecn & NOT_ECT) !== 0 && queue.ecn !== NOT_ECT;
    if (length > 65_535 || mixed) {
      for (const piece of queue.pieces)
        fabric.drop(piece.packet, this.net.place, mixed ? "NOT_SPECIFIED" : "PKT_TOO_BIG");
      return false;
    }
    // skb_morph(): what is known of the first fragment holds for the datagram.
    last.mark = first.mark;
    last.priority = first.priority;
    last.type = first.type;
    last.arrival = first.arrival;
    last.bridgeIn = first.bridgeIn;
    last.options = first.options;
    last.checksumValid = first.checksumValid;
    const whole = fabric.pool.take(NETWORK - FRAME + length);
    whole.bytes.set(first.bytes.subarray(0, NETWORK + header), 0);
    const fragments: Fragment[] = [];
    let largest = 0;
    let largestKept = 0;
    for (const { packet, offset, length: size, dontFragment } of queue.pieces) {
      const from = NETWORK + ipv4.headerLength(packet.view, NETWORK);
      whole.bytes.set(packet.bytes.subarray(from, from + size), NETWORK + header + offset);
      fragments.push({ length: size, room: from - NETWORK, shown: offset === 0 ? null : packet.shown });
      const datagram = from - NETWORK + size;
      largest = Math.max(largest, datagram);
      if (dontFragment) largestKept = Math.max(largestKept, datagram);
      if (packet !== last) fabric.consume(packet, this.net.place, "reassembly");
    }
    fabric.pool.exchange(last, whole);
    fabric.pool.release(whole);
    last.fragmentMax = largest;
    last.fragmentDf = largestKept === largest;
    last.fragments = fragments;
    last.ignoreDf = queue.user !== "local";
    last.shown = null;
    // RFC 3168, 5.3: one fragment marked CE marks the datagram.
    if ((queue.ecn & CE) !== 0) last.view.setUint8(NETWORK + 1, last.view.getUint8(NETWORK + 1) | 3);
    last.view.setUint16(NETWORK + 2, length);
    last.view.setUint16(NETWORK + 6, largestKept === largest ? ipv4.DONT_FRAGMENT : 0);
    ipv4.setChecksum(last.view, NETWORK);
    if (fabric.trace !== null) {
      fabric.trace.step(STEP.reassemble, last.id, this.net.place, length);
      fabric.trace.ipv4(last.id, this.net.place, last.view, NETWORK, last.end);
    }
    return true;
  }

  /** `ip_expire()`: time exceeded goes out only when the first fragment is here and the datagram was for this host. */
  private expire(queue: Queue): void {
    this.queues.delete(queue);
    const first = queue.pieces[0];
    if (first !== undefined && first.offset === 0 && queue.device !== null)
      this.net.fragmentTimeout(first.packet, queue.device, queue.user);
    for (const piece of queue.pieces) this.net.fabric.drop(piece.packet, this.net.place, "FRAG_REASM_TIMEOUT");
  }
}
