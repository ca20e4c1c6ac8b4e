import type { Packet } from "../packet/packet.ts";
import { Device, type DeviceOptions } from "./device.ts";
import type { Fabric } from "./fabric.ts";

/** Of each kind: what `link/` says, and the MTU that the outer header leaves. */
const KINDS = { ipip: ["ipip", 1480], ip6tnl: ["tunnel6", 1452] } as const;
export type TunnelKind = keyof typeof KINDS;
export const TUNNEL_KINDS = Object.keys(KINDS) as readonly TunnelKind[];

/**
 * `tunl0` and `ip6tnl0`, which every namespace has where the kernel's tunnel drivers are loaded (`ip_tunnel_init_net()`).
 * Nobody brings them up by accident, and hopscope carries nothing through them.
 */
export class FallbackTunnel extends Device {
  readonly linkType: string;

  constructor(
    fabric: Fabric,
    options: DeviceOptions,
    readonly kind: TunnelKind,
  ) {
    const [linkType, mtu] = KINDS[kind];
    super(fabric, { mtu, ...options, mac: { high: 0, low: 0 } });
    this.linkType = linkType;
  }

  /** @throws {RangeError} when it is to go up. */
  override setUp(up: boolean): void {
    if (up) throw new RangeError(`hopscope does not model tunnels: ${this.name} stays down`);
  }

  protected override transmit(packet: Packet): boolean {
    this.fabric.drop(packet, this.place, "DEV_READY");
    return true;
  }
}
