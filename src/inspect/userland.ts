import { type Machine, readFile } from "./machine.ts";

/**
 * What is installed on a host or in a container decides how its tools print. Named by the distribution: Debian 12 has
 * iproute2 6.1 and net-tools 2.10, Alpine has BusyBox, LinuxKit (the VM of Docker Desktop) iproute2 beside BusyBox,
 * Ubuntu 16.04 iproute2 4.3.
 */
export const USERLANDS = ["debian-12", "alpine", "linuxkit", "ubuntu-16.04"] as const;
export type Userland = (typeof USERLANDS)[number];

/** As `/etc/os-release` says; Debian 12 where there is no such file. */
export function userlandOf(machine: Machine): Userland {
  const text = readFile(machine, "/etc/os-release") ?? "";
  const value = (key: string) => new RegExp(`^${key}="?([^"\n]*)`, "m").exec(text)?.[1] ?? "";
  const id = value("ID");
  return USERLANDS.find((each) => each === id || each === `${id}-${value("VERSION_ID")}`) ?? "debian-12";
}

/** Who prints `ip`. */
export function iprouteOf(machine: Machine): "iproute2" | "iproute2-4" | "busybox" {
  const userland = userlandOf(machine);
  if (userland === "alpine") return "busybox";
  return userland === "ubuntu-16.04" ? "iproute2-4" : "iproute2";
}

/** Who prints `ifconfig`, `route`, `netstat` and `ps`. */
export const toolsOf = (machine: Machine): "net-tools" | "busybox" =>
  ["alpine", "linuxkit"].includes(userlandOf(machine)) ? "busybox" : "net-tools";
