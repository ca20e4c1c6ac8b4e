import { formatIpv4 } from "../wire/address.ts";
import { type Machine, readFile } from "./machine.ts";
import { familyOf } from "./userland.ts";

/** The first name of an address in `/etc/hosts`; null where it has none. */
export function addressName(address: number, machine: Machine): string | null {
  const text = formatIpv4(address);
  for (const line of (readFile(machine, "/etc/hosts") ?? "").split("\n")) {
    const [first, name] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (first === text && name !== undefined) return name;
  }
  return null;
}

const NETWORKS: ReadonlyMap<number, string> = new Map([
  [0, "default"],
  [0x7f000000, "loopback"],
  [0xa9fe0000 | 0, "link-local"],
]);

/** `/etc/networks`, which BusyBox systems have not. */
export const networkName = (address: number, machine: Machine): string | null =>
  familyOf(machine.host) === "busybox" ? null : (NETWORKS.get(address) ?? null);
