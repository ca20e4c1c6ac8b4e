import { FRAME, type Packet } from "../packet/packet.ts";
import * as ethernet from "../wire/ethernet.ts";
import type { Device, DeviceOptions } from "./device.ts";
import { isHeard, Upper, UpperPort } from "./upper.ts";

export const MACVLAN_MODES = ["bridge", "private", "vepa"] as const;
export type MacvlanMode = (typeof MACVLAN_MODES)[number];

/**
 * A device with a MAC address of its own on another one's cable. What it sends goes out by the cable, or, in mode bridge,
 * straight to another of them; never to the host whose card it is, for that is reached by the cable alone.
 */
export class Macvlan extends Upper {
  constructor(
    port: MacvlanPort,
    options: DeviceOptions,
    readonly mode: MacvlanMode,
  ) {
    super(port, { mtu: port.lower.mtu, ...options });
  }

  /** `macvlan_start_xmit()`. */
  protected override transmit(packet: Packet): boolean {
    const bytes = this.countedBytes(packet, "tx");
    const taken = this.queue(packet);
    if (taken) {
      this.counters.txPackets++;
      this.counters.txBytes += bytes;
    } else this.counters.txDropped++;
    return taken;
  }

  /** `macvlan_queue_xmit()`. */
  private queue(packet: Packet): boolean {
    const high = ethernet.destinationHigh(packet.view, FRAME);
    if (this.mode === "bridge") {
      if (ethernet.isGroup(high)) {
        if (isHeard(packet)) this.toSiblings(packet, (sibling) => (sibling as Macvlan).mode === "bridge");
      } else {
        const to = this.port.byAddress(high, ethernet.destinationLow(packet.view, FRAME));
        if (to?.mode === "bridge") {
          this.forward(packet, this.lower);
          return true;
        }
      }
    }
    return this.lower.send(packet);
  }

  declare readonly port: MacvlanPort;
}

/** `macvlan_handle_frame()`. */
export class MacvlanPort extends UpperPort {
  constructor(lower: Device) {
    super(lower);
  }

  byAddress(high: number, low: number): Macvlan | null {
    for (const upper of this.uppers) if (upper.macHigh === high && upper.macLow === low) return upper as Macvlan;
    return null;
  }

  protected find({ view }: Packet): Macvlan | null {
    return this.byAddress(ethernet.destinationHigh(view, FRAME), ethernet.destinationLow(view, FRAME));
  }

  /** One of ours that comes back by the cable was heard by those of mode bridge on its way out. */
  protected hears(upper: Macvlan, { view }: Packet): boolean {
    const sender = this.byAddress(ethernet.sourceHigh(view, FRAME), ethernet.sourceLow(view, FRAME));
    if (sender === null) return true;
    if (sender.mode === "private") return upper === sender;
    if (upper === sender) return false;
    return upper.mode === "vepa" || (sender.mode === "vepa" && upper.mode === "bridge");
  }
}
