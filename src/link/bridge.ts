import { type ConnectionState, FRAME, type Packet } from "../packet/packet.ts";
import type { DropReason } from "../trace/reason.ts";
import { STEP, WORDS, wordNumber } from "../trace/step.ts";
import * as ethernet from "../wire/ethernet.ts";
import { Device, type DeviceOptions, type DeviceWatcher, type Receiver } from "./device.ts";
import type { Fabric } from "./fabric.ts";
import { Fdb, FdbEntry } from "./fdb.ts";

/**
 * How a namespace lets its IP rules see bridged frames (`br_netfilter`). Each method answers whether the frame goes on;
 * when it does not, the filter has taken the packet.
 */
export interface BridgeFilter {
  prerouting(packet: Packet, port: BridgePort): boolean;
  forward(packet: Packet, to: BridgePort): boolean;
  postrouting(packet: Packet, to: BridgePort): boolean;
  /** The frame goes up to the host. */
  input(packet: Packet): boolean;
  /** A frame sent by the bridge device itself: false when it was a bridged one waiting for its neighbour. */
  transmit(packet: Packet, bridge: Bridge): boolean;
}

export interface BridgePortOptions {
  readonly hairpin?: boolean;
  readonly isolated?: boolean;
  readonly learning?: boolean;
  readonly flood?: boolean;
  readonly mcastFlood?: boolean;
  readonly bcastFlood?: boolean;
}

const INGRESS = {
  learned: wordNumber("learned", "learned"),
  moved: wordNumber("learned", "moved"),
  forward: wordNumber("bridgeDecision", "forward"),
  flood: wordNumber("bridgeDecision", "flood"),
  up: wordNumber("bridgeDecision", "up"),
};
const HOOK = {
  prerouting: wordNumber("hook", "prerouting"),
  input: wordNumber("hook", "input"),
  forward: wordNumber("hook", "forward"),
  output: wordNumber("hook", "output"),
  postrouting: wordNumber("hook", "postrouting"),
};
const FAMILY_BRIDGE = 1 << 4;
const STATES: readonly ConnectionState[] = WORDS.connectionState;

/** A device that belongs to a bridge: the bridge takes every frame that arrives on it. */
export class BridgePort implements Receiver {
  readonly hairpin: boolean;
  readonly isolated: boolean;
  readonly learning: boolean;
  readonly flood: boolean;
  readonly mcastFlood: boolean;
  readonly bcastFlood: boolean;

  constructor(
    readonly bridge: Bridge,
    readonly device: Device,
    options: BridgePortOptions,
  ) {
    this.hairpin = options.hairpin ?? false;
    this.isolated = options.isolated ?? false;
    this.learning = options.learning ?? true;
    this.flood = options.flood ?? true;
    this.mcastFlood = options.mcastFlood ?? true;
    this.bcastFlood = options.bcastFlood ?? true;
  }

  /** Without STP a port forwards as soon as it has a carrier. */
  get forwarding(): boolean {
    return this.bridge.up && this.device.up && this.device.carrier;
  }

  /** `br_handle_frame()`. Takes ownership. */
  receive(packet: Packet): void {
    const { bridge, device } = this;
    const view = packet.view;
    const sourceHigh = ethernet.sourceHigh(view, FRAME);
    if (ethernet.isGroup(sourceHigh) || (sourceHigh === 0 && ethernet.sourceLow(view, FRAME) === 0)) {
      bridge.fabric.drop(packet, device.place, "MAC_INVALID_SOURCE");
      return;
    }
    const high = ethernet.destinationHigh(view, FRAME);
    const low = ethernet.destinationLow(view, FRAME);
    if (high === 0x0180 && (low & ~15) === (0xc2000000 | 0) && (low & 15) !== 0) {
      this.linkLocal(packet, low & 15);
      return;
    }
    if (!this.forwarding) {
      bridge.fabric.drop(packet, device.place, "BRIDGE_INGRESS_STP_STATE");
      return;
    }
    if (high === bridge.macHigh && low === bridge.macLow) packet.type = "host";
    this.hook(packet, HOOK.prerouting, 0, device.place, 0);
    const filter = bridge.filter;
    if (filter !== null && !filter.prerouting(packet, this)) return;
    this.finish(packet);
  }

