/** An address that was seen, and when. */
export interface RecentEntry {
  readonly address: number;
  ttl: number;
  /** Virtual nanoseconds, oldest first. */
  readonly stamps: number[];
}

/** `ip_list_tot`: how many addresses a list holds; the one that was seen longest ago makes room. */
const MOST_ENTRIES = 100;

/** A named list of addresses (`struct recent_table`), the one touched longest ago first. */
export class RecentTable {
  private readonly entries = new Map<number, RecentEntry>();
  private stamps = 0;

  constructor(
    /** That of the first rule which named the list. */
    readonly mask: number,
  ) {}

  /** Keeps at least `stamps` stamps of each address. More than before empties the list. */
  require(stamps: number): void {
    if (stamps <= this.stamps) return;
    this.stamps = stamps;
    this.entries.clear();
  }

  /** `recent_entry_lookup()`: a TTL of 0 stands for any. */
  find(address: number, ttl: number): RecentEntry | null {
    const entry = this.entries.get(address);
    return entry === undefined || (ttl !== 0 && entry.ttl !== 0 && entry.ttl !== ttl) ? null : entry;
  }

  /** `recent_entry_init()`. */
  add(address: number, ttl: number, now: number): void {
    if (this.entries.size >= MOST_ENTRIES) this.entries.delete(this.entries.keys().next().value!);
    this.entries.delete(address);
    this.entries.set(address, { address, ttl, stamps: [now] });
  }

  /** `recent_entry_update()`. */
  touch(entry: RecentEntry, ttl: number, now: number): void {
    entry.stamps.push(now);
    if (entry.stamps.length > this.stamps) entry.stamps.shift();
    entry.ttl = ttl;
    this.entries.delete(entry.address);
    this.entries.set(entry.address, entry);
  }

  remove(entry: RecentEntry): void {
    this.entries.delete(entry.address);
  }

  /** `recent_entry_reap()`: forgets the address touched longest ago when that was before `since`. */
  reap(since: number, spare: RecentEntry | null): void {
    for (const entry of this.entries.values()) {
      if (entry !== spare && entry.stamps.at(-1)! < since) this.remove(entry);
      return;
    }
  }
}
