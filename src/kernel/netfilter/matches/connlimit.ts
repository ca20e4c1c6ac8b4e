import { NETWORK, type Packet } from "../../../packet/packet.ts";
import { jiffiesAt } from "../../../sim/jiffies.ts";
import { maskOf } from "../../../wire/address.ts";
import { type Connection, Tuple } from "../../conntrack/connection.ts";
import { readTuple } from "../../conntrack/tuple.ts";
import { DEFAULT_ZONE, type Zone, zoneIn } from "../../conntrack/zone.ts";
import type { Namespace } from "../../namespace.ts";
import type { MatchKind } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { readInteger } from "../value.ts";

const MOST = 0xffffffff;
/** `CONNCOUNT_GC_MAX_NODES`: how many are forgotten at a time. */
const MOST_GONE = 8;

/** `already_closed()`. */
function isClosed(connection: Connection): boolean {
  const state = connection.tcp?.state;
  return state === "TIME_WAIT" || state === "CLOSE";
}

/** `find_or_evict()`: the connection, if it is confirmed and has not run out. */
function find(net: Namespace, { tuple, zone }: Counted): Connection | null {
  const connection = net.tracker.table.find(tuple, zone)?.connection ?? null;
  return connection === null || connection.expires <= net.fabric.scheduler.now ? null : connection;
}

/** One connection that is counted (`struct nf_conncount_tuple`). */
interface Counted {
  readonly tuple: Tuple;
  readonly zone: Zone;
}

/** The connections of one network (`struct nf_conncount_list`). */
class Counts {
  readonly flows: Counted[] = [];
  /** The clock tick of the last search for connections that are over, and how many were left. */
  private lastSearch: number;
  private left = 0;

  constructor(private readonly net: Namespace) {
    this.lastSearch = jiffiesAt(net.fabric.scheduler.now);
  }

  /** `__nf_conncount_add()` behind the first: forgets what is over, at most once a tick unless many came since. */
  add(own: Tuple, zone: Zone, connection: Connection | null): void {
    const now = jiffiesAt(this.net.fabric.scheduler.now);
    if (connection?.confirmed) {
      if (connection.assured) {
        this.search(now);
        return;
      }
    } else if (now === this.lastSearch && this.flows.length - this.left < MOST_GONE) {
      this.flows.push({ tuple: new Tuple().copy(own), zone });
      return;
    }
    for (let i = 0, gone = 0; i < this.flows.length && gone <= MOST_GONE; ) {
      const counted = this.flows[i]!;
      const found = find(this.net, counted);
      if (found !== null && counted.tuple.equals(own) && zoneIn(found.zone, 0) === zoneIn(zone, 0)) return;
      if (found !== null && !isClosed(found)) i++;
      else {
        this.flows.splice(i, 1);
        gone++;
      }
    }
    this.searched(now);
    this.flows.push({ tuple: new Tuple().copy(own), zone });
  }

  /** `nf_conncount_gc_list()`. */
  private search(now: number): void {
    if (now === this.lastSearch) return;
    for (let i = 0, gone = 0; i < this.flows.length && gone <= MOST_GONE; ) {
      const found = find(this.net, this.flows[i]!);
      if (found !== null && !isClosed(found)) i++;
      else {
        this.flows.splice(i, 1);
        gone++;
      }
    }
    this.searched(now);
  }

  private searched(now: number): void {
    this.lastSearch = now;
    this.left = this.flows.length;
  }
}

/** `connlimit_mt()` of xt_connlimit.c: each rule counts the connections of each network. */
class ConnlimitMatch implements Match {
  readonly name = "connlimit";
  private readonly mask: number;
  private readonly networks = new Map<number, Counts>();
  private readonly tuple = new Tuple();

  constructor(
    private readonly limit: number,
    private readonly above: boolean,
    private readonly length: number,
    private readonly source: boolean,
  ) {
    this.mask = maskOf(length);
  }

  matches(packet: Packet, context: RuleContext): boolean {
    const { view } = packet;
    const connection = packet.connection as Connection | null;
    if (connection === null && !readTuple(view, NETWORK, packet.end, this.tuple)) {
      context.hotdrop = true;
      return false;
    }
    const address = (this.source ? view.getInt32(NETWORK + 12) : view.getInt32(NETWORK + 16)) & this.mask;
    return this.count(context.net, address, connection) > this.limit === this.above;
  }

  /** `count_tree()`. */
  private count(net: Namespace, address: number, known: Connection | null): number {
    const zone = known === null ? DEFAULT_ZONE : known.zone;
    const connection = known ?? net.tracker.table.find(this.tuple, zone)?.connection ?? null;
    const own = known === null ? this.tuple : known.original;
    let counts = this.networks.get(address);
    if (counts === undefined || counts.flows.length === 0) {
      this.networks.set(address, (counts = new Counts(net)));
      counts.flows.push({ tuple: new Tuple().copy(own), zone });
    } else counts.add(own, zone, connection);
    return counts.flows.length;
  }

  print(): string {
    const words = `--connlimit-${this.above ? "above" : "upto"} ${this.limit} --connlimit-mask ${this.length}`;
    return `${words} --connlimit-${this.source ? "saddr" : "daddr"}`;
  }
}

export const connlimitKind: MatchKind = {
  name: "connlimit",
  options: [
    { name: "connlimit-upto", not: true, excludes: ["connlimit-above"] },
    { name: "connlimit-above", not: true },
    { name: "connlimit-mask" },
    { name: "connlimit-saddr", values: 0, excludes: ["connlimit-daddr"] },
    { name: "connlimit-daddr", values: 0 },
  ],
  parse(options) {
    const above = options.get("connlimit-above");
    const given = above ?? options.get("connlimit-upto");
    if (given === null)
      throw options.lacks(
        "--connlimit-upto or --connlimit-above",
        'You must specify "--connlimit-above" or "--connlimit-upto".',
      );
    const mask = options.value("connlimit-mask");
    return new ConnlimitMatch(
      readInteger(given.values[0]!, 0, MOST, "a number of connections"),
      (above !== null) !== given.not,
      mask === null ? 32 : Math.min(readInteger(mask, 0, 128, "a prefix length"), 32),
      !options.has("connlimit-daddr"),
    );
  },
};
