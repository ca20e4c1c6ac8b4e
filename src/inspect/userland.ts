import type { Host } from "../world/world.ts";

/**
 * What is installed on a host or in a container decides how its tools print. Named by the distribution: Debian 12 has
 * iproute2 6.1 and net-tools 2.10, Alpine has BusyBox, LinuxKit (the VM of Docker Desktop) iproute2 beside BusyBox,
 * Ubuntu 16.04 iproute2 4.3, Debian 8 iproute2 3.16.
 */
export const USERLANDS = ["debian-12", "alpine", "linuxkit", "ubuntu-16.04", "debian-8"] as const;
export type Userland = (typeof USERLANDS)[number];

/** How an `ip` prints. */
export interface IpStyle {
  /** It takes iproute2's options and words; BusyBox knows fewer. */
  readonly full: boolean;
  /** `group default`, and `mode DEFAULT` of a link. */
  readonly group: boolean;
  /** The number of the namespace at a cable's far end. */
  readonly netnsid: boolean;
  /** A far end is looked up by its number among the devices here; what one that is not there counts as. */
  readonly looksUpPeers: false | "missing is up" | "missing is down";
  /** Words of a route that bring a blank of their own. */
  readonly blankBefore: RegExp;
  /** Words of a route that it leaves out. */
  readonly leavesOut: RegExp;
}

const NOTHING = /^$/;
const IPROUTE2: IpStyle = {
  full: true,
  group: true,
  netnsid: true,
  looksUpPeers: false,
  blankBefore: NOTHING,
  leavesOut: NOTHING,
};
/** Until 4.12 some words brought a blank of their own. */
const WIDE = /^(proto|scope|src|metric|mtu|table) /;
const IPROUTE2_4: IpStyle = { ...IPROUTE2, blankBefore: WIDE };
const BUSYBOX: IpStyle = {
  full: false,
  group: false,
  netnsid: false,
  looksUpPeers: "missing is down",
  blankBefore: /^(src|metric) /,
  leavesOut: /^(proto|mtu|linkdown)\b/,
};

const IP_STYLES: Readonly<Record<Userland, IpStyle>> = {
  "debian-12": IPROUTE2,
  linuxkit: IPROUTE2,
  alpine: BUSYBOX,
  "ubuntu-16.04": IPROUTE2_4,
  "debian-8": { ...IPROUTE2_4, netnsid: false },
};

/** As `/etc/os-release` says; Debian 12 where there is no such file. */
export function userlandOf({ files }: Pick<Host, "files">): Userland {
  const text = files.get("/etc/os-release") ?? "";
  const value = (key: string) => new RegExp(`^${key}="?([^"\n]*)`, "m").exec(text)?.[1] ?? "";
  const id = value("ID");
  return USERLANDS.find((each) => each === id || each === `${id}-${value("VERSION_ID")}`) ?? "debian-12";
}

/** Who prints `ip`. */
export const ipStyleOf = (host: Pick<Host, "files">): IpStyle => IP_STYLES[userlandOf(host)];

/** Who prints `ifconfig`, `route`, `netstat`, `ps`, `ping` and `traceroute`: the GNU system's own, or BusyBox. */
export const familyOf = (host: Pick<Host, "files">): "gnu" | "busybox" =>
  ["alpine", "linuxkit"].includes(userlandOf(host)) ? "busybox" : "gnu";