  /** 01:80:c2:00:00:01 to 0f: never forwarded; pause frames end here, the host receives the others on the port itself. */
  private linkLocal(packet: Packet, group: number): void {
    const { bridge, device } = this;
    if (group === 1) bridge.fabric.drop(packet, device.place, "NOT_SPECIFIED");
    else {
      if (this.learning && this.forwarding) this.learn(packet);
      if (device.host !== null) device.host.receive(packet);
      else bridge.fabric.drop(packet, device.place, "NOT_SPECIFIED");
    }
  }

  /** `br_handle_frame_finish()`: learn, then forward, flood or pass up. Takes ownership. */
  finish(packet: Packet): void {
    this.leavePrerouting(packet);
    this.handle(packet);
  }

  leavePrerouting(packet: Packet): void {
    this.hook(packet, HOOK.prerouting, 1, this.device.place, 0);
  }

  /** The frame is past all hooks of its arrival. Takes ownership. */
  handle(packet: Packet): void {
    const { bridge, device } = this;
    if (!this.forwarding) {
      bridge.fabric.drop(packet, device.place, "BRIDGE_INGRESS_STP_STATE");
      return;
    }
    if (this.learning) this.learn(packet);
    const view = packet.view;
    const high = ethernet.destinationHigh(view, FRAME);
    const low = ethernet.destinationLow(view, FRAME);
    if (ethernet.isGroup(high)) {
      bridge.floodFrame(packet, device, true);
      bridge.passUp(packet, this);
      return;
    }
    const entry = bridge.lookup(high, low);
    if (entry === null) bridge.floodFrame(packet, device, false);
    else if (entry.kind === "permanent") bridge.passUp(packet, this);
    else bridge.forwardTo(packet, device, entry.port!);
  }

  /** `br_fdb_update()`. */
  private learn(packet: Packet): void {
    const { bridge, device } = this;
    const high = ethernet.sourceHigh(packet.view, FRAME);
    const low = ethernet.sourceLow(packet.view, FRAME);
    const entry = bridge.lookup(high, low);
    if (entry === null) {
      bridge.fdb.add(new FdbEntry(high, low, this, "learned", bridge.fabric.scheduler.now));
      bridge.fabric.trace?.step(STEP.learn, packet.id, bridge.place, INGRESS.learned, device.place, high, low);
      return;
    }
    if (entry.kind === "permanent") return;
    if (entry.port !== this) {
      entry.port = this;
      bridge.fabric.trace?.step(STEP.learn, packet.id, bridge.place, INGRESS.moved, device.place, high, low);
    }
    entry.updated = bridge.fabric.scheduler.now;
  }

  hook(packet: Packet, hook: number, leave: number, from: number, to: number): void {
    const trace = this.bridge.fabric.trace;
    if (trace !== null)
      trace.step(
        STEP.hook,
        packet.id,
        this.bridge.place,
        hook | (leave << 3) | FAMILY_BRIDGE | (STATES.indexOf(packet.connectionState) << 5),
        from,
        to,
        packet.mark,
      );
  }
}

/** 300 s, the kernel's default `ageing_time`. */
const AGEING = 300e9;

/** A Linux bridge without STP and VLAN filtering: a device that switches between its ports and is a port to its host. */
export class Bridge extends Device implements DeviceWatcher {
  /** Newest first, as the kernel keeps and walks them. */
  readonly ports: BridgePort[] = [];
  readonly fdb = new Fdb();
  /** Set by the namespace while `bridge-nf-call-iptables` is on. */
  filter: BridgeFilter | null = null;

  constructor(
    fabric: Fabric,
    options: DeviceOptions,
    /** True where the address was chosen by hand; otherwise the bridge takes the lowest of its ports. */
    readonly fixedMac: boolean,
    /** Nanoseconds after which a learned address is forgotten. */
    private readonly ageing = AGEING,
  ) {
    super(fabric, options);
    this.fdb.add(new FdbEntry(this.macHigh, this.macLow, null, "permanent", 0));
  }

  private hadCarrier = true;
  /** Until it has looked at its ports there is a carrier. */
  selected = false;

