import type { Packet } from "../packet/packet.ts";
import { Device } from "./device.ts";

/** A device with no cable, `dummy_xmit()`: it takes every frame and nothing comes back. */
export class Dummy extends Device {
  protected override transmit(packet: Packet): boolean {
    this.countSent(packet);
    this.fabric.consume(packet, this.place, "dummy device");
    return true;
  }
}
