import { type Route, type RouteType, TABLE_LOCAL, TABLE_MAIN } from "../kernel/fib.ts";
import type { Namespace } from "../kernel/namespace.ts";
import { formatIpv4, type Prefix } from "../wire/address.ts";
import type { IpOptions } from "./ip-options.ts";
import { changeRoute } from "./ip-route-change.ts";
import { getRoute } from "./ip-route-get.ts";
import { readAddress, readDevice, readPrefix, readTable, tableName } from "./ip-value.ts";
import type { Machine } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import { type IpStyle, ipStyleOf } from "./userland.ts";
import { matching, type Words } from "./words.ts";

const COMMANDS = [
  "list",
  "show",
  "lst",
  "get",
  "add",
  "change",
  "chg",
  "replace",
  "prepend",
  "append",
  "delete",
  "flush",
  "save",
  "help",
] as const;

/** `ip route`, of iproute2 6.1. */
export function ipRoute(words: Words, machine: Machine, options: IpOptions): Printed {
  const command = words.done ? "show" : words.next();
  const known = matching(command, COMMANDS);
  if (options.family === "inet6") return printed("");
  switch (known) {
    case null:
      throw new Refusal(`Command "${command}" is unknown, try "ip route help".`, 255);
    case "list":
    case "show":
    case "lst":
      return show(words, machine);
    case "get":
      return getRoute(words, machine);
    case "add":
    case "replace":
    case "append":
    case "delete":
      return changeRoute(known, words, machine);
    default:
      throw unmodelled(`ip route ${known}`, "ip route [show], get, add, append, replace and del");
  }
}

interface Filter {
  /** Null for all. */
  table: number | null;
  type: RouteType | null;
  device: string | null;
  gateway: number | null;
  protocol: string | null;
  scope: string | null;
  /** The very prefix. */
  exact: Prefix | null;
  root: Prefix | null;
  match: Prefix | null;
}

function show(words: Words, machine: Machine): Printed {
  const { net } = machine.host;
  const filter = readFilter(words, net);
  const routes = [...net.fib].filter((route) => passes(route, filter));
  const tables = [...new Set([...net.fib].map(({ table }) => table))];
  if (filter.table !== null && ![TABLE_MAIN, TABLE_LOCAL].includes(filter.table) && !tables.includes(filter.table))
    throw new Refusal("Error: ipv4: FIB table does not exist.\nDump terminated", 2);
  const dumped = inTrieOrder(routes);
  const style = ipStyleOf(machine.host);
  return printed(dumped.map((route) => `${routeText(route, filter, style)}\n`).join(""));
}

function readFilter(words: Words, net: Namespace): Filter {
  const filter: Filter = {
    table: TABLE_MAIN,
    type: null,
    device: null,
    gateway: null,
    protocol: null,
    scope: null,
    exact: null,
    root: null,
    match: null,
  };
  while (!words.done) {
    const word = words.next();
    if (word === "table") {
      const table = words.need();
      filter.table = table === "all" ? null : readTable(table);
    } else if (word === "type") filter.type = words.need() as RouteType;
    else if (word === "dev" || word === "oif") filter.device = readDevice(words.need(), net);
    else if (word === "via") filter.gateway = readAddress(words.need());
    else if (word === "proto" || word === "protocol") filter.protocol = words.need();
    else if (word === "scope") filter.scope = words.need();
    else if (word === "root") filter.root = readPrefix(words.need());
    else if (word === "match") filter.match = readPrefix(words.need());
    else if (["src", "metric", "tos", "cache", "from", "vrf", "realms"].includes(word))
      throw unmodelled(`ip route show ${word}`, "table, type, dev, via, proto, scope, root, match and exact");
    else filter.exact = readPrefix(word === "exact" || word === "to" ? words.need() : word);
  }
  return filter;
}

function passes(route: Route, filter: Filter): boolean {
  const { exact, root, match } = filter;
  if (filter.table !== null && route.table !== filter.table) return false;
  if (filter.type !== null && route.type !== filter.type) return false;
  if (filter.device !== null && route.device?.device.name !== filter.device) return false;
  if (filter.gateway !== null && route.gateway !== filter.gateway) return false;
  if (filter.protocol !== null && route.protocol !== filter.protocol) return false;
  if (filter.scope !== null && route.scope !== filter.scope) return false;
  if (exact !== null && (route.destination !== exact.address || route.length !== exact.length)) return false;
  if (root !== null && (route.length < root.length || (route.destination & root.mask) !== root.address)) return false;
  return match === null || (route.length <= match.length && (match.address & route.mask) === route.destination);
}

/** `inet_dump_fib()`: table by table, in the order of their hash; in a table by address, and of one address the longest prefix first. */
function inTrieOrder(routes: readonly Route[]): Route[] {
  const rank = ({ table }: Route) => table & 255;
  return [...routes].sort(
    (a, b) =>
      rank(a) - rank(b) ||
      (a.destination >>> 0) - (b.destination >>> 0) ||
      b.length - a.length ||
      b.tos - a.tos ||
      a.metric - b.metric,
  );
}

/** The routes of one table, as the kernel dumps them. */
export const routesOf = (net: Namespace, table: number): Route[] =>
  inTrieOrder([...net.fib].filter((route) => route.table === table));

function destinationText(route: Route): string {
  if (route.length === 0) return "default";
  const address = formatIpv4(route.destination);
  return route.length === 32 ? address : `${address}/${route.length}`;
}

/** `print_route()`. Each word keeps its blank. */
function routeText(
  route: Route,
  filter: Pick<Filter, "table" | "device" | "gateway" | "protocol" | "scope">,
  style: IpStyle,
): string {
  const words: string[] = [];
  if (route.type !== "unicast") words.push(route.type);
  words.push(destinationText(route));
  if (route.tos !== 0) words.push(`tos 0x${route.tos.toString(16).padStart(2, "0")}`);
  if (route.gateway !== 0 && filter.gateway === null) words.push(`via ${formatIpv4(route.gateway)}`);
  const device = route.device?.device ?? null;
  if (device !== null && filter.device === null) words.push(`dev ${device.name}`);
  if (route.table !== TABLE_MAIN && filter.table === null) words.push(`table ${tableName(route.table)}`);
  if (route.protocol !== "boot" && filter.protocol === null) words.push(`proto ${route.protocol}`);
  if (route.scope !== "global" && filter.scope === null && device !== null) words.push(`scope ${route.scope}`);
  if (route.source !== 0) words.push(`src ${formatIpv4(route.source)}`);
  if (route.metric !== 0) words.push(`metric ${route.metric >>> 0}`);
  if (device !== null && route.scope !== "host" && !(device.up && device.carrier)) words.push("linkdown");
  if (route.mtu !== 0) words.push(`mtu ${route.mtu}`);
  return words
    .filter((word) => !style.leavesOut.test(word))
    .map((word) => `${style.blankBefore.test(word) ? " " : ""}${word} `)
    .join("");
}
