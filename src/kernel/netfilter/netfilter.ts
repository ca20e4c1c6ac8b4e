import type { Device } from "../../link/device.ts";
import type { ConnectionState, Packet } from "../../packet/packet.ts";
import { STEP, WORDS } from "../../trace/step.ts";
import type { Namespace } from "../namespace.ts";
import { type HookUser, PRIORITY } from "./hook-user.ts";
import {
  HOOKS,
  type Hook,
  type Match,
  NEEDS_CONNTRACK,
  type Notice,
  type Rule,
  type Table,
  type TableName,
} from "./rule.ts";
import { TableWalk } from "./table-walk.ts";

const STATES: readonly ConnectionState[] = WORDS.connectionState;

/** One of the five hooks of a namespace. */
export class HookPoint {
  private users: readonly HookUser[] = [];
  /** Stands behind everything else, and behind what a trace calls the end of the hook. */
  private last: HookUser | null = null;
  private readonly number: number;

  constructor(
    private readonly net: Namespace,
    readonly hook: Hook,
  ) {
    this.number = HOOKS.indexOf(hook);
  }

  use(users: readonly HookUser[]): void {
    const sorted = [...users].sort((a, b) => a.priority - b.priority);
    this.last = sorted.find(({ priority }) => priority === PRIORITY.confirm) ?? null;
    this.users = sorted.filter((user) => user !== this.last);
  }

  /** `nf_hook_slow()`: true when the packet goes on, false when it is gone. Takes ownership when false. */
  run(packet: Packet, input: Device | null, output: Device | null): boolean {
    const { trace } = this.net.fabric;
    if (trace !== null) this.record(packet, 0, input, output);
    const users = this.users;
    for (let i = 0; i < users.length; i++) {
      const verdict = users[i]!.run(packet, input, output);
      if (verdict !== "ACCEPT") return this.keep(packet, verdict);
    }
    if (trace !== null) this.record(packet, 1, input, output);
    if (this.last === null) return true;
    const verdict = this.last.run(packet, input, output);
    return verdict === "ACCEPT" || this.keep(packet, verdict);
  }

  private keep(packet: Packet, verdict: "DROP" | "STOLEN"): false {
    if (verdict === "DROP") this.net.fabric.drop(packet, this.net.place, "NETFILTER_DROP");
    else this.net.dropError = null;
    return false;
  }

  private record(packet: Packet, passage: number, input: Device | null, output: Device | null): void {
    const state = STATES.indexOf(packet.connectionState);
    this.net.fabric.trace!.step(
      STEP.hook,
      packet.id,
      this.net.place,
      this.number | (passage << 3) | (state << 5),
      input === null ? 0 : input.place,
      output === null ? 0 : output.place,
      packet.mark,
    );
  }
}

/** The rules of one namespace and what hangs on its hooks. */
export class Netfilter {
  readonly tables = new Map<TableName, Table>();
  /** What the rules that were loaded name and do not do here, in order. */
  readonly notices: Notice[] = [];
  /** Matches of rules that stayed while others came or went are not attached again. */
  private readonly attached = new WeakSet<Match>();
  readonly prerouting: HookPoint;
  readonly input: HookPoint;
  readonly forward: HookPoint;
  readonly output: HookPoint;
  readonly postrouting: HookPoint;

  constructor(private readonly net: Namespace) {
    this.prerouting = new HookPoint(net, "prerouting");
    this.input = new HookPoint(net, "input");
    this.forward = new HookPoint(net, "forward");
    this.output = new HookPoint(net, "output");
    this.postrouting = new HookPoint(net, "postrouting");
  }

  private *rules(): Generator<Rule> {
    for (const table of this.tables.values()) for (const chain of table.chains.values()) yield* chain.rules;
  }

  /** True while a loaded rule makes the kernel track connections. */
  get tracks(): boolean {
    for (const { action, matches } of this.rules()) {
      const target = action.kind === "target" ? action.target : null;
      if (target !== null && (target.needsConntrack ?? NEEDS_CONNTRACK.has(target.name))) return true;
      for (const match of matches) if (NEEDS_CONNTRACK.has(match.name)) return true;
    }
    return false;
  }

  /** True while a loaded rule asks for sockets, for which datagrams must be whole (`socket_mt_enable_defrag()`). */
  private get asksForSockets(): boolean {
    for (const { action } of this.rules()) if (action.kind === "target" && action.target.name === "TPROXY") return true;
    return this.names("socket");
  }

  /** True while a loaded rule has this match. */
  private names(match: string): boolean {
    for (const { matches } of this.rules()) if (matches.some(({ name }) => name === match)) return true;
    return false;
  }

  /** Replaces the tables that are given, as `iptables-restore` does; the others stay. */
  load(tables: readonly Table[]): void {
    for (const table of tables) {
      this.tables.set(table.name, table);
      this.register(table);
    }
    this.forget();
    this.hang();
  }

  /** What rules share goes with the last of them. */
  private forget(): void {
    const { ruleState } = this.net;
    const shared = new Set<string | undefined>();
    for (const { matches } of this.rules()) for (const match of matches) shared.add(match.shares);
    for (const name of ruleState.keys()) if (!shared.has(name)) ruleState.delete(name);
  }

  private register(table: Table): void {
    const { names } = this.net.fabric;
    const namespace = this.net.name;
    for (const chain of table.chains.values()) {
      chain.place = names.add({ kind: "chain", namespace, table: table.name, chain: chain.name });
      chain.rules.forEach((rule, index) => {
        const where = { namespace, table: table.name, chain: chain.name };
        const unmodelled = rule.notices.map(({ text }) => text).join("; ");
        if (rule.place === 0) this.notices.push(...rule.notices);
        rule.place = names.add({ kind: "rule", ...where, number: index + 1, text: rule.text, unmodelled });
        for (const [i, match] of rule.matches.entries()) {
          if (this.attached.has(match)) continue;
          this.attached.add(match);
          match.attach?.(this.net, `${table.name}/${chain.name}/${index + 1}/${i}`);
        }
      });
    }
  }

  /** Decides anew who stands on which hook. */
  private hang(): void {
    const tracks = this.tracks;
    const gathers = tracks || this.asksForSockets;
    this.net.tracker.enable(tracks);
    this.net.tracker.labels = this.names("connlabel");
    for (const hook of HOOKS) {
      const users: HookUser[] = [];
      if (gathers) users.push(...this.net.tracker.gatherers(hook));
      if (tracks) users.push(...this.net.tracker.users(hook));
      for (const table of this.tables.values()) {
        const walk = table.base(hook) === null ? null : new TableWalk(this.net, table, hook);
        if (table.name !== "nat") {
          if (walk !== null) users.push(walk);
        } else if (tracks && hook !== "forward") users.push(this.net.nat.user(hook, walk));
      }
      this[hook].use(users);
    }
  }
}
