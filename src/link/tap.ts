import { FRAME, type Packet } from "../packet/packet.ts";
import { ETHERNET_HEADER } from "../wire/ethernet.ts";
import { Device } from "./device.ts";

/**
 * A TAP: a device whose other side is a program, `tun_net_xmit()` and `tun_get_user()`. The program sees frames as bytes,
 * without a frame check sequence.
 */
export class Tap extends Device {
  /** Takes each frame that leaves here; the bytes are borrowed, they are another frame's once it returns. */
  onFrame: ((frame: Uint8Array) => void) | null = null;

  /** `IFF_NO_CARRIER`: nobody reads. */
  override get carrier(): boolean {
    return this.onFrame !== null;
  }

  /** A frame from the program arrives here; the bytes are copied. Null, or why the device would not take it. */
  write(frame: Uint8Array): "EINVAL" | "EMSGSIZE" | "ENETDOWN" | null {
    if (!this.up) return "ENETDOWN";
    if (frame.length < ETHERNET_HEADER) return "EINVAL";
    if (frame.length > this.mtu + ETHERNET_HEADER + 4) return "EMSGSIZE";
    const packet = this.fabric.inject(frame, this.place);
    this.classify(packet);
    this.receive(packet);
    return null;
  }

  protected override transmit(packet: Packet): boolean {
    this.countSent(packet);
    this.onFrame!(packet.bytes.subarray(FRAME, packet.end));
    this.fabric.consume(packet, this.place, "program");
    return true;
  }
}
