import { maskOf } from "../wire/address.ts";
import type { InDevice, Scope } from "./in-device.ts";

export type RouteType =
  | "unicast"
  | "local"
  | "broadcast"
  | "multicast"
  | "blackhole"
  | "unreachable"
  | "prohibit"
  | "throw"
  | "no route"
  | "martian";

/** Who made a route (`/etc/iproute2/rt_protos`): the kernel for an address, `ip route add` (boot), a daemon. */
export type RouteProtocol = "kernel" | "boot" | "static" | "dhcp";

export const TABLE_LOCAL = 255;
export const TABLE_MAIN = 254;
export const TABLE_DEFAULT = 253;

export interface RouteOptions {
  readonly type?: RouteType;
  readonly destination: number;
  readonly length: number;
  readonly gateway?: number;
  readonly device?: InDevice | null;
  readonly source?: number;
  readonly metric?: number;
  readonly tos?: number;
  readonly table?: number;
  readonly scope?: Scope;
  /** Path MTU in bytes that the route was given; 0 for none. */
  readonly mtu?: number;
  readonly protocol?: RouteProtocol;
  readonly local?: boolean;
}

/** A route and its next hop (`struct fib_info`, `struct fib_nh`). */
export class Route {
  readonly type: RouteType;
  readonly destination: number;
  readonly length: number;
  readonly mask: number;
  /** 0 where the destination is on the link. */
  readonly gateway: number;
  /** Null only for blackhole, unreachable, prohibit and throw. */
  readonly device: InDevice | null;
  /** Preferred source (`src`), 0 for none. */
  readonly source: number;
  readonly metric: number;
  readonly tos: number;
  readonly table: number;
  readonly scope: Scope;
  readonly mtu: number;
  readonly protocol: RouteProtocol;
  /** What follows it is for this host (`RTCF_LOCAL`), as is all of our own that leaves by lo. */
  readonly local: boolean;

  constructor(options: RouteOptions) {
    this.type = options.type ?? "unicast";
    this.length = options.length;
    this.mask = maskOf(options.length);
    this.destination = options.destination & this.mask;
    this.gateway = options.gateway ?? 0;
    this.device = options.device ?? null;
    this.source = options.source ?? 0;
    this.metric = options.metric ?? 0;
    this.tos = options.tos ?? 0;
    this.table = options.table ?? TABLE_MAIN;
    this.scope = options.scope ?? (this.gateway !== 0 ? "global" : this.type === "local" ? "host" : "link");
    this.mtu = options.mtu ?? 0;
    this.protocol = options.protocol ?? "boot";
    this.local = options.local ?? this.type === "local";
  }
}

/** What a lookup asks (`struct flowi4`). */
export interface Flow {
  destination: number;
  source: number;
  tos: number;
  mark: number;
  /** Index of the device the packet came in on, 0 for one of our own. */
  in: number;
  /** Index of the device it must leave by, 0 for any. */
  out: number;
}

/** Routes by prefix length; the longest is asked first. */
class FibTable {
  private readonly byLength: (Map<number, Route[]> | null)[] = new Array(33).fill(null);
  /** Lengths that hold routes, longest first. */
  private lengths: number[] = [];

  add(route: Route): boolean {
    let routes = this.byLength[route.length] ?? null;
    if (routes === null) {
      this.byLength[route.length] = routes = new Map();
      this.lengths = [...this.lengths, route.length].sort((a, b) => b - a);
    }
    const list = routes.get(route.destination);
    if (list === undefined) {
      routes.set(route.destination, [route]);
      return true;
    }
    if (
      list.some(
        (other) =>
          other.tos === route.tos &&
          other.metric === route.metric &&
          other.type === route.type &&
          other.device === route.device &&
          other.gateway === route.gateway,
      )
    )
      return false;
    list.push(route);
    list.sort((a, b) => b.tos - a.tos || a.metric - b.metric);
    return true;
  }

  remove(gone: (route: Route) => boolean): void {
    this.lengths = this.lengths.filter((length) => {
      const routes = this.byLength[length]!;
      for (const [destination, list] of routes) {
        const kept = list.filter((route) => !gone(route));
        if (kept.length === 0) routes.delete(destination);
        else routes.set(destination, kept);
      }
      if (routes.size === 0) this.byLength[length] = null;
      return routes.size > 0;
    });
  }

