import { FRAME, type Packet, type PacketType, VLAN_PRESENT } from "../packet/packet.ts";
import { isLaterFragment, show } from "../packet/shown.ts";
import { STEP, WORDS } from "../trace/step.ts";
import type { Mac } from "../wire/address.ts";
import * as ethernet from "../wire/ethernet.ts";
import type { Fabric } from "./fabric.ts";
import { beginSegments, endSegments, makeSegment } from "./segmentation.ts";

/** A sink of packets; the one plug between devices and what stands on them. Takes ownership. */
export interface Receiver {
  receive(packet: Packet): void;
}

/** As `ip -s link` shows them. */
export interface DeviceCounters {
  rxPackets: number;
  rxBytes: number;
  rxDropped: number;
  txPackets: number;
  txBytes: number;
  txDropped: number;
}

export interface DeviceOptions {
  readonly name: string;
  /** The namespace's name, for the trace. */
  readonly namespace: string;
  readonly mac: Mac;
  /** Bytes of network payload. */
  readonly mtu?: number;
  /** The next free one of its namespace, without. */
  readonly ifindex?: number;
  /** `txqueuelen`: 1000 packets, without. */
  readonly queueLength?: number;
}

/** Hears of a device that goes up or down (`NETDEV_UP`, `NETDEV_DOWN`). */
export interface DeviceWatcher {
  deviceChanged(device: Device): void;
}

const ETHERNET = ethernet.ETHERNET_HEADER;
const PACKET_TYPES: readonly PacketType[] = WORDS.packetType;

/** One network interface, Linux's net_device. */
export abstract class Device {
  /** Unique in the world. */
  readonly index: number;
  /** Unique in its namespace, as `ip link` prints it; 0 until a namespace has taken the device. */
  ifindex: number;
  /** `txqueuelen`, packets. Only printed: devices here send at once. */
  readonly queueLength: number;
  readonly name: string;
  readonly namespace: string;
  /** This device in the trace's names. */
  readonly place: number;
  macHigh: number;
  macLow: number;
  mtu: number;
  /** IFF_UP. */
  up = false;
  /** It was up once, which gave it a queueing discipline, `dev_activate()`. */
  activated = false;
  /** The namespace that it is in; null for none. */
  host: Receiver | null = null;
  /** What takes the frames that arrive here: the namespace, or the bridge this device is a port of (`rx_handler`). */
  receiver: Receiver | null = null;
  readonly watchers: DeviceWatcher[] = [];
  readonly counters: DeviceCounters = {
    rxPackets: 0,
    rxBytes: 0,
    rxDropped: 0,
    txPackets: 0,
    txBytes: 0,
    txDropped: 0,
  };

  constructor(
    readonly fabric: Fabric,
    options: DeviceOptions,
  ) {
    this.index = fabric.nextDeviceIndex();
    this.name = options.name;
    this.namespace = options.namespace;
    this.macHigh = options.mac.high;
    this.macLow = options.mac.low;
    this.mtu = options.mtu ?? 1500;
    this.ifindex = options.ifindex ?? 0;
    this.queueLength = options.queueLength ?? 1000;
    this.place = fabric.names.add({ kind: "device", namespace: options.namespace, device: options.name });
  }

  /** It asks for the MAC addresses of neighbours: no IFF_NOARP. */
  get arps(): boolean {
    return true;
  }

  /** The other end of its cable is up. */
  get carrier(): boolean {
    return true;
  }

  setUp(up: boolean): void {
    if (this.up === up) return;
    this.up = up;
    this.activated ||= up;
    for (const watcher of this.watchers) watcher.deviceChanged(this);
  }

  /**
   * `packet_snd()`: a frame from outside the world leaves by this device; to make it arrive at X, use X's peer. The bytes
   * are copied. Null, or why the kernel would not take it.
   */
  inject(frame: Uint8Array): "EINVAL" | "EMSGSIZE" | "ENETDOWN" | null {
    if (!this.up) return "ENETDOWN";
    if (frame.length < ETHERNET) return "EINVAL";
    // packet_extra_vlan_len_allowed(): a tag comes on top.
    const isTagged = frame[12] === 0x81 && frame[13] === 0;
    if (frame.length > this.mtu + ETHERNET + (isTagged ? ethernet.VLAN_TAG : 0)) return "EMSGSIZE";
    this.send(this.fabric.inject(frame, this.place));
    return null;
  }

