import { FRAME, NETWORK, Packet } from "./packet.ts";

/** Fits an MTU of 1500 with room; what is longer comes from the second shelf. */
const SMALL = 2048 - NETWORK;
const LARGE = 65_536 + 256;
/** The longest frame, in bytes. */
export const FRAME_MAX = LARGE - FRAME;

/**
 * Buffers that are taken and released. Whoever receives a packet owns it: passing it on gives it away, and the last
 * owner releases it. Every field of a packet is set here.
 */
export class Pool {
  private readonly small: Packet[] = [];
  private readonly large: Packet[] = [];
  private lastId = 0;

  /** The id of the newest packet. */
  get lastPacket(): number {
    return this.lastId;
  }
  /** Packets taken and not yet released. */
  held = 0;

  /** A packet whose frame can grow to `length` bytes. @throws {RangeError} above FRAME_MAX bytes. */
  take(length: number): Packet {
    const fits = length + FRAME <= SMALL;
    if (length > FRAME_MAX) throw new RangeError(`a frame of ${length} bytes is too long`);
    const packet = (fits ? this.small.pop() : this.large.pop()) ?? new Packet(fits ? SMALL : LARGE);
    packet.end = FRAME + length;
    packet.id = ++this.lastId;
    packet.parent = 0;
    packet.type = "host";
    packet.arrival = 0;
    packet.device = 0;
    packet.vlan = 0;
    packet.mark = 0;
    packet.priority = 0;
    packet.connection = null;
    packet.connectionState = "NONE";
    packet.attached = false;
    packet.route = null;
    packet.gateway = 0;
    packet.options = null;
    packet.redirect = false;
    packet.fragmentMax = 0;
    packet.fragmentDf = false;
    packet.fragments = null;
    packet.ignoreDf = false;
    packet.segmentSize = 0;
    packet.shown = null;
    packet.bridgeIn = 0;
    packet.bridgeOut = 0;
    packet.bridgePrerouted = false;
    packet.bridgeDnat = false;
    packet.bridgeSourceHigh = 0;
    packet.bridgeSourceLow = 0;
    packet.checksumValid = false;
    packet.partialChecksum = false;
    packet.socket = null;
    packet.live = true;
    this.held++;
    return packet;
  }

  /** `skb_clone()`: the same bytes and fields under an id of its own. Borrows `from`. */
  clone(from: Packet): Packet {
    const packet = this.take(from.length);
    packet.bytes.set(from.bytes.subarray(0, from.end));
    packet.parent = from.id;
    packet.type = from.type;
    packet.arrival = from.arrival;
    packet.device = from.device;
    packet.vlan = from.vlan;
    packet.mark = from.mark;
    packet.priority = from.priority;
    packet.connection = from.connection;
    packet.connectionState = from.connectionState;
    packet.attached = from.attached;
    packet.route = from.route;
    packet.gateway = from.gateway;
    packet.options = from.options;
    packet.redirect = from.redirect;
    packet.fragmentMax = from.fragmentMax;
    packet.fragmentDf = from.fragmentDf;
    packet.ignoreDf = from.ignoreDf;
    packet.segmentSize = from.segmentSize;
    packet.shown = from.shown;
    packet.bridgeIn = from.bridgeIn;
    packet.bridgeOut = from.bridgeOut;
    packet.bridgePrerouted = from.bridgePrerouted;
    packet.bridgeDnat = from.bridgeDnat;
    packet.bridgeSourceHigh = from.bridgeSourceHigh;
    packet.bridgeSourceLow = from.bridgeSourceLow;
    packet.checksumValid = from.checksumValid;
    packet.partialChecksum = from.partialChecksum;
    return packet;
  }

  /** Two packets swap their bytes; what else is known of them stays. */
  exchange(a: Packet, b: Packet): void {
    const { bytes, view, capacity, end } = a;
    a.bytes = b.bytes;
    a.view = b.view;
    a.capacity = b.capacity;
    a.end = b.end;
    b.bytes = bytes;
    b.view = view;
    b.capacity = capacity;
    b.end = end;
  }

  /** Takes ownership. @throws {Error} when the packet is already back. */
  release(packet: Packet): void {
    if (!packet.live) throw new Error(`packet ${packet.id} released twice`);
    packet.live = false;
    packet.connection = null;
    packet.route = null;
    packet.options = null;
    packet.socket = null;
    this.held--;
    (packet.capacity === SMALL ? this.small : this.large).push(packet);
  }
}
