import type { Device } from "../../link/device.ts";
import type { Packet } from "../../packet/packet.ts";
import type { InputError } from "../../wire/input-error.ts";
import type { Namespace } from "../namespace.ts";

/**
 * The five hooks, in the order of `enum nf_inet_hooks`:
 *
 *   arrive -> prerouting -> route -> forward -> postrouting -> leave
 *                             |                     ^
 *                           input                 output <- route
 *                             v                     |
 *                           socket               socket
 */
export const HOOKS = ["prerouting", "input", "forward", "output", "postrouting"] as const;
export type Hook = (typeof HOOKS)[number];

/** What a rule or a hook says of a packet. A packet that is stolen belongs to who stole it. */
export type Verdict = "ACCEPT" | "DROP" | "STOLEN";
/** What a target says: a verdict, or how the walk through the rules goes on. */
export type TargetVerdict = Verdict | "CONTINUE" | "RETURN";

export const TABLES = ["raw", "mangle", "nat", "filter", "security"] as const;
export type TableName = (typeof TABLES)[number];

/** Which base chains each table has. */
export const BASE_CHAINS: Readonly<Record<TableName, readonly string[]>> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
  security: ["INPUT", "FORWARD", "OUTPUT"],
};

/** What a match or target may know beside the packet (`struct xt_action_param`). One per table and hook, reused. */
export interface RuleContext {
  readonly net: Namespace;
  readonly table: TableName;
  readonly hook: Hook;
  /** The device it came in on; null in output and postrouting. */
  in: Device | null;
  /** The device it will leave by; null in prerouting and input. */
  out: Device | null;
  /** Set by a match to drop the packet at once (`hotdrop`). */
  hotdrop: boolean;
}

/** An extension that answers yes or no. Must not change the packet. */
export interface Match {
  /** As after `-m`. */
  readonly name: string;
  /** What it keeps in `Namespace.ruleState` together with other rules, for as long as a loaded rule names it. */
  readonly shares?: string;
  /** Called when its rule is loaded first; `label` names the rule. */
  attach?(net: Namespace, label: string): void;
  matches(packet: Packet, context: RuleContext): boolean;
  /** Its options as `iptables-save` prints them, without `-m name`. */
  print(): string;
}

/** An extension that does something. */
export interface Target {
  /** As after `-j`. */
  readonly name: string;
  apply(packet: Packet, context: RuleContext): TargetVerdict;
  /** Its options as `iptables-save` prints them, without `-j name`; empty for none. */
  print(): string;
  /** Overrides what its name says in NEEDS_CONNTRACK. */
  readonly needsConntrack?: boolean;
}

/** Where a rule sends a packet that it matches. */
export type Action =
  | { readonly kind: "none" }
  | { readonly kind: "verdict"; readonly verdict: "ACCEPT" | "DROP" | "RETURN" }
  | { readonly kind: "chain"; readonly chain: Chain; readonly goto: boolean }
  | { readonly kind: "target"; readonly target: Target };

/** Addresses, interfaces and protocol that every rule can name (`struct ipt_ip`). */
export interface RuleHeader {
  source: number;
  sourceMask: number;
  notSource: boolean;
  destination: number;
  destinationMask: number;
  notDestination: boolean;
  /** Empty for any; a trailing `+` stands for any ending. */
  in: string;
  notIn: boolean;
  out: string;
  notOut: boolean;
  /** 0 for any. */
  protocol: number;
  notProtocol: boolean;
  /** `-f`: second and further fragments only; with `notFragment` all others only. */
  fragment: boolean;
  notFragment: boolean;
}

/** What of a rule hopscope takes and does not do. */
export interface Notice {
  /** Which option, and what comes of it. */
  readonly text: string;
  readonly place: InputError["place"];
}

export class Rule {
  packets = 0;
  bytes = 0;
  /** This rule in the trace's names, set when its table is loaded. */
  place = 0;
  notices: readonly Notice[] = [];

  constructor(
    readonly header: RuleHeader,
    readonly matches: readonly Match[],
    readonly action: Action,
    /** As `iptables-save` prints it, without `-A CHAIN`. */
    readonly text: string,
  ) {}
}

export class Chain {
  packets = 0;
  bytes = 0;
  readonly rules: Rule[] = [];
  /** False for a base chain that only rules have named: iptables-nft makes it without counters. */
  counts = true;
  /** This chain in the trace's names, set when its table is loaded. */
  place = 0;

  constructor(
    readonly name: string,
    /** Null for a user-defined chain. */
    public policy: "ACCEPT" | "DROP" | null,
  ) {}
}

/** One table of one namespace, chains in the order in which `iptables-save` prints them. */
export class Table {
  readonly chains = new Map<string, Chain>();

  constructor(readonly name: TableName) {}

  /** The base chain of a hook, or null where this table has none. */
  base(hook: Hook): Chain | null {
    return this.chains.get(hook.toUpperCase()) ?? null;
  }
}

/** True when a rule with this extension makes the kernel track connections (`nf_ct_netns_get()`). */
export const NEEDS_CONNTRACK: ReadonlySet<string> = new Set([
  "conntrack",
  "state",
  "connmark",
  "connlimit",
  "connlabel",
  "connbytes",
  "helper",
  "cluster",
  "CONNMARK",
  "CT",
  "SNAT",
  "DNAT",
  "MASQUERADE",
  "REDIRECT",
  "NETMAP",
]);
