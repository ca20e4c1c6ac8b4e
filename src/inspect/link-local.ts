import type { Namespace } from "../kernel/namespace.ts";
import type { Device } from "../link/device.ts";
import { Loopback } from "../link/loopback.ts";

/**
 * The IPv6 addresses that Linux gives every device by itself (`addrconf_dev_config()`, RFC 4291 appendix A), with their
 * prefix lengths. Packets here are IPv4 only; these are for printing, where `disable_ipv6` is off.
 */
export function linkLocal(device: Device, net: Namespace): string[] {
  if (!device.up || net.sysctls.withoutIpv6(device.name)) return [];
  if (device instanceof Loopback) return ["::1/128"];
  const { macHigh, macLow } = device;
  const low = [24, 16, 8, 0].map((shift) => (macLow >>> shift) & 255);
  const bytes = [(macHigh >> 8) ^ 2, macHigh & 255, low[0]!, 0xff, 0xfe, ...low.slice(1)];
  return [`${formatSuffix(bytes)}/64`];
}

/** `fe80::` and eight bytes, in the canonical form of RFC 5952. */
function formatSuffix(bytes: readonly number[]): string {
  const groups = [0xfe80, 0, 0, 0];
  for (let i = 0; i < 8; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!);
  let end = 1;
  while (end < 8 && groups[end] === 0) end++;
  return `fe80::${groups
    .slice(end)
    .map((group) => group.toString(16))
    .join(":")}`;
}
