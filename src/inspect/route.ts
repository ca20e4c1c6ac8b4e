import { type Route, TABLE_MAIN } from "../kernel/fib.ts";
import { formatIpv4 } from "../wire/address.ts";
import { routesOf } from "./ip-route.ts";
import type { Machine } from "./machine.ts";
import { lines, type Printed, printed, unmodelled } from "./printed.ts";
import { familyOf } from "./userland.ts";

/** A line of `/proc/net/route` (`fib_route_seq_show()`). */
interface Row {
  readonly destination: string;
  readonly gateway: string;
  readonly mask: string;
  readonly flags: string;
  readonly metric: number;
  readonly device: string;
  readonly refuses: boolean;
}

/** `route [-n] [-e]`, of net-tools 2.10 and of BusyBox. */
export function route(args: readonly string[], machine: Machine): Printed {
  let numeric = false;
  let extended = 0;
  for (const word of args) {
    const letters = /^-[neFv46]+$/.test(word) ? word.slice(1) : word === "--numeric" ? "n" : null;
    if (letters === null) throw unmodelled(`route ${word}`, "route [-n] [-e]; ip route add and del change routes");
    if (letters.includes("n")) numeric = true;
    extended += letters.split("e").length - 1;
  }
  return printed(routeTable(machine, numeric, extended === 1));
}

/** `extended`: the columns of `netstat -r`. */
export function routeTable(machine: Machine, numeric: boolean, extended: boolean): string {
  const busybox = familyOf(machine.host) === "busybox";
  const rows = routesOf(machine.host.net, TABLE_MAIN).map((each) => rowOf(each, numeric, busybox));
  const head = extended ? "Flags   MSS Window  irtt Iface" : "Flags Metric Ref    Use Iface";
  const body = rows.map((row) => start(row) + (extended ? windowColumns(row) : metricColumns(row)));
  return lines(["Kernel IP routing table", `Destination     Gateway         Genmask         ${head}`, ...body]);
}

const NETWORKS: Readonly<Record<string, string>> = { "127.0.0.0": "loopback", "169.254.0.0": "link-local" };

function rowOf(each: Route, numeric: boolean, busybox: boolean): Row {
  const refuses = each.type === "unreachable" || each.type === "prohibit";
  const destination = formatIpv4(each.destination);
  const gateway = formatIpv4(each.gateway);
  const named = each.length === 0 ? "default" : busybox ? destination : (NETWORKS[destination] ?? destination);
  const flags = `U${each.gateway !== 0 ? "G" : ""}${each.length === 32 ? "H" : ""}`;
  return {
    destination: numeric ? destination : named,
    gateway: refuses ? "-" : !numeric && busybox && each.gateway === 0 ? "*" : gateway,
    mask: formatIpv4(each.mask),
    flags: refuses ? "!" : flags,
    metric: each.metric,
    device: refuses ? "-" : (each.device?.device.name ?? "*"),
    refuses,
  };
}

const start = ({ destination, gateway, mask }: Row): string =>
  [destination, gateway, mask].map((text) => text.slice(0, 15).padEnd(16)).join("");

const metricColumns = ({ flags, metric, device, refuses }: Row): string =>
  `${flags.padEnd(6)}${String(metric).padEnd(6)} ${refuses ? "- " : "0 "} ${"0".padStart(7)} ${device}`;

const windowColumns = ({ flags, device, refuses }: Row): string => {
  const zero = refuses ? "-" : "0";
  return `${flags.padEnd(6)}${zero.padStart(5)} ${zero.padEnd(5)} ${zero.padStart(6)} ${device}`;
};