  /** `fib_table_lookup()`: null when nothing matches. `out` 0 accepts any device. */
  lookup(destination: number, tos: number, out: number): Route | null {
    const lengths = this.lengths;
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i]!;
      const list = this.byLength[length]!.get(destination & maskOf(length));
      if (list === undefined) continue;
      for (let j = 0; j < list.length; j++) {
        const route = list[j]!;
        if (route.tos !== 0 && route.tos !== tos) continue;
        if (out !== 0 && route.device !== null && route.device.device.index !== out) continue;
        return route;
      }
    }
    return null;
  }

  *[Symbol.iterator](): Generator<Route> {
    for (const length of this.lengths) for (const list of this.byLength[length]!.values()) yield* list;
  }
}

/** One line of `ip rule`. */
export interface PolicyRule {
  readonly priority: number;
  readonly from?: { readonly address: number; readonly mask: number };
  readonly to?: { readonly address: number; readonly mask: number };
  /** Index of the incoming device; 0 for any. */
  readonly in?: number;
  readonly out?: number;
  readonly mark?: number;
  readonly markMask?: number;
  readonly tos?: number;
  readonly action: "lookup" | "blackhole" | "unreachable" | "prohibit";
  readonly table: number;
}

const DEFAULT_RULES: readonly PolicyRule[] = [
  { priority: 0, action: "lookup", table: TABLE_LOCAL },
  { priority: 32_766, action: "lookup", table: TABLE_MAIN },
  { priority: 32_767, action: "lookup", table: TABLE_DEFAULT },
];

const REFUSALS = {
  blackhole: new Route({ type: "blackhole", destination: 0, length: 0, table: 0 }),
  /** A rule says ENETUNREACH where a route says EHOSTUNREACH. */
  unreachable: new Route({ type: "no route", destination: 0, length: 0, table: 0 }),
  prohibit: new Route({ type: "prohibit", destination: 0, length: 0, table: 0 }),
};

/** The forwarding information base of one namespace: tables, and the rules that say in which order they are asked. */
export class Fib {
  private readonly tables = new Map<number, FibTable>();
  readonly rules: PolicyRule[] = [...DEFAULT_RULES];
  private readonly local = this.table(TABLE_LOCAL);
  private readonly main = this.table(TABLE_MAIN);
  /** Rules beyond the three that are always there. */
  customRules = false;

  /** False when the very same route exists already. */
  add(route: Route): boolean {
    return this.table(route.table).add(route);
  }

  remove(gone: (route: Route) => boolean): void {
    for (const table of this.tables.values()) table.remove(gone);
  }

  addRule(rule: PolicyRule): void {
    let slot = this.rules.findIndex((other) => other.priority > rule.priority);
    if (slot < 0) slot = this.rules.length;
    this.rules.splice(slot, 0, rule);
    this.customRules = true;
  }

  /** `fib_lookup()`: the route, one that refuses, or null when no table knows. */
  lookup(flow: Flow): Route | null {
    if (this.customRules) return this.lookupByRules(flow);
    const local = this.local.lookup(flow.destination, flow.tos, flow.out);
    if (local !== null && local.type !== "throw") return local;
    const main = this.main.lookup(flow.destination, flow.tos, flow.out);
    if (main !== null && main.type !== "throw") return main;
    return this.tables.get(TABLE_DEFAULT)?.lookup(flow.destination, flow.tos, flow.out) ?? null;
  }

  private lookupByRules(flow: Flow): Route | null {
    for (const rule of this.rules) {
      if (!ruleMatches(rule, flow)) continue;
      if (rule.action !== "lookup") return REFUSALS[rule.action];
      const route = this.tables.get(rule.table)?.lookup(flow.destination, flow.tos, flow.out) ?? null;
      if (route !== null && route.type !== "throw") return route;
    }
    return null;
  }

  /** The local table alone, for questions about the address itself. */
  lookupLocal(destination: number): Route | null {
    return this.local.lookup(destination, 0, 0);
  }

  *[Symbol.iterator](): Generator<Route> {
    for (const table of this.tables.values()) yield* table;
  }

  private table(id: number): FibTable {
    let table = this.tables.get(id);
    if (table === undefined) this.tables.set(id, (table = new FibTable()));
    return table;
  }
}

function ruleMatches(rule: PolicyRule, flow: Flow): boolean {
  if (rule.from !== undefined && ((flow.source ^ rule.from.address) & rule.from.mask) !== 0) return false;
  if (rule.to !== undefined && ((flow.destination ^ rule.to.address) & rule.to.mask) !== 0) return false;
  if (rule.in !== undefined && rule.in !== flow.in) return false;
  if (rule.out !== undefined && rule.out !== flow.out) return false;
  if (rule.tos !== undefined && rule.tos !== flow.tos) return false;
  return rule.mark === undefined || ((flow.mark ^ rule.mark) & (rule.markMask ?? -1)) === 0;
}
