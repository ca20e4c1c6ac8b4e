import { maskOf } from "../wire/address.ts";
import { TABLE_LOCAL } from "./fib.ts";
import type { InDevice, InterfaceAddress } from "./in-device.ts";
import type { Namespace } from "./namespace.ts";

/** `__inet_del_ifa()`: an address goes; of a primary one, so do its secondaries, or the first of them takes its place. */
export function removeAddress(net: Namespace, device: InDevice, gone: InterfaceAddress): void {
  const others = gone.secondary
    ? []
    : device.addresses.filter(
        (other) => other.secondary && other.length === gone.length && other.contains(gone.address),
      );
  forget(net, device, gone);
  if (others.length === 0) return;
  const promotes = net.sysctls.effective(device.device.name, "promote_secondaries") !== 0;
  for (const other of others) forget(net, device, other);
  if (!promotes) return;
  for (const { address, length, scope, broadcast } of others) net.addAddress(device, address, length, scope, broadcast);
}

/** `fib_del_ifaddr()`, `masq_inet_event()`. */
function forget(net: Namespace, device: InDevice, gone: InterfaceAddress): void {
  device.addresses.splice(device.addresses.indexOf(gone), 1);
  const { address, length } = gone;
  const elsewhere = [...net.inDevices.values()].find((other) => other.addresses.some((ifa) => ifa.address === address));
  if (elsewhere === undefined) net.addresses.delete(address);
  else net.addresses.set(address, elsewhere);
  const prefix = address & maskOf(length);
  const shared = device.addresses.some((other) => other.length === length && other.contains(address));
  net.fib.remove((route) => {
    if (route.device !== device && route.source !== address) return false;
    if (route.table === TABLE_LOCAL && route.type === "local" && route.destination === address && route.length === 32)
      return elsewhere !== device;
    if (elsewhere === undefined && route.source === address) return true;
    if (shared || route.device !== device || route.protocol !== "kernel") return false;
    return route.destination === prefix && route.length === length;
  });
  // `fib_inetaddr_event()`: with the last address all routes of the device go.
  if (device.addresses.length === 0) {
    net.fib.remove((route) => route.device === device);
    net.forgetNeighbours(device, () => true);
  }
  net.nat.addressGone(device.device, address);
}
