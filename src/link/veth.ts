import type { Packet } from "../packet/packet.ts";
import { Device, type DeviceOptions } from "./device.ts";
import type { Fabric } from "./fabric.ts";
import type { Impairment } from "./impairment.ts";
import { scrub } from "./scrub.ts";

/** One end of a virtual cable, `veth_xmit()`: what goes in here arrives at the peer, in order, in the same instant. */
export class Veth extends Device {
  private end: Veth | null = null;
  /** What the cable does to frames that leave here; null for a perfect cable. */
  impairment: Impairment | null = null;

  /** Both ends of one cable. */
  static pair(fabric: Fabric, a: DeviceOptions, b: DeviceOptions): [Veth, Veth] {
    const left = new Veth(fabric, a);
    const right = new Veth(fabric, b);
    left.end = right;
    right.end = left;
    return [left, right];
  }

  get peer(): Veth {
    return this.end!;
  }

  override get carrier(): boolean {
    return this.up && this.peer.up;
  }

  override setUp(up: boolean): void {
    if (this.up === up) return;
    super.setUp(up);
    for (const watcher of this.peer.watchers) watcher.deviceChanged(this.peer);
  }

  protected override transmit(packet: Packet): boolean {
    const peer = this.peer;
    if (!peer.accepts(packet)) {
      this.counters.txDropped++;
      if (peer.up) peer.counters.rxDropped++;
      this.fabric.drop(packet, this.place, peer.up ? "PKT_TOO_BIG" : "DEV_READY");
      return false;
    }
    this.countSent(packet);
    scrub(packet, peer.namespace !== this.namespace);
    peer.classify(packet);
    if (this.impairment !== null) this.impairment.carry(packet, this.place);
    else this.fabric.scheduler.defer(peer, packet);
    return true;
  }
}
