import type { Packet } from "../packet/packet.ts";
import { ETHERNET_HEADER } from "../wire/ethernet.ts";
import { Device } from "./device.ts";
import type { Fabric } from "./fabric.ts";

/** `lo`, `loopback_xmit()`: what is sent arrives again, with the route and the connection it already has. */
export class Loopback extends Device {
  constructor(fabric: Fabric, namespace: string) {
    super(fabric, { name: "lo", namespace, mac: { high: 0, low: 0 }, mtu: 65_536 });
  }

  protected override countedBytes(packet: Packet): number {
    return packet.length - ETHERNET_HEADER;
  }

  protected override transmit(packet: Packet): boolean {
    this.countSent(packet);
    packet.socket = null;
    this.classify(packet);
    this.fabric.scheduler.defer(this, packet);
    return true;
  }
}
