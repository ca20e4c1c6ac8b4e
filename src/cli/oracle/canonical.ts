import type { LabCase, LabConnectionEvent, LabFrame, LabResult, LabTrace } from "../../scenario/lab-case.ts";
import { parseHex } from "../../scenario/lab-packet.ts";
import { type Fields, frameFields, type Naming } from "./frame-fields.ts";
import { toolText } from "./tool-text.ts";

/**
 * A result in the form in which two runs of one case are equal: what the kernel draws at random is named by its first
 * appearance, what real time decides is left out. Everything else stays.
 */
export interface Canonical {
  readonly steps: readonly CanonicalStep[];
  readonly end: Readonly<Record<EndPart, ByNamespace<Fields>>>;
}

export interface CanonicalStep {
  /** What was done, in a few words. */
  readonly action: string;
  readonly result: Fields;
  readonly frames: ByNamespace<Fields>;
  readonly trace: ByNamespace<Fields>;
  readonly connections: ByNamespace<Fields>;
}

export type ByNamespace<T> = Readonly<Record<string, readonly T[]>>;

/** What stands at the end of a case. */
export const END_PARTS = ["conntrack", "counters", "neighbours", "fdb"] as const;
export type EndPart = (typeof END_PARTS)[number];

/** `stateless` leaves out what a trace tells of connections, where a kernel does not tell it. */
export function canonical(result: LabResult, lab: LabCase, stateless = false): Canonical {
  return new Canonicaliser(lab, stateless).read(result);
}

class Canonicaliser {
  private readonly names: Names;
  private readonly namespaces: readonly string[];

  constructor(
    lab: LabCase,
    private readonly stateless: boolean,
  ) {
    this.names = new Names(knownNumbers(lab));
    this.namespaces = Object.keys(lab.namespaces);
  }

  read(result: LabResult): Canonical {
    const steps = result.steps.map(({ step, result: answer = {}, frames = [], trace = [], ct_events = [] }) => {
      const sorted = step.op === "flushct" || step.op === "age";
      const events = this.split(ct_events, (event) => this.event(event));
      return {
        action: [step.op, step.ns ?? step.at ?? step.dev, step.id ?? step.command]
          .filter((word) => word !== undefined)
          .join(" "),
        result: answerFields(answer, step.command ?? ""),
        frames: this.split(frames, (frame) => this.frame(frame)),
        trace: this.split(trace, (record) => traceFields(record, this.stateless)),
        // A flush walks a hash table.
        connections: sorted ? mapValues(events, inOrder) : events,
      };
    });
    const { conntrack, counters, neigh, fdb } = result.final;
    return {
      steps,
      end: {
        conntrack: this.each((name) => inOrder((conntrack[name] ?? []).map((entry) => this.flow(entry as Flow)))),
        counters: this.each((name) => counterFields((counters[name] ?? {}) as Counters)),
        neighbours: this.each((name) => (neigh[name] ?? []).map((entry) => neighbourFields(entry as Neighbour))),
        fdb: this.each((name) => (fdb[name] ?? []).map((entry) => ({ ...(entry as Fields) }))),
      },
    };
  }

  /** Namespaces where there is nothing are left out. */
  private each<T>(read: (name: string) => T[]): ByNamespace<T> {
    return Object.fromEntries(
      this.namespaces.map((name) => [name, read(name)] as const).filter(([, items]) => items.length > 0),
    );
  }

  /** Only the order inside one namespace counts: names are given namespace by namespace too. */
  private split<T extends { readonly ns: string }, U>(items: readonly T[], read: (item: T) => U): ByNamespace<U> {
    return this.each((name) => items.filter(({ ns }) => ns === name).map(read));
  }

  private frame({ dev, dir, cls, hex }: LabFrame): Fields {
    const place = { device: dev, direction: dir, ...(cls === undefined ? {} : { class: cls }) };
    return { ...place, ...frameFields(parseHex(hex), this.names) };
  }

