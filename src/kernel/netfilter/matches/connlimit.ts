import { NETWORK, type Packet } from "../../../packet/packet.ts";
import { maskOf } from "../../../wire/address.ts";
import { type Connection, Tuple } from "../../conntrack/connection.ts";
import { readTuple } from "../../conntrack/tuple.ts";
import { DEFAULT_ZONE } from "../../conntrack/zone.ts";
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

/** A connection that is confirmed and has not run out. */
function find(net: Namespace, tuple: Tuple): Connection | null {
  const connection = net.tracker.table.find(tuple, DEFAULT_ZONE)?.connection ?? null;
  return connection === null || connection.expires <= net.fabric.scheduler.now ? null : connection;
}

/**
 * `connlimit_mt()` of xt_connlimit.c: each rule counts the connections of each network. Unlike Linux, the count does not
 * depend on when within a clock tick a packet comes.
 */
class ConnlimitMatch implements Match {
  readonly name = "connlimit";
  private readonly mask: number;
  private readonly flows = new Map<number, Tuple[]>();
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
    const count = this.count(context.net, address, connection === null ? this.tuple : connection.original);
    return count > this.limit === this.above;
  }

  /** `__nf_conncount_add()`: forgets connections that are over up to where this one stands, or adds it at the end. */
  private count(net: Namespace, address: number, own: Tuple): number {
    let flows = this.flows.get(address);
    if (flows === undefined) this.flows.set(address, (flows = []));
    for (let i = 0, gone = 0; i < flows.length && gone <= MOST_GONE; ) {
      const connection = find(net, flows[i]!);
      if (connection !== null && flows[i]!.equals(own)) return flows.length;
      if (connection !== null && !isClosed(connection)) i++;
      else {
        flows.splice(i, 1);
        gone++;
      }
    }
    flows.push(new Tuple().copy(own));
    return flows.length;
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