  /**
   * `dev_queue_xmit()`: sends a frame whose Ethernet header is complete. False when the device would not have it
   * (NET_XMIT_DROP). Takes ownership.
   */
  send(packet: Packet): boolean {
    // Without a carrier the queue is noop_qdisc: `noop_enqueue()`.
    if (!this.up || !this.carrier) {
      this.counters.txDropped++;
      this.fabric.drop(packet, this.place, "QDISC_DROP");
      return true;
    }
    if (packet.segmentSize !== 0) {
      this.sendSegments(packet);
      return true;
    }
    packet.device = this.index;
    const trace = this.fabric.trace;
    if (trace !== null)
      trace.step(
        STEP.tx,
        packet.id,
        this.place,
        packet.length,
        ethernet.destinationHigh(packet.view, FRAME),
        ethernet.destinationLow(packet.view, FRAME),
        ethernet.sourceHigh(packet.view, FRAME),
        ethernet.sourceLow(packet.view, FRAME),
      );
    if (this.fabric.capture !== null) this.tap(packet, "out");
    const { scheduler } = this.fabric;
    scheduler.disable();
    const taken = this.transmit(packet);
    scheduler.enable();
    return taken;
  }

  /** `ndo_start_xmit()`: what this kind of device does with a frame; false when it refuses it. Takes ownership. */
  protected abstract transmit(packet: Packet): boolean;

  /** `netif_receive_skb()`: a frame has arrived here. Takes ownership. */
  receive(packet: Packet): void {
    if (!this.up) {
      this.counters.rxDropped++;
      this.fabric.drop(packet, this.place, "DEV_READY");
      return;
    }
    packet.device = this.index;
    packet.arrival = this.index;
    if (ethernet.isVlan(ethernet.etherType(packet.view, FRAME)) && !this.untag(packet)) return;
    const counters = this.counters;
    counters.rxPackets++;
    counters.rxBytes += this.countedBytes(packet, "rx");
    const trace = this.fabric.trace;
    if (trace !== null) trace.step(STEP.rx, packet.id, this.place, packet.length, PACKET_TYPES.indexOf(packet.type));
    if (this.fabric.capture !== null) this.tap(packet, "in");
    const receiver = this.receiver;
    if (receiver === null) {
      counters.rxDropped++;
      this.fabric.drop(packet, this.place, "UNHANDLED_PROTO");
    } else receiver.receive(packet);
  }

  /** `skb_vlan_untag()`: the tag leaves the frame and goes along with it. False takes ownership. */
  private untag(packet: Packet): boolean {
    if (packet.length < ETHERNET + ethernet.VLAN_TAG + 2) {
      this.fabric.drop(packet, this.place, "NOT_SPECIFIED");
      return false;
    }
    const type = FRAME + ETHERNET - 2;
    packet.vlan = packet.view.getUint16(type + 2) | VLAN_PRESENT;
    packet.bytes.copyWithin(type, type + ethernet.VLAN_TAG, packet.end);
    packet.end -= ethernet.VLAN_TAG;
    return true;
  }

  /** `validate_xmit_skb()`: no device here has TSO, as after `ethtool -K DEVICE tso off gso off`. Takes ownership. */
  private sendSegments(packet: Packet): void {
    const { fabric, place } = this;
    fabric.scheduler.disable();
    const count = beginSegments(packet, fabric, place);
    for (let i = 0; i < count; i++) this.send(makeSegment(packet, i, fabric, place));
    endSegments(packet, fabric, place);
    fabric.scheduler.enable();
  }

  /** `eth_type_trans()`: whom the destination address means. */
  classify(packet: Packet): void {
    const high = ethernet.destinationHigh(packet.view, FRAME);
    const low = ethernet.destinationLow(packet.view, FRAME);
    if (high === this.macHigh && low === this.macLow) packet.type = "host";
    else if (!ethernet.isGroup(high)) packet.type = "otherhost";
    else packet.type = ethernet.isBroadcast(high, low) ? "broadcast" : "multicast";
  }

  protected countSent(packet: Packet): void {
    this.counters.txPackets++;
    this.counters.txBytes += this.countedBytes(packet, "tx");
  }

  /** What the byte counters count of a frame; some devices leave the Ethernet header out. */
  protected countedBytes(packet: Packet, _direction: "rx" | "tx"): number {
    return packet.length;
  }

  /** Frames longer than the MTU plus the Ethernet header and a VLAN tag are not passed on, `is_skb_forwardable()`. */
  accepts(packet: Packet): boolean {
    return this.up && packet.length <= this.mtu + ETHERNET + ethernet.VLAN_TAG;
  }

  private tap(packet: Packet, direction: "in" | "out"): void {
    const capture = this.fabric.capture!;
    const bytes = packet.bytes.slice(FRAME, packet.end);
    const time = this.fabric.scheduler.now;
    capture.add({ time, packet: packet.id, place: this.place, direction, type: packet.type, bytes });
    if (capture.shares && isLaterFragment(packet)) show(packet, bytes);
  }
}