  private event({ ev, tcp, sctp, status, timeout }: LabConnectionEvent): Fields {
    const left = ev === "DESTROY" || timeout === undefined ? {} : { timeout: refreshed(timeout) };
    const state = { ...(tcp === undefined ? {} : { tcp }), ...(sctp === undefined ? {} : { sctp }) };
    return { event: ev, ...state, status: [...(status ?? [])].sort().join(" "), ...left };
  }

  private flow({ orig, reply, status, tcp_state, sctp_state, mark, zone }: Flow): Fields {
    const tuple = (end: Tuple, prefix: string) =>
      Object.entries(end).map(([key, value]) => {
        const renamed = key === "sport" || key === "dport" ? this.names.port(Number(value)) : value;
        return [`${prefix} ${key}`, key === "icmp_id" ? this.names.query(Number(value)) : renamed];
      });
    return {
      ...Object.fromEntries([...tuple(orig, "original"), ...tuple(reply, "reply")]),
      status: [...status].sort().join(" "),
      ...(tcp_state === undefined ? {} : { tcp: tcp_state }),
      ...(sctp_state === undefined ? {} : { sctp: sctp_state }),
      ...(mark === undefined ? {} : { mark }),
      ...(zone === undefined ? {} : { zone }),
    };
  }
}

type Tuple = Record<string, string | number>;
type Flow = {
  orig: Tuple;
  reply: Tuple;
  status: string[];
  tcp_state?: string;
  sctp_state?: string;
  mark?: number;
  zone?: number;
};
type Neighbour = { dev: string; ip: string; mac: string | null };
type Chain = { rules: [number, number][]; policy?: string; packets?: number; bytes?: number };
type Counters = Record<string, Record<string, Chain>>;

/** What the next program would read; where it came from is in the frames. */
function answerFields(answer: Readonly<Record<string, unknown>>, command: string): Fields {
  const fields: Fields = {};
  if (answer["err"] !== undefined && answer["err"] !== "") fields["error"] = answer["err"] as string | number;
  if (answer["status"] !== undefined) {
    fields["printed"] = toolText(command, answer["out"] as string);
    fields["status"] = answer["status"] as number;
  }
  if (answer["n"] !== undefined) fields["sent"] = answer["n"] as number;
  if (answer["got"] !== undefined)
    fields["received"] = (answer["got"] as { len: number; hex: string }[])
      .map(({ len, hex }) => `${len} bytes ${hex}`)
      .join(", ");
  return fields;
}

const HOOK_KEYS = ["family", "hook", "at", "iif", "oif", "ct", "ctdir", "mark"];
const RULE_KEYS = ["family", "table", "chain", "type", "rule", "verdict", "to"];

function traceFields(record: LabTrace, stateless: boolean): Fields {
  const fields: Fields = {};
  for (const key of "hook" in record ? HOOK_KEYS : RULE_KEYS) {
    const value = record[key];
    if (value !== undefined && !(stateless && key.startsWith("ct"))) fields[key] = value;
  }
  return fields;
}

function counterFields(counters: Counters): Fields[] {
  const lines: Fields[] = [];
  for (const table of Object.keys(counters).sort())
    for (const chain of Object.keys(counters[table]!).sort()) {
      const { rules, policy, packets, bytes } = counters[table]![chain]!;
      const own = policy === undefined ? {} : { policy };
      const counted = packets === undefined ? {} : { packets, bytes: bytes ?? 0 };
      lines.push({ table, chain, ...own, ...counted });
      for (const [i, rule] of rules.entries())
        lines.push({ table, chain, rule: i + 1, packets: rule[0], bytes: rule[1] });
    }
  return lines;
}

/** The state is left out: it changes with real time. */
const neighbourFields = ({ dev, ip, mac }: Neighbour): Fields => ({ device: dev, address: ip, mac: mac ?? "none" });

const NOMINAL = new Set([3, 10, 30, 60, 120, 210, 300, 432_000, 600]);

/** The kernel tells whole seconds left, rounded down: 29 is a 30 of just now. */
const refreshed = (seconds: number): number => (NOMINAL.has(seconds + 1) ? seconds + 1 : seconds);

