import { storedFile } from "../docker/container-store.ts";
import type { DockerHost } from "../docker/model.ts";
import type { Namespace } from "../kernel/namespace.ts";
import type { Device } from "../link/device.ts";
import type { Host, World } from "../world/world.ts";

/** A host or a container as the tools that are run on it see it. */
export interface Machine {
  readonly world: World;
  readonly host: Host;
  /** The engine whose client `docker` is; null where there is none. */
  readonly docker: DockerHost | null;
}

/** `/etc/hostname`, or the name of the namespace. */
export const hostnameOf = ({ host }: Machine): string => host.files.get("/etc/hostname")?.trim() || host.net.name;

/** A text file; null where there is none. Every host has a first line of `/etc/hosts`. */
export function readFile({ host, docker }: Machine, path: string): string | null {
  const stored = docker?.namespace === host.net.name ? storedFile(docker, path) : null;
  return stored ?? host.files.get(path) ?? (path === "/etc/hosts" ? "127.0.0.1\tlocalhost\n" : null);
}

/** The devices in the order of their numbers, as the kernel lists them. */
export const devicesOf = (net: Namespace): Device[] =>
  [...net.inDevices.values()].map(({ device }) => device).sort((a, b) => a.ifindex - b.ifindex);

export const nowOf = (machine: Machine): number => machine.world.fabric.scheduler.now;

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** As `ctime()`: the virtual clock starts at 1970-01-01T00:00:00 UTC. */
export function wallClock(machine: Machine): string {
  const date = new Date(nowOf(machine) / 1e6);
  const two = (value: number, fill = "0") => String(value).padStart(2, fill);
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map((value) => two(value)).join(":");
  return `${DAYS[date.getUTCDay()]} ${MONTHS[date.getUTCMonth()]} ${two(date.getUTCDate(), " ")} ${time} ${date.getUTCFullYear()}`;
}
