import { FRAME, type Packet } from "../packet/packet.ts";
import * as ethernet from "../wire/ethernet.ts";
import { Device, type DeviceOptions, type DeviceWatcher, type Receiver } from "./device.ts";
import { scrub } from "./scrub.ts";

/** A device that stands on another one and shares its cable: macvlan, ipvlan. */
export abstract class Upper extends Device {
  constructor(
    readonly port: UpperPort,
    options: DeviceOptions,
  ) {
    super(port.lower.fabric, options);
    port.add(this);
  }

  get lower(): Device {
    return this.port.lower;
  }

  override get carrier(): boolean {
    return this.lower.up && this.lower.carrier;
  }

  /** `dev_forward_skb()`: the frame arrives at `to` as if it came in there. Takes ownership. */
  protected forward(packet: Packet, to: Device): void {
    if (!to.accepts(packet)) {
      this.fabric.drop(packet, to.place, to.up ? "PKT_TOO_BIG" : "DEV_READY");
      return;
    }
    scrub(packet, this.namespace !== to.namespace);
    to.classify(packet);
    this.fabric.scheduler.defer(to, packet);
  }

  /** A copy of a broadcast for each that is up, but for its sender. Borrows. */
  protected toSiblings(packet: Packet, wanted: (sibling: Upper) => boolean): void {
    for (const sibling of this.port.uppers)
      if (sibling !== this && sibling.up && wanted(sibling)) {
        const copy = this.fabric.clone(packet, this.place);
        scrub(copy, this.namespace !== sibling.namespace);
        sibling.classify(copy);
        this.fabric.scheduler.defer(sibling, copy);
      }
  }
}

/** Whether a group's frames are taken: everyone is in the broadcast group and in that of all hosts, 224.0.0.1. */
export function isHeard(packet: Packet): boolean {
  const high = ethernet.destinationHigh(packet.view, FRAME);
  const low = ethernet.destinationLow(packet.view, FRAME);
  return ethernet.isBroadcast(high, low) || (high === 0x0100 && low === (0x5e000001 | 0));
}

/** The receiver of the lower device's frames (`rx_handler`): it hands them to its uppers, or on to the namespace. */
export abstract class UpperPort implements Receiver, DeviceWatcher {
  readonly uppers: Upper[] = [];
  protected readonly next: Receiver | null;

  constructor(readonly lower: Device) {
    this.next = lower.receiver;
    lower.receiver = this;
    lower.watchers.push(this);
  }

  add(upper: Upper): void {
    this.uppers.push(upper);
  }

  remove(upper: Upper): void {
    this.uppers.splice(this.uppers.indexOf(upper), 1);
    if (this.uppers.length > 0) return;
    this.lower.receiver = this.next;
    this.lower.watchers.splice(this.lower.watchers.indexOf(this), 1);
  }

  /** Their carrier is the lower device's. */
  deviceChanged(): void {
    for (const upper of this.uppers) for (const watcher of upper.watchers) watcher.deviceChanged(upper);
  }

  /** Takes ownership. */
  receive(packet: Packet): void {
    if (ethernet.isGroup(ethernet.destinationHigh(packet.view, FRAME))) this.receiveGroup(packet);
    else {
      const upper = this.find(packet);
      if (upper === null) this.pass(packet);
      else if (!upper.up) this.lower.fabric.drop(packet, upper.place, "NOT_SPECIFIED");
      else {
        packet.type = "host";
        upper.receive(packet);
      }
    }
  }

  /** Whose frame it is; null for the lower device's own. Borrows. */
  protected abstract find(packet: Packet): Upper | null;

  /** Whether a group's frame that came in by the cable is one for this upper. Borrows. */
  protected abstract hears(upper: Upper, packet: Packet): boolean;

  /** The lower device's own copy goes on at once, those of the uppers wait for a work queue. */
  private receiveGroup(packet: Packet): void {
    const { fabric, place } = this.lower;
    if (isHeard(packet))
      for (const upper of this.uppers)
        if (upper.up && this.hears(upper, packet)) {
          const copy = fabric.clone(packet, place);
          upper.classify(copy);
          fabric.scheduler.defer(upper, copy);
        }
    this.pass(packet);
  }

  private pass(packet: Packet): void {
    const { next, lower } = this;
    if (next !== null) next.receive(packet);
    else lower.fabric.drop(packet, lower.place, "UNHANDLED_PROTO");
  }
}
