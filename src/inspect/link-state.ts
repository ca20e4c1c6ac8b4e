import type { Namespace } from "../kernel/namespace.ts";
import { Bridge } from "../link/bridge.ts";
import type { Device } from "../link/device.ts";
import { Dummy } from "../link/dummy.ts";
import { FallbackTunnel } from "../link/fallback-tunnel.ts";
import { Ipvlan } from "../link/ipvlan.ts";
import { Loopback } from "../link/loopback.ts";
import { Upper } from "../link/upper.ts";
import { Veth } from "../link/veth.ts";
import { formatMac } from "../wire/address.ts";

/** What rtnetlink says of a device beside its name and numbers (`rtnl_fill_ifinfo()`). */

export type OperState = "UNKNOWN" | "DOWN" | "LOWERLAYERDOWN" | "UP";

/** Kinds of devices whose carrier nobody watches. */
const UNWATCHED = [Loopback, Dummy];

/** RFC 2863, `default_operstate()`: the other end of a cable is looked up by its number, whosever that is here. */
export function operState(device: Device, net: Namespace): OperState {
  if (!device.up) return "DOWN";
  if (UNWATCHED.some((kind) => device instanceof kind)) return "UNKNOWN";
  if (device instanceof Bridge && !device.selected) return "UNKNOWN";
  if (device.carrier) return "UP";
  if (device instanceof Upper) return "LOWERLAYERDOWN";
  if (!(device instanceof Veth)) return "DOWN";
  const namesake = [...net.inDevices.values()].find((other) => other.device.ifindex === device.peer.ifindex);
  return namesake === undefined || namesake.device.carrier ? "DOWN" : "LOWERLAYERDOWN";
}

/** IFF_RUNNING. */
export function isRunning(device: Device, net: Namespace): boolean {
  const state = operState(device, net);
  return state === "UP" || state === "UNKNOWN";
}

/** The flags in the order of iproute2. */
export function linkFlags(device: Device, net: Namespace): string[] {
  const flags: string[] = [];
  if (device instanceof FallbackTunnel) return ["NOARP"];
  if (device.up && !isRunning(device, net)) flags.push("NO-CARRIER");
  if (device instanceof Loopback) flags.push("LOOPBACK");
  else if (device instanceof Ipvlan && device.mode === "l3") flags.push("BROADCAST", "MULTICAST", "NOARP");
  else flags.push("BROADCAST", device instanceof Dummy ? "NOARP" : "MULTICAST");
  if (device.up) flags.push("UP");
  if (device.up && device.carrier) flags.push("LOWER_UP");
  return flags;
}

/** `link/ether 02:42:ac:11:00:02 brd ff:ff:ff:ff:ff:ff`. */
export function hardware(device: Device): {
  readonly type: string;
  readonly address: string;
  readonly broadcast: string;
} {
  if (device instanceof FallbackTunnel) return { type: device.linkType, ...NO_ADDRESS[device.kind] };
  const address = formatMac(device.macHigh, device.macLow);
  if (device instanceof Loopback) return { type: "loopback", address, broadcast: "00:00:00:00:00:00" };
  return { type: "ether", address, broadcast: "ff:ff:ff:ff:ff:ff" };
}

const none = (address: string) => ({ address, broadcast: address });
const NO_ADDRESS = { ipip: none("0.0.0.0"), ip6tnl: none(new Array(16).fill("00").join(":")) };

export const queueing = (device: Device): "noqueue" | "noop" => (device.activated ? "noqueue" : "noop");

/** The bridge that a device is a port of. */
export function masterOf(device: Device, net: Namespace): Bridge | null {
  for (const { device: bridge } of net.inDevices.values())
    if (bridge instanceof Bridge && bridge.portOf(device) !== null) return bridge;
  return null;
}

/** The other end of a cable, or what a device stands on. */
export function peerOf(device: Device): Device | null {
  if (device instanceof Upper) return device.lower;
  return device instanceof Veth ? device.peer : null;
}

/** `peernet2id()`: namespaces at the far ends of cables get numbers in the order in which they come up here. */
export function namespaceId(device: Device, net: Namespace): number | null {
  const peer = peerOf(device);
  if (peer === null || peer.namespace === net.name) return null;
  const ids: string[] = [];
  for (const { device: other } of net.inDevices.values()) {
    const far = peerOf(other);
    if (far !== null && far.namespace !== net.name && !ids.includes(far.namespace)) ids.push(far.namespace);
  }
  return ids.indexOf(peer.namespace);
}
