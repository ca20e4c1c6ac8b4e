import { FRAME, NETWORK, type Packet } from "../packet/packet.ts";
import * as arp from "../wire/arp.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { Device, DeviceOptions } from "./device.ts";
import { isHeard, Upper, UpperPort } from "./upper.ts";

export const IPVLAN_MODES = ["l2", "l3"] as const;
export type IpvlanMode = (typeof IPVLAN_MODES)[number];

/**
 * A device that shares another one's cable and its MAC address: whose a frame is, its IPv4 address tells. In mode l3 it
 * has no neighbours: the lower device's namespace routes what it sends, through its OUTPUT and POSTROUTING.
 */
export class Ipvlan extends Upper {
  /** Whether an address is this device's; its namespace knows. */
  owns: (address: number) => boolean = () => false;
  declare readonly port: IpvlanPort;

  constructor(port: IpvlanPort, options: Omit<DeviceOptions, "mac">) {
    const { lower } = port;
    super(port, { mtu: lower.mtu, ...options, mac: { high: lower.macHigh, low: lower.macLow } });
  }

  override get arps(): boolean {
    return this.mode === "l2";
  }

  get mode(): IpvlanMode {
    return this.port.mode;
  }

  protected override transmit(packet: Packet): boolean {
    this.countSent(packet);
    return this.mode === "l3" ? this.transmitL3(packet) : this.transmitL2(packet);
  }

  /** `ipvlan_xmit_mode_l2()`. */
  private transmitL2(packet: Packet): boolean {
    const { view } = packet;
    const high = ethernet.destinationHigh(view, FRAME);
    if (high === this.macHigh && ethernet.destinationLow(view, FRAME) === this.macLow) {
      this.forward(packet, this.port.find(packet) ?? this.lower);
      return true;
    }
    if (!ethernet.isGroup(high)) return this.lower.send(packet);
    if (isHeard(packet)) this.toSiblings(packet, () => true);
    this.lower.send(packet);
    return true;
  }

  /** `ipvlan_xmit_mode_l3()`, `ipvlan_process_v4_outbound()`. */
  private transmitL3(packet: Packet): boolean {
    const to = this.port.find(packet);
    if (to !== null) this.forward(packet, to);
    else this.port.route(packet);
    return true;
  }
}

/** `ipvlan_handle_frame()`. */
export class IpvlanPort extends UpperPort {
  constructor(
    lower: Device,
    readonly mode: IpvlanMode,
    /** Sends an IPv4 packet by the lower device's namespace. Takes ownership. */
    readonly route: (packet: Packet) => void,
  ) {
    super(lower);
  }

  /** `ipvlan_addr_lookup()`: by the destination of IPv4, or whom ARP asks for. */
  find(packet: Packet): Ipvlan | null {
    const { view } = packet;
    const type = packet.end < NETWORK ? 0 : ethernet.etherType(view, FRAME);
    let address = 0;
    if (type === ethernet.ETHERTYPE_IPV4 && packet.end >= NETWORK + ipv4.IPV4_HEADER)
      address = ipv4.destination(view, NETWORK);
    else if (type === ethernet.ETHERTYPE_ARP && packet.end >= NETWORK + arp.ARP_LENGTH)
      address = arp.targetAddress(view, NETWORK);
    else return null;
    for (const upper of this.uppers) if ((upper as Ipvlan).owns(address)) return upper as Ipvlan;
    return null;
  }

  /** `ipvlan_external_frame()`: not one that an upper has sent. */
  protected hears(_upper: Ipvlan, { view }: Packet): boolean {
    const { lower, mode } = this;
    const own = ethernet.sourceHigh(view, FRAME) === lower.macHigh && ethernet.sourceLow(view, FRAME) === lower.macLow;
    return mode === "l2" && !own;
  }
}
