import type { Namespace } from "../kernel/namespace.ts";
import type { Device } from "../link/device.ts";
import type { Host, World } from "../world/world.ts";
import type { Userland } from "./userland.ts";

/** A host or a container as the tools that are run on it see it. */
export interface Machine {
  readonly world: World;
  readonly host: Host;
  readonly userland: Userland;
}

/** The devices in the order of their numbers, as the kernel lists them. */
export const devicesOf = (net: Namespace): Device[] =>
  [...net.inDevices.values()].map(({ device }) => device).sort((a, b) => a.ifindex - b.ifindex);

export const nowOf = (machine: Machine): number => machine.world.fabric.scheduler.now;
