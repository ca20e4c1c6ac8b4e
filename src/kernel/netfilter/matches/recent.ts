import { NETWORK, type Packet } from "../../../packet/packet.ts";
import { formatIpv4 } from "../../../wire/address.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { Namespace } from "../../namespace.ts";
import type { MatchKind, Options } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { unexpected } from "../tokenizer.ts";
import { printOption, readAddress, readInteger } from "../value.ts";
import { RecentTable } from "./recent-table.ts";

const ACTIONS = ["set", "rcheck", "update", "remove"] as const;
type Action = (typeof ACTIONS)[number];

const SECOND = 1e9;
const LONGEST_NAME = 199;
/** How many stamps an address keeps where no rule counts hits. */
const STAMPS = 32;

interface Wanted {
  readonly action: Action;
  readonly not: boolean;
  /** 0 for no limit. */
  readonly seconds: number;
  readonly reap: boolean;
  readonly hits: number;
  readonly ttl: boolean;
  readonly list: string;
  readonly mask: number;
  readonly source: boolean;
}

const powerOfTwo = (value: number): number => 2 ** Math.ceil(Math.log2(value));

/** `recent_mt()` of xt_recent.c: lists of addresses that rules share by name. */
class RecentMatch implements Match {
  readonly name = "recent";
  readonly shares: string;

  constructor(private readonly wanted: Wanted) {
    this.shares = `recent/${wanted.list}`;
  }

  attach(net: Namespace): void {
    const { hits, mask } = this.wanted;
    const table = (net.ruleState.get(this.shares) as RecentTable | undefined) ?? new RecentTable(mask);
    table.require(hits === 0 ? STAMPS : powerOfTwo(hits));
    net.ruleState.set(this.shares, table);
  }

  matches(packet: Packet, context: RuleContext): boolean {
    const { action, not, source } = this.wanted;
    const { view } = packet;
    const table = context.net.ruleState.get(this.shares) as RecentTable;
    const now = context.net.fabric.scheduler.now;
    const address = (source ? ipv4.source(view, NETWORK) : ipv4.destination(view, NETWORK)) & table.mask;
    // The TTL as it was before forwarding took one off.
    const ttl = ipv4.ttl(view, NETWORK) + (context.out !== null && packet.socket === null ? 1 : 0);
    const entry = table.find(address, this.wanted.ttl ? ttl : 0);
    if (entry === null) {
      if (action !== "set") return not;
      table.add(address, ttl, now);
      return !not;
    }
    if (action === "remove") table.remove(entry);
    const found = action === "set" || action === "remove" || this.seen(entry.stamps, now);
    const result = found !== not;
    const touched = action === "set" || (action === "update" && result);
    if (this.wanted.reap) table.reap(now - this.wanted.seconds * SECOND, touched ? entry : null);
    if (touched) table.touch(entry, ttl, now);
    return result;
  }

  private seen(stamps: readonly number[], now: number): boolean {
    const { seconds, hits } = this.wanted;
    const since = now - seconds * SECOND;
    let found = 0;
    for (let i = 0; i < stamps.length; i++) if ((seconds === 0 || stamps[i]! >= since) && ++found >= hits) return true;
    return false;
  }

  print(): string {
    const { action, not, seconds, reap, hits, ttl, list, mask, source } = this.wanted;
    const words = [printOption(action, "", not)];
    if (seconds !== 0) words.push(`--seconds ${seconds}`);
    if (reap) words.push("--reap");
    if (hits !== 0) words.push(`--hitcount ${hits}`);
    if (ttl) words.push("--rttl");
    words.push(`--name ${list} --mask ${formatIpv4(mask)} ${source ? "--rsource" : "--rdest"}`);
    return words.join(" ");
  }
}

function readAction(options: Options): { action: Action; not: boolean } {
  for (const action of ACTIONS) {
    const given = options.get(action);
    if (given !== null) return { action, not: given.not };
  }
  throw options.lacks("--set, --rcheck, --update or --remove");
}

const CHECKS = ["seconds", "reap", "hitcount", "rttl"];

export const recentKind: MatchKind = {
  name: "recent",
  options: [
    ...ACTIONS.map((name, i) => ({ name, values: 0 as const, not: true, excludes: ACTIONS.slice(i + 1) })),
    { name: "seconds" },
    { name: "reap", values: 0 },
    { name: "hitcount" },
    { name: "rttl", values: 0 },
    { name: "name" },
    { name: "mask" },
    { name: "rsource", values: 0 },
    { name: "rdest", values: 0 },
  ],
  parse(options) {
    const { action, not } = readAction(options);
    if (action === "set" || action === "remove")
      for (const name of CHECKS) {
        const given = options.get(name);
        if (given !== null)
          throw unexpected(
            given.token,
            `no --${name} beside --${action}`,
            `recent: option "--${name}" cannot be used together with "--${action}".`,
          );
      }
    const seconds = options.value("seconds");
    const reap = options.get("reap");
    if (reap !== null && seconds === null) throw unexpected(reap.token, "--seconds beside --reap");
    const hits = options.value("hitcount");
    const name = options.value("name");
    if (name !== null && (name.text === "" || name.text.includes("/"))) throw unexpected(name, "a list name without /");
    const mask = options.value("mask");
    return new RecentMatch({
      action,
      not,
      seconds: seconds === null ? 0 : readInteger(seconds, 1, 0xffffffff, "a number of seconds"),
      reap: reap !== null,
      hits: hits === null ? 0 : readInteger(hits, 0, 0xffff, "a number of hits"),
      ttl: options.has("rttl"),
      list: name?.text.slice(0, LONGEST_NAME) ?? "DEFAULT",
      mask: mask === null ? -1 : readAddress(mask),
      source: !options.has("rdest") || options.before("rdest", "rsource"),
    });
  },
};
