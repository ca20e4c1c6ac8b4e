import type { Connection, Tuple } from "./connection.ts";
import { hashTuple } from "./tuple.ts";
import { type Zone, zoneIn } from "./zone.ts";

const FIRST_SIZE = 1024;

/** One direction of a connection in the hash table (`struct nf_conntrack_tuple_hash`). */
export class TupleLink {
  next: TupleLink | null = null;
  hash = 0;
  /** Of its direction, set when it enters the table. */
  zone = 0;

  constructor(
    readonly connection: Connection,
    readonly tuple: Tuple,
    /** 0 original, 1 reply. */
    readonly direction: 0 | 1,
  ) {}
}

/** Confirmed connections by the tuples of both directions. */
export class ConnectionTable {
  private buckets: (TupleLink | null)[] = new Array(FIRST_SIZE).fill(null);
  private readonly all = new Set<Connection>();

  get size(): number {
    return this.all.size;
  }

  /** `nf_conntrack_find_get()`: in the zone of the original direction, then in that of the reply. Borrows the tuple. */
  find(tuple: Tuple, zone: Zone): TupleLink | null {
    const original = zoneIn(zone, 0);
    const link = this.findIn(tuple, zone, original);
    if (link !== null || zoneIn(zone, 1) === original) return link;
    return this.findIn(tuple, zone, zoneIn(zone, 1));
  }

  /** The same, in the zone of one direction: `id`. */
  findIn(tuple: Tuple, zone: Zone, id: number): TupleLink | null {
    const hash = hashTuple(tuple);
    let link = this.buckets[hash & (this.buckets.length - 1)] ?? null;
    while (
      link !== null &&
      (link.hash !== hash || link.zone !== id || zoneIn(zone, link.direction) !== id || !link.tuple.equals(tuple))
    )
      link = link.next;
    return link;
  }

  insert(connection: Connection): void {
    if (this.all.size >= this.buckets.length) this.grow();
    this.all.add(connection);
    this.link(connection.originalLink);
    this.link(connection.replyLink);
  }

  remove(connection: Connection): void {
    if (!this.all.delete(connection)) return;
    this.unlink(connection.originalLink);
    this.unlink(connection.replyLink);
  }

  /** In the order of confirmation. */
  [Symbol.iterator](): IterableIterator<Connection> {
    return this.all[Symbol.iterator]();
  }

  private link(link: TupleLink): void {
    link.hash = hashTuple(link.tuple);
    link.zone = zoneIn(link.connection.zone, link.direction);
    const bucket = link.hash & (this.buckets.length - 1);
    link.next = this.buckets[bucket] ?? null;
    this.buckets[bucket] = link;
  }

  private unlink(gone: TupleLink): void {
    const bucket = gone.hash & (this.buckets.length - 1);
    let link = this.buckets[bucket] ?? null;
    if (link === gone) {
      this.buckets[bucket] = gone.next;
      return;
    }
    while (link !== null && link.next !== gone) link = link.next;
    if (link !== null) link.next = gone.next;
  }

  private grow(): void {
    this.buckets = new Array(this.buckets.length * 2).fill(null);
    for (const connection of this.all) {
      this.link(connection.originalLink);
      this.link(connection.replyLink);
    }
  }
}