function inOrder(items: readonly Fields[]): Fields[] {
  const keyed = items.map((item) => ({ item, key: JSON.stringify(item) }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ item }) => item);
}

const mapValues = <T, U>(record: ByNamespace<T>, change: (items: readonly T[]) => U[]): ByNamespace<U> =>
  Object.fromEntries(Object.entries(record).map(([name, items]) => [name, change(items)]));

/** How far behind a number of the case a sequence number still counts as derived from it. */
const NEAR = 4096;
const FAR = 65_536;

/** Names for the numbers that the case does not give: they are the kernel's choice. */
class Names implements Naming {
  private readonly ports = new Map<number, string>();
  private readonly identifications = new Map<number, string>();
  private readonly starts = new Map<number, string>();

  constructor(private readonly known: ReadonlySet<number>) {}

  /** One pool for ports and ICMP identifiers. */
  port(value: number): string | number {
    return this.known.has(value) ? value : named(this.ports, value, "port");
  }

  query(value: number): string | number {
    return this.port(value);
  }

  identification(value: number): string | number {
    return value < 2 || this.known.has(value) ? value : named(this.identifications, value, "datagram");
  }

  sequence(value: number): string | number {
    for (const known of this.known) if (value >= known && value - known <= NEAR) return value;
    for (const [start, name] of this.starts) {
      const behind = (value - start) >>> 0;
      if (behind < FAR) return `${name}+${behind}`;
    }
    return `${named(this.starts, value, "start")}+0`;
  }
}

function named(names: Map<number, string>, value: number, kind: string): string {
  let name = names.get(value);
  if (name === undefined) names.set(value, (name = `${kind}-${names.size + 1}`));
  return name;
}

const NUMBER_KEYS = new Set(["sport", "dport", "id", "seq", "ack", "bind", "to", "gw"]);
const PORT_OPTION = /^--(d|s)?ports?$|^--to-ports$|^--ct(orig|repl)(src|dst)port$|^--(destination|source)-ports?$/;
const ADDRESS_OPTION = /^--to(-destination|-source)?$/;
/** Targets that draw a port from their range at random; the others take the first that is free. */
const DRAWS = /(?:-j|--jump) (?:SNAT|MASQUERADE)\b/;

/**
 * Every port, identifier and sequence number that the case itself gives, in its packets, sockets and rules; not what a
 * rule may draw, which another rule may name.
 */
export function knownNumbers(lab: LabCase): Set<number> {
  const known = new Set<number>();
  const ruled = new Set<number>();
  const drawn: (readonly [number, number])[] = [];
  const walk = (value: unknown, key: string) => {
    if (typeof value === "number" && NUMBER_KEYS.has(key)) known.add(value);
    else if (typeof value === "string" && (key === "rules" || key === "text"))
      for (const rule of value.split("\n")) addRuleNumbers(ruled, drawn, rule);
    else if (Array.isArray(value)) for (const item of value) walk(item, key);
    else if (typeof value === "object" && value !== null)
      for (const [name, item] of Object.entries(value)) walk(item, name);
  };
  walk(lab, "");
  for (const number of ruled) if (!drawn.some(([low, high]) => low <= number && number <= high)) known.add(number);
  return known;
}

function addRuleNumbers(ruled: Set<number>, drawn: (readonly [number, number])[], rule: string): void {
  const words = rule.split(/\s+/);
  for (const [i, option] of words.entries()) {
    const value = words[i + 1] ?? "";
    const address = ADDRESS_OPTION.test(option);
    if (!address && !PORT_OPTION.test(option)) continue;
    const numbers = (address ? value.slice(value.indexOf(":") + 1 || value.length) : value).match(/\d+/g) ?? [];
    if (option.startsWith("--to") && DRAWS.test(rule) && numbers.length > 1)
      drawn.push([Number(numbers[0]), Number(numbers[1])]);
    else for (const digits of numbers) ruled.add(Number(digits));
  }
}
