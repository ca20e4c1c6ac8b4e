import type { BridgePort } from "./bridge.ts";

/** One line of `bridge fdb show`. */
export class FdbEntry {
  next: FdbEntry | null = null;
  /** Which of its bridge's it is, in the order of their making. */
  sequence = 0;

  constructor(
    readonly high: number,
    readonly low: number,
    /** Null for the bridge's own address. */
    public port: BridgePort | null,
    /** `permanent` addresses are the bridge's and its ports'; frames to them go up. */
    readonly kind: "permanent" | "static" | "learned",
    /** Virtual nanoseconds when it was seen last as a source. */
    public updated: number,
  ) {}
}

const BUCKETS = 256;

/** The forwarding database of one bridge: which port leads to a MAC address. */
export class Fdb {
  private made = 0;
  private readonly buckets: (FdbEntry | null)[] = new Array(BUCKETS).fill(null);

  find(high: number, low: number): FdbEntry | null {
    let entry = this.buckets[bucketOf(high, low)] ?? null;
    while (entry !== null && (entry.low !== low || entry.high !== high)) entry = entry.next;
    return entry;
  }

  add(entry: FdbEntry): void {
    entry.sequence = ++this.made;
    const bucket = bucketOf(entry.high, entry.low);
    entry.next = this.buckets[bucket] ?? null;
    this.buckets[bucket] = entry;
  }

  remove(gone: (entry: FdbEntry) => boolean): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      let kept: FdbEntry | null = null;
      for (let entry = this.buckets[bucket] ?? null; entry !== null; ) {
        const next: FdbEntry | null = entry.next;
        if (!gone(entry)) {
          entry.next = kept;
          kept = entry;
        }
        entry = next;
      }
      this.buckets[bucket] = kept;
    }
  }

  *[Symbol.iterator](): Generator<FdbEntry> {
    for (const head of this.buckets)
      for (let entry: FdbEntry | null = head; entry !== null; entry = entry.next) yield entry;
  }
}

function bucketOf(high: number, low: number): number {
  return (Math.imul(low ^ (high << 7), 0x9e3779b1) >>> 24) & (BUCKETS - 1);
}
