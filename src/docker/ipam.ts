import { formatIpv4, type Ipv4, maskOf, type Prefix, parsePrefix } from "../wire/address.ts";
import type { AddressPool } from "./model.ts";

/** 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 in sixteen parts: 31 networks. */
export const DEFAULT_POOLS: readonly AddressPool[] = [
  ...Array.from({ length: 15 }, (_, i) => ({ base: parsePrefix(`172.${17 + i}.0.0/16`), size: 16 })),
  { base: parsePrefix("192.168.0.0/16"), size: 20 },
];

export function overlaps(a: Prefix, b: Prefix): boolean {
  const mask = a.mask & b.mask;
  return (a.address & mask) === (b.address & mask);
}

export const holds = (prefix: Prefix, address: Ipv4): boolean => (address & prefix.mask) === prefix.address;

/** The first network of the pools that overlaps none that is taken; null when they have run dry. */
export function freeSubnet(pools: readonly AddressPool[], taken: readonly Prefix[]): Prefix | null {
  for (const { base, size } of pools) {
    const mask = maskOf(size);
    const step = size === 0 ? 0 : 2 ** (32 - size);
    const count = 2 ** (size - base.length);
    for (let i = 0; i < count; i++) {
      const subnet = { address: (base.address + i * step) | 0, length: size, mask };
      if (!taken.some((other) => overlaps(subnet, other))) return subnet;
    }
  }
  return null;
}

/** The addresses of one network: the lowest free one is handed out next, and one that is given back is free at once. */
export class AddressSpace {
  private readonly taken = new Set<Ipv4>();

  constructor(
    readonly subnet: Prefix,
    private readonly range: Prefix,
  ) {
    this.taken.add(subnet.address);
    if (subnet.length < 31) this.taken.add(subnet.address | ~subnet.mask);
  }

  /** False when it is taken already. */
  reserve(address: Ipv4): boolean {
    if (this.taken.has(address)) return false;
    this.taken.add(address);
    return true;
  }

  /** @throws {RangeError} when there is none left. */
  next(): Ipv4 {
    const count = 2 ** (32 - this.range.length);
    for (let i = 0; i < count; i++) {
      const address = (this.range.address + i) | 0;
      if (this.reserve(address)) return address;
    }
    throw new RangeError(`no address left in ${formatIpv4(this.range.address)}/${this.range.length}`);
  }

  release(address: Ipv4): void {
    this.taken.delete(address);
  }
}
