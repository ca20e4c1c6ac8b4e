import { Route, type RouteProtocol, type RouteType } from "../kernel/fib.ts";
import { parseIpv4, parsePrefix } from "../wire/address.ts";
import type { World } from "../world/world.ts";

/** A route, in the words of `ip route add`. */
export interface RouteSpec {
  type?: string;
  dst?: string;
  via?: string;
  dev?: string;
  src?: string;
  metric?: number;
  table?: number;
  tos?: number;
  mtu?: number;
  proto?: string;
}

/** A policy rule, in the words of `ip rule add`. */
export interface PolicySpec {
  from?: string;
  to?: string;
  iif?: string;
  oif?: string;
  fwmark?: number;
  fwmask?: number;
  prio?: number;
  table?: number;
  action?: "lookup" | "blackhole" | "unreachable" | "prohibit";
}

const ROUTE_TYPES = ["unicast", "blackhole", "unreachable", "prohibit", "throw", "local"];
const PROTOCOLS: readonly string[] = ["kernel", "boot", "static", "dhcp"];
const TABLES: Readonly<Record<string, number>> = { local: 255, main: 254, default: 253 };

/** `ip route add` words: `default via A dev D`, `blackhole P`. @throws {RangeError} with what is wrong. */
export function parseRoute(text: string): RouteSpec {
  const words = text.trim().split(/\s+/);
  const route: RouteSpec = {};
  if (ROUTE_TYPES.includes(words[0] ?? "")) route.type = words.shift()!;
  route.dst = words.shift() || "default";
  while (words.length > 0) {
    const key = words.shift()!;
    const value = words.shift();
    if (value === undefined) throw new RangeError(`no value after ${key}`);
    if (key === "via" || key === "dev" || key === "src" || key === "proto") route[key] = value;
    else if (key === "table") route.table = tableNumber(value);
    else if (key === "metric" || key === "mtu" || key === "tos") route[key] = whole(key, value);
    else throw new RangeError(`not a word of a route (via, dev, src, metric, table, mtu, tos, proto): ${key}`);
  }
  return route;
}

/** `ip rule add` words: `from P fwmark 1 lookup 100`. @throws {RangeError} with what is wrong. */
export function parsePolicy(text: string): PolicySpec {
  const words = text.trim().split(/\s+/);
  const rule: PolicySpec = {};
  while (words.length > 0) {
    const key = words.shift()!;
    if (key === "blackhole" || key === "unreachable" || key === "prohibit") {
      rule.action = key;
      continue;
    }
    const value = words.shift();
    if (value === undefined) throw new RangeError(`no value after ${key}`);
    if (key === "from" || key === "to") {
      if (value !== "all") rule[key] = value;
    } else if (key === "iif" || key === "oif") rule[key] = value;
    else if (key === "lookup" || key === "table") rule.table = tableNumber(value);
    else if (key === "priority" || key === "prio" || key === "pref") rule.prio = whole(key, value);
    else if (key === "fwmark") {
      const [mark, mask] = value.split("/");
      rule.fwmark = whole(key, mark!) | 0;
      if (mask !== undefined) rule.fwmask = whole(key, mask) | 0;
    } else throw new RangeError(`not a word of a policy rule (from, to, iif, oif, fwmark, lookup, priority): ${key}`);
  }
  if (rule.table === undefined && rule.action === undefined) throw new RangeError("no table to look up");
  return rule;
}

function whole(key: string, text: string): number {
  const value = Number(text);
  if (!/^(\d+|0x[0-9a-f]+)$/i.test(text) || value > 0xffffffff)
    throw new RangeError(`not a number after ${key}: ${text}`);
  return value;
}

const tableNumber = (text: string): number => (Object.hasOwn(TABLES, text) ? TABLES[text]! : whole("table", text));

/** @throws {RangeError} with what the kernel would refuse. */
export function addRoute(world: World, name: string, route: RouteSpec): void {
  const { net } = world.host(name);
  const prefix = parsePrefix(route.dst === undefined || route.dst === "default" ? "0.0.0.0/0" : route.dst);
  const type = (route.type ?? "unicast") as RouteType;
  const gateway = route.via === undefined ? 0 : parseIpv4(route.via);
  const device =
    route.dev === undefined
      ? gateway === 0
        ? null
        : deviceTowards(world, name, gateway)
      : world.inDevice(name, route.dev);
  if (route.proto !== undefined && !PROTOCOLS.includes(route.proto))
    throw new RangeError(`not a routing protocol (${PROTOCOLS.join(", ")}): ${route.proto}`);
  if (type === "unicast" && device === null) throw new RangeError("no via and no dev");
  const added = net.fib.add(
    new Route({
      type,
      destination: prefix.address,
      length: prefix.length,
      gateway,
      device,
      ...(route.src === undefined ? {} : { source: parseIpv4(route.src) }),
      ...(route.metric === undefined ? {} : { metric: route.metric }),
      ...(route.tos === undefined ? {} : { tos: route.tos }),
      ...(route.mtu === undefined ? {} : { mtu: route.mtu }),
      ...(route.proto === undefined ? {} : { protocol: route.proto as RouteProtocol }),
      table: route.table ?? (type === "local" ? 255 : 254),
    }),
  );
  if (!added) throw new RangeError(`route ${route.dst ?? "default"} exists in ${name}`);
}

function deviceTowards(world: World, name: string, gateway: number) {
  const { net } = world.host(name);
  const route = net.fib.lookup({ destination: gateway, source: 0, tos: 0, mark: 0, in: 0, out: 0 });
  if (route === null || route.type !== "unicast" || route.gateway !== 0)
    throw new RangeError(`the gateway is not on a link of ${name}`);
  return route.device;
}

/** @throws {RangeError} with what the kernel would refuse. */
export function addPolicy(world: World, name: string, rule: PolicySpec): void {
  const { net } = world.host(name);
  const prefix = (text: string | undefined) => (text === undefined ? {} : parsePrefix(text));
  net.fib.addRule({
    priority: rule.prio ?? (net.fib.rules[1]?.priority ?? 32_766) - 1,
    ...(rule.from === undefined ? {} : { from: prefix(rule.from) as { address: number; mask: number } }),
    ...(rule.to === undefined ? {} : { to: prefix(rule.to) as { address: number; mask: number } }),
    ...(rule.iif === undefined ? {} : { in: world.device(name, rule.iif).index }),
    ...(rule.oif === undefined ? {} : { out: world.device(name, rule.oif).index }),
    ...(rule.fwmark === undefined ? {} : { mark: rule.fwmark, markMask: rule.fwmask ?? -1 }),
    action: rule.action ?? "lookup",
    table: rule.table ?? 254,
  });
}