  override get carrier(): boolean {
    return !this.selected || this.ports.some((port) => port.device.up && port.device.carrier);
  }

  /** `brctl addif`. */
  attach(device: Device, options: BridgePortOptions = {}): BridgePort {
    const port = new BridgePort(this, device, options);
    this.ports.unshift(port);
    device.receiver = port;
    device.watchers.push(this);
    if (this.fdb.find(device.macHigh, device.macLow) === null)
      this.fdb.add(new FdbEntry(device.macHigh, device.macLow, port, "permanent", 0));
    if (!this.fixedMac) this.takeLowestMac();
    this.selectPortStates();
    // br_mtu_auto_adjust(): no more than what every port takes.
    this.mtu = Math.min(...this.ports.map((each) => each.device.mtu));
    return port;
  }

  /** `br_port_state_selection()`: from now on it has the carrier of its ports; an address of its own makes it look, too. */
  selectPortStates(): void {
    this.selected = true;
    this.tellCarrier();
  }

  /** `br_del_if()`: the device belongs to nobody. */
  detach(device: Device): void {
    const port = this.portOf(device);
    if (port === null) return;
    this.ports.splice(this.ports.indexOf(port), 1);
    this.fdb.remove((entry) => entry.port === port);
    device.receiver = device.host;
    device.watchers.splice(device.watchers.indexOf(this), 1);
    if (!this.fixedMac) this.takeLowestMac();
    this.tellCarrier();
  }

  portOf(device: Device): BridgePort | null {
    return this.ports.find((port) => port.device === device) ?? null;
  }

  /** `br_stp_disable_bridge()`: going down flushes what was learned. */
  override setUp(up: boolean): void {
    if (!up) this.fdb.remove((entry) => entry.kind === "learned");
    super.setUp(up);
  }

  /** Losing the carrier flushes what was learned there, `br_stp_disable_port()`. */
  deviceChanged(device: Device): void {
    if (!device.up || !device.carrier)
      this.fdb.remove((entry) => entry.kind === "learned" && entry.port?.device === device);
    this.tellCarrier();
  }

  /** The bridge has a carrier while one of its ports has; those who watch it hear of a change. */
  private tellCarrier(): void {
    if (this.hadCarrier === this.carrier) return;
    this.hadCarrier = this.carrier;
    for (const watcher of this.watchers) watcher.deviceChanged(this);
  }

  /** Null for an address never seen or grown old. */
  lookup(high: number, low: number): FdbEntry | null {
    const entry = this.fdb.find(high, low);
    if (entry === null || entry.kind !== "learned") return entry;
    if (entry.updated + this.ageing > this.fabric.scheduler.now) return entry;
    this.fdb.remove((other) => other === entry);
    return null;
  }

  /** `br_dev_xmit()`: a frame of the host's own. */
  protected override transmit(packet: Packet): boolean {
    if (this.filter === null || this.filter.transmit(packet, this)) this.sendOwn(packet);
    return true;
  }

  private sendOwn(packet: Packet): void {
    this.countSent(packet);
    const high = ethernet.destinationHigh(packet.view, FRAME);
    const low = ethernet.destinationLow(packet.view, FRAME);
    if (ethernet.isGroup(high)) {
      this.floodFrame(packet, null, false);
      return;
    }
    const entry = this.lookup(high, low);
    if (entry === null) this.floodFrame(packet, null, false);
    else if (entry.port === null) this.fabric.drop(packet, this.place, "NO_TX_TARGET");
    else this.forwardTo(packet, null, entry.port);
  }

  /** `br_forward()`: `from` is null for the host's own frames. Takes ownership. */
  forwardTo(packet: Packet, from: Device | null, to: BridgePort): void {
    const refused = this.refusal(from, to);
    if (refused !== null) {
      this.fabric.drop(packet, this.place, refused);
      return;
    }
    const trace = this.fabric.trace;
    if (trace !== null) trace.step(STEP.bridge, packet.id, this.place, INGRESS.forward, to.device.place);
    this.emit(packet, from, to);
  }

