import { NETWORK, type Packet } from "../../../packet/packet.ts";
import { HZ, lastTick } from "../../../sim/jiffies.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import { PROTOCOL_DCCP, PROTOCOL_SCTP, PROTOCOL_UDPLITE } from "../protocol-name.ts";
import { bytesOfCost, type Rate } from "./hashlimit-rate.ts";

const MICROSECOND = 1000;
const MILLISECOND = 1_000_000;
const SECOND = 1e9;
/** What a second of bytes is worth: `CREDITS_PER_JIFFY_BYTES * HZ`. */
const BYTE_CREDITS = 2 ** 24 * HZ;
const CHUNK_SHIFT = 4;
const ESP = 50;
const AH = 51;

/** How a table tells flows apart and what it grants each (`struct hashlimit_cfg3`). */
export interface HashlimitConfig {
  readonly rate: Rate;
  readonly sourceAddress: boolean;
  readonly sourcePort: boolean;
  readonly destinationAddress: boolean;
  readonly destinationPort: boolean;
  readonly sourceMask: number;
  readonly destinationMask: number;
  /** 0 for none given. */
  readonly size: number;
  readonly max: number;
  /** Milliseconds. */
  readonly interval: number;
  readonly expires: number;
  /** Counts packets or bytes of whole spans of so many seconds instead of saving credit; 0 without. */
  readonly span: number;
}

/** One flow (`struct dsthash_ent`). */
class Entry {
  next: Entry | null = null;
  expires = 0;
  /** Nanoseconds, or units of {@link BYTE_CREDITS} a second. */
  credit = 0;
  /** Bursts of bytes left. */
  bursts = 0;
  before = 0;
  /** Of rates over spans: what this span has seen, and whether the one before saw too much. */
  seen = 0;
  exceeded = false;

  constructor(
    readonly source: number,
    readonly destination: number,
    readonly ports: number,
  ) {}
}

/** The flows that rules of one name count together (`struct xt_hashlimit_htable`). */
export class HashlimitTable {
  private readonly entries = new Map<number, Entry>();
  private count = 0;
  private readonly max: number;

  constructor(
    private readonly config: HashlimitConfig,
    private readonly born: number,
  ) {
    const size = config.size === 0 ? 8192 : config.size;
    this.max = Math.max(config.max === 0 ? 8 * size : config.max, size);
  }

  /** True below the limit; null where the packet has no ports or the table no room. */
  grants(packet: Packet, time: number): boolean | null {
    const now = lastTick(time);
    const entry = this.find(packet, now);
    if (entry === null) return null;
    entry.expires = now + this.config.expires * MILLISECOND;
    const { rate, span } = this.config;
    if (span !== 0) return this.countSpan(entry, packet, now);
    return rate.bytes ? this.spendBytes(entry, packet, now) : this.spend(entry, now);
  }

  /** `hashlimit_init_dst()` and `dsthash_find()`. */
  private find(packet: Packet, now: number): Entry | null {
    const { config } = this;
    const { view } = packet;
    const source = config.sourceAddress ? ipv4.source(view, NETWORK) & config.sourceMask : 0;
    const destination = config.destinationAddress ? ipv4.destination(view, NETWORK) & config.destinationMask : 0;
    const ports = config.sourcePort || config.destinationPort ? this.ports(packet) : 0;
    if (ports === null) return null;
    const key = Math.imul(source, 0x9e3779b1) ^ Math.imul(destination, 0x85ebca6b) ^ ports;
    const first = this.entries.get(key) ?? null;
    let last: Entry | null = null;
    for (let entry = first; entry !== null; last = entry, entry = entry.next) {
      if (entry.source !== source || entry.destination !== destination || entry.ports !== ports) continue;
      if (entry.expires <= this.collected(now)) this.begin(entry, now);
      return entry;
    }
    if (this.count >= this.max && !this.makeRoom(now)) return null;
    const entry = new Entry(source, destination, ports);
    this.begin(entry, now);
    this.count++;
    if (last !== null && this.entries.get(key) === first) last.next = entry;
    else this.entries.set(key, entry);
    return entry;
  }

