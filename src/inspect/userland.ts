import type { Machine } from "./machine.ts";

/**
 * What is installed on a host or in a container decides how its tools print. Named by the distribution: Debian 12 has
 * iproute2 6.1 and net-tools 2.10, Alpine has BusyBox, LinuxKit (the VM of Docker Desktop) iproute2 beside BusyBox,
 * Ubuntu 16.04 iproute2 4.3.
 */
export const USERLANDS = ["debian-12", "alpine", "linuxkit", "ubuntu-16.04"] as const;
export type Userland = (typeof USERLANDS)[number];

/** Who prints `ip`. */
export function iprouteOf({ userland }: Machine): "iproute2" | "iproute2-4" | "busybox" {
  if (userland === "alpine") return "busybox";
  return userland === "ubuntu-16.04" ? "iproute2-4" : "iproute2";
}

/** Who prints `ifconfig`, `route`, `netstat` and `ps`. */
export const toolsOf = ({ userland }: Machine): "net-tools" | "busybox" =>
  userland === "alpine" || userland === "linuxkit" ? "busybox" : "net-tools";
