import type { Device, Receiver } from "../link/device.ts";
import type { Packet } from "../packet/packet.ts";
import { maskOf } from "../wire/address.ts";
import type { Namespace } from "./namespace.ts";
import type { Neighbour } from "./neighbour.ts";

/** What an address is good for: 0 everywhere, 253 on its link, 254 inside the host (`enum rt_scope_t`). */
export type Scope = "global" | "link" | "host";

const SCOPES: readonly Scope[] = ["global", "link", "host"];

/** An IPv4 address on a device (`struct in_ifaddr`). */
export class InterfaceAddress {
  readonly mask: number;
  /** Added later than another address of the same prefix. */
  secondary = false;

  constructor(
    readonly address: number,
    readonly length: number,
    readonly scope: Scope,
    /** As `brd` of `ip addr` gives it, 0 for none. The route to it exists all the same. */
    readonly broadcast: number,
  ) {
    this.mask = maskOf(length);
  }

  contains(address: number): boolean {
    return ((address ^ this.address) & this.mask) === 0;
  }
}

/** The IPv4 half of a device: its addresses, its settings, its neighbours (`struct in_device`). Frames arrive here. */
export class InDevice implements Receiver {
  readonly addresses: InterfaceAddress[] = [];
  /** By address, signed 32-bit. */
  readonly neighbours = new Map<number, Neighbour>();
  /** Values in force, refreshed when a sysctl changes. */
  forwarding = false;
  rpFilter = 0;
  acceptLocal = false;
  acceptSourceRoute = false;
  routeLocalnet = false;
  bcForwarding = false;
  dropUnicastInGroup = false;
  sourceValidMark = false;
  sendRedirects = false;
  acceptRedirects = false;
  secureRedirects = false;
  sharedMedia = false;

  constructor(
    readonly net: Namespace,
    readonly device: Device,
  ) {}

  get isLoopback(): boolean {
    return this.device === this.net.loopback.device;
  }

  refresh(): void {
    const { name } = this.device;
    const sysctls = this.net.sysctls;
    this.forwarding = sysctls.effective(name, "forwarding") !== 0;
    this.rpFilter = sysctls.effective(name, "rp_filter");
    this.acceptLocal = sysctls.effective(name, "accept_local") !== 0;
    this.acceptSourceRoute = sysctls.effective(name, "accept_source_route") !== 0;
    this.routeLocalnet = sysctls.effective(name, "route_localnet") !== 0;
    this.bcForwarding = sysctls.effective(name, "bc_forwarding") !== 0;
    this.dropUnicastInGroup = sysctls.effective(name, "drop_unicast_in_l2_multicast") !== 0;
    this.sourceValidMark = sysctls.effective(name, "src_valid_mark") !== 0;
    this.sendRedirects = sysctls.effective(name, "send_redirects") !== 0;
    this.acceptRedirects = sysctls.effective(name, "accept_redirects") !== 0;
    this.secureRedirects = sysctls.effective(name, "secure_redirects") !== 0;
    this.sharedMedia = sysctls.effective(name, "shared_media") !== 0;
  }

  /** Takes ownership. */
  receive(packet: Packet): void {
    this.net.ingress(packet, this);
  }

  /** The first primary address that reaches `destination`, else the first of the scope; 0 for none. */
  select(destination: number, scope: Scope): number {
    let first = 0;
    // With route_localnet the addresses of the host are as good as those of the link.
    const widest = SCOPES.indexOf(this.routeLocalnet && scope === "link" ? "host" : scope);
    for (const ifa of this.addresses) {
      if (ifa.secondary || SCOPES.indexOf(ifa.scope) > widest) continue;
      if (destination === 0 || ifa.contains(destination)) return ifa.address;
      if (first === 0) first = ifa.address;
    }
    return first;
  }

  /** `__inet_insert_ifa()`: primary addresses stand before secondary ones, narrower scopes before wider ones. */
  insert(added: InterfaceAddress): void {
    let slot = added.secondary ? this.addresses.length : 0;
    const rank = ({ scope }: InterfaceAddress): number => SCOPES.indexOf(scope);
    for (const [i, other] of this.addresses.entries())
      if (!added.secondary && !other.secondary && rank(added) <= rank(other)) slot = i + 1;
    this.addresses.splice(slot, 0, added);
  }

  /** `inet_addr_onlink()`: both belong to one subnet of this device. */
  onLink(a: number, b: number): boolean {
    return this.addresses.some((ifa) => ifa.contains(a) && (b === 0 || ifa.contains(b)));
  }
}

/** `inet_select_addr()`: a source for packets that leave by `from`; 0 for none. */
export function selectAddress(net: Namespace, from: InDevice, destination: number, scope: Scope): number {
  const own = from.select(destination, scope);
  if (own !== 0) return own;
  for (const other of net.inDevices.values()) {
    for (const ifa of other.addresses)
      if (!ifa.secondary && ifa.scope !== "link" && SCOPES.indexOf(ifa.scope) <= SCOPES.indexOf(scope))
        return ifa.address;
  }
  return 0;
}