  /** Both ports as far as they count, or null where the packet is too short. Fragments are read like any other. */
  private ports(packet: Packet): number | null {
    const { view } = packet;
    let at = NETWORK + ipv4.headerLength(view, NETWORK);
    switch (ipv4.protocol(view, NETWORK)) {
      case AH:
        at += 4;
        break;
      case ipv4.PROTOCOL_TCP:
      case ipv4.PROTOCOL_UDP:
      case PROTOCOL_DCCP:
      case PROTOCOL_SCTP:
      case PROTOCOL_UDPLITE:
      case ESP:
        break;
      default:
        return 0;
    }
    if (packet.end - at < 4) return null;
    const source = this.config.sourcePort ? view.getUint16(at) : 0;
    return (source << 16) | (this.config.destinationPort ? view.getUint16(at + 2) : 0);
  }

  /** When expired entries were removed last. */
  private collected(now: number): number {
    const interval = this.config.interval * MILLISECOND;
    return interval === 0 ? now : this.born + Math.floor((now - this.born) / interval) * interval;
  }

  private makeRoom(now: number): boolean {
    const until = this.collected(now);
    for (const [key, first] of this.entries) {
      let kept: Entry | null = null;
      for (let entry: Entry | null = first; entry !== null; ) {
        const next: Entry | null = entry.next;
        if (entry.expires > until) {
          entry.next = kept;
          kept = entry;
        } else this.count--;
        entry = next;
      }
      if (kept === null) this.entries.delete(key);
      else this.entries.set(key, kept);
    }
    return this.count < this.max;
  }

  /** `rateinfo_init()`. */
  private begin(entry: Entry, now: number): void {
    const { rate } = this.config;
    entry.before = now;
    entry.seen = 0;
    entry.exceeded = false;
    entry.bursts = rate.burst;
    entry.credit = rate.bytes ? BYTE_CREDITS : rate.saved;
  }

  /** `rateinfo_recalc()`. */
  private spend(entry: Entry, now: number): boolean {
    const { average, saved } = this.config.rate;
    const cost = average * MICROSECOND;
    entry.credit = Math.min(entry.credit + now - entry.before, saved);
    entry.before = now;
    if (entry.credit < cost) return false;
    entry.credit -= cost;
    return true;
  }

  /** `hashlimit_byte_cost()`: who runs short takes a whole second's worth of the burst. */
  private spendBytes(entry: Entry, packet: Packet, now: number): boolean {
    const price = Math.floor((this.config.rate.average * BYTE_CREDITS) / 2 ** 32);
    const passed = ((now - entry.before) / SECOND) * BYTE_CREDITS;
    entry.credit = Math.min(entry.credit + passed, BYTE_CREDITS);
    entry.before = now;
    const cost = Math.min((((packet.end - NETWORK) >> CHUNK_SHIFT) + 1) * price, BYTE_CREDITS);
    if (entry.credit < cost && entry.bursts > 0) {
      entry.bursts--;
      entry.credit = BYTE_CREDITS;
    }
    if (entry.credit < cost) return false;
    entry.credit -= cost;
    return true;
  }

  /** `XT_HASHLIMIT_RATE_MATCH`. */
  private countSpan(entry: Entry, packet: Packet, now: number): boolean {
    const { rate, span } = this.config;
    const each = rate.bytes ? bytesOfCost(rate.average) : Math.floor(1_000_000 / rate.average);
    const burst = rate.bytes ? each * (rate.burst || 1) : each + rate.burst;
    const passed = now - entry.before;
    if (passed >= span * SECOND) {
      entry.before = now;
      entry.exceeded = entry.seen * span * SECOND > passed * each;
      entry.seen = 0;
    }
    entry.seen += rate.bytes ? packet.end - NETWORK : 1;
    return !entry.exceeded && entry.seen <= burst;
  }
}
