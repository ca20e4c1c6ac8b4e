import { IPVLAN_MODES } from "../link/ipvlan.ts";
import { MACVLAN_MODES } from "../link/macvlan.ts";
import type { UpperKind } from "../world/world.ts";
import { type NetworkSpec, refuse } from "./command.ts";
import type { Daemon } from "./daemon.ts";

/** The mode, and whether the parent is there. @throws {Refusal} */
export function upperKind(daemon: Daemon, driver: "macvlan" | "ipvlan", { options, name }: NetworkSpec): UpperKind {
  const parent = options.get("parent");
  if (parent !== undefined && !daemon.host.devices.has(parent.text)) {
    const says = `invalid subinterface vlan name ${parent.text}, example formatting is eth0.10`;
    throw refuse(
      parent,
      `a device of the host (${[...daemon.host.devices].join(", ")})`,
      /\./.test(parent.text) ? "" : says,
    );
  }
  const given = options.get(`${driver}_mode`);
  const modes: readonly string[] = driver === "macvlan" ? MACVLAN_MODES : IPVLAN_MODES;
  const mode = given?.text ?? modes[0]!;
  if (!modes.includes(mode)) {
    const known = driver === "macvlan" ? mode === "passthru" : mode === "l3s";
    throw refuse(
      given!,
      `a mode that hopscope models (${modes.join(", ")})`,
      known
        ? ""
        : `requested ${driver} mode '${mode}' is not valid, '${modes[0]}' mode is the ${driver} driver default`,
    );
  }
  const kind = { type: driver, mode } as UpperKind;
  for (const other of daemon.networks.values())
    if (parent !== undefined && other.device === parent.text && other.upper !== null && !shares(other.upper, kind))
      throw refuse(
        parent,
        `a parent that network ${other.name} has not as ${other.upper.type} ${other.upper.mode}, which excludes this (${name.text})`,
        "",
        500,
      );
  return kind;
}

/** All devices on one parent are of one kind, and those of ipvlan of one mode. */
const shares = (a: UpperKind, b: UpperKind): boolean =>
  a.type === b.type && (a.type === "macvlan" || a.mode === b.mode);
