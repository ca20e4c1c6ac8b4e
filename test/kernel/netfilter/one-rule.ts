import { expect } from "vitest";
import { Connection } from "../../../src/kernel/conntrack/connection.ts";
import type { Namespace } from "../../../src/kernel/namespace.ts";
import type { Hook, Match, Rule, RuleContext, TableName, Target } from "../../../src/kernel/netfilter/rule.ts";
import { formatTables, parseRules, type RuleOptions } from "../../../src/kernel/netfilter/rule-text.ts";
import type { Device } from "../../../src/link/device.ts";
import type { Packet } from "../../../src/packet/packet.ts";
import { Pool } from "../../../src/packet/pool.ts";
import { Random } from "../../../src/sim/random.ts";
import { parseIpv4 } from "../../../src/wire/address.ts";
import { InputError } from "../../../src/wire/input-error.ts";

/** Rules below stand in line 4, behind two user-defined chains. */
const wrap = (table: TableName, chain: string, rule: string): string =>
  `*${table}\n:bar - [0:0]\n:foo - [0:0]\n-A ${chain} ${rule}\nCOMMIT\n`;

/** Where a rule stands: `filter INPUT` unless said otherwise. */
export interface Place {
  readonly table?: TableName;
  readonly chain?: string;
}

export function parseOne(rule: string, { table = "filter", chain = "INPUT" }: Place = {}): Rule {
  return parseRules(wrap(table, chain, rule), "rules.v4")[0]!.chains.get(chain)!.rules[0]!;
}

/** What `iptables-save` prints for the rule. */
export const canonical = (rule: string, place: Place = {}): string => parseOne(rule, place).text;

/** Each rule, or pair of rule and canonical form, is printed as it should be, and so is what was printed. */
export function expectCanonical(rules: readonly (string | readonly [string, string])[], place: Place = {}): void {
  for (const item of rules) {
    const [given, expected] = typeof item === "string" ? [item, item] : item;
    expect(canonical(given, place), given).toBe(expected);
    expect(canonical(expected, place)).toBe(expected);
  }
}

/** The error of bad rule text. */
export function refusalOf(text: string, options: RuleOptions = {}): InputError {
  try {
    parseRules(text, "rules.v4", options);
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
  throw new Error(`accepted: ${text}`);
}

/** `line:column found | expected` of a rule that is refused; the column counts from the rule's own first character. */
export function refusal(rule: string, { table = "filter", chain = "INPUT" }: Place = {}): string {
  const error = refusalOf(wrap(table, chain, rule));
  expect(error.place.line).toBe(4);
  return `${error.place.column - `-A ${chain} `.length} ${error.found} | ${error.expected}`;
}

export const matchOf = (rule: string, place: Place = {}): Match => parseOne(rule, place).matches[0]!;

export function targetOf(rule: string, place: Place = {}): Target {
  const { action } = parseOne(rule, place);
  if (action.kind !== "target") throw new Error(`no target: ${rule}`);
  return action.target;
}

/** A namespace that does nothing, for what a match or target asks of it. */
export function stubNamespace(members: object = {}): Namespace {
  const fabric = { trace: null, scheduler: { now: 0 } };
  const state = { sets: new Map(), ruleState: new Map(), addresses: new Map(), random: new Random(1) };
  return { fabric, place: 0, deviceByIndex: () => null, ...state, ...members } as unknown as Namespace;
}

/** Virtual seconds pass in {@link Attached}. */
export interface Attached {
  readonly context: RuleContext;
  readonly scheduler: { now: number };
  /** What each rule's first match says of a packet. */
  ask(packet: Packet, seconds?: number): boolean[];
}

/** The first matches of rules that stand in one loaded table, with a clock of their own. */
export function attached(rules: readonly string[], place: Place = {}, members: object = {}): Attached {
  const scheduler = { now: 0 };
  const context = contextOf("input", { fabric: { trace: null, scheduler }, ...members });
  const matches = rules.map((rule) => matchOf(rule, place));
  for (const [i, match] of matches.entries()) match.attach?.(context.net, `filter/INPUT/${i}`);
  return {
    context,
    scheduler,
    ask(packet, seconds = scheduler.now / 1e9) {
      scheduler.now = seconds * 1e9;
      return matches.map((match) => match.matches(packet, context));
    },
  };
}

export function contextOf(hook: Hook = "input", members: object = {}): RuleContext {
  return { net: stubNamespace(members), table: "filter", hook, in: null, out: null, hotdrop: false };
}

export const device = (name: string, index: number, mtu = 1500): Device => ({ name, index, mtu }) as unknown as Device;

/** A TCP flow from 10.0.0.1:5000 to 10.0.0.2:80. */
export function flow(): Connection {
  const connection = new Connection(1, 0);
  connection.accounted = true;
  const [client, server] = [parseIpv4("10.0.0.1"), parseIpv4("10.0.0.2")];
  connection.original.set(client, server, 6, 5000, 80);
  connection.reply.set(server, client, 6, 80, 5000);
  return connection;
}

export const pool = new Pool();

/** Parse and print again. */
export const reprint = (text: string, counters = false): string =>
  formatTables(parseRules(text, "rules.v4"), { counters });