  /** `br_flood()`: to every port but the one it came from. Takes ownership unless `keep`. */
  floodFrame(packet: Packet, from: Device | null, keep: boolean): void {
    const high = ethernet.destinationHigh(packet.view, FRAME);
    const group = ethernet.isGroup(high);
    const broadcast = group && ethernet.isBroadcast(high, ethernet.destinationLow(packet.view, FRAME));
    const trace = this.fabric.trace;
    if (trace !== null) trace.step(STEP.bridge, packet.id, this.place, INGRESS.flood, 0);
    let previous: BridgePort | null = null;
    for (let i = 0; i < this.ports.length; i++) {
      const port = this.ports[i]!;
      const floods = broadcast
        ? port.bcastFlood || from === null
        : group
          ? port.mcastFlood || from === null
          : port.flood;
      if (!floods || this.refusal(from, port) !== null) continue;
      if (previous !== null) this.emit(this.fabric.clone(packet, this.place), from, previous);
      previous = port;
    }
    if (previous !== null) this.emit(keep ? this.fabric.clone(packet, this.place) : packet, from, previous);
    else if (!keep) this.fabric.drop(packet, this.place, "NO_TX_TARGET");
  }

  /** `br_pass_frame_up()`: the host receives it on the bridge device. Takes ownership. */
  passUp(packet: Packet, port: BridgePort): void {
    const trace = this.fabric.trace;
    if (trace !== null) trace.step(STEP.bridge, packet.id, this.place, INGRESS.up, 0);
    port.hook(packet, HOOK.input, 0, port.device.place, 0);
    port.hook(packet, HOOK.input, 1, port.device.place, 0);
    if (this.filter === null || this.filter.input(packet)) this.receive(packet);
  }

  /** What comes up through a bridge has lost its Ethernet header by then. */
  protected override countedBytes(packet: Packet, direction: "rx" | "tx"): number {
    return direction === "rx" ? packet.length - ethernet.ETHERNET_HEADER : packet.length;
  }

  /** `should_deliver()`: null, or why this port must not send it. */
  private refusal(from: Device | null, to: BridgePort): DropReason | null {
    if (to.device === from && !to.hairpin) return "BRIDGE_SAME_PORT";
    if (!to.forwarding) return "BRIDGE_PORT_DOWN";
    if (to.isolated && from !== null && this.portOf(from)?.isolated === true) return "BRIDGE_ISOLATED";
    return null;
  }

  /** `__br_forward()`, `br_dev_queue_push_xmit()`. Takes ownership. */
  private emit(packet: Packet, from: Device | null, to: BridgePort): void {
    const hook = from === null ? HOOK.output : HOOK.forward;
    const fromPlace = from === null ? 0 : from.place;
    to.hook(packet, hook, 0, fromPlace, to.device.place);
    const filter = this.filter;
    if (filter !== null && from !== null && !filter.forward(packet, to)) return;
    to.hook(packet, hook, 1, fromPlace, to.device.place);
    to.hook(packet, HOOK.postrouting, 0, 0, to.device.place);
    to.hook(packet, HOOK.postrouting, 1, 0, to.device.place);
    if (filter !== null && !filter.postrouting(packet, to)) return;
    this.push(packet, to);
  }

  /** The frame leaves by the port. Takes ownership. */
  push(packet: Packet, to: BridgePort): void {
    if (packet.length > to.device.mtu + ethernet.ETHERNET_HEADER + 4) {
      this.fabric.drop(packet, to.device.place, "PKT_TOO_BIG");
      return;
    }
    to.device.send(packet);
  }

  /** `br_stp_recalculate_bridge_id()`. */
  private takeLowestMac(): void {
    let lowest: Device | null = null;
    for (const { device } of this.ports) {
      if (
        lowest === null ||
        device.macHigh < lowest.macHigh ||
        (device.macHigh === lowest.macHigh && device.macLow >>> 0 < lowest.macLow >>> 0)
      )
        lowest = device;
    }
    if (lowest === null || (lowest.macHigh === this.macHigh && lowest.macLow === this.macLow)) return;
    this.fdb.remove((entry) => entry.port === null);
    this.macHigh = lowest.macHigh;
    this.macLow = lowest.macLow;
  }
}
