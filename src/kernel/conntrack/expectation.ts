import type { Connection, Tuple } from "./connection.ts";
import { type Zone, zoneIn } from "./zone.ts";

/** A connection that another has announced (`struct nf_conntrack_expect`): from any port of one address to one port. */
export interface Expectation {
  readonly master: Connection;
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  port: number;
  /** Virtual nanoseconds. */
  readonly expires: number;
  /** Its mapping follows that of its master: whose direction it takes, and the port that was meant. */
  readonly follow: { readonly direction: 0 | 1; readonly port: number } | null;
}

/** Expectations of one namespace, newest first. */
export class Expectations {
  private list: Expectation[] = [];

  get size(): number {
    return this.list.length;
  }

  /** `nf_ct_expect_related()`: false when another connection waits for the same. One that waits for more than one loses its oldest. */
  add(expectation: Expectation, most: number, now: number): boolean {
    this.list = this.list.filter(({ expires }) => expires > now);
    const same = this.list.find((other) => clashes(other, expectation));
    if (same !== undefined) {
      if (same.master !== expectation.master) return false;
      this.remove(same);
    }
    const own = this.list.filter(({ master }) => master === expectation.master);
    if (own.length >= most) this.remove(own.at(-1)!);
    this.list.unshift(expectation);
    return true;
  }

  private remove(gone: Expectation): void {
    this.list = this.list.filter((other) => other !== gone);
  }

  /** `nf_ct_find_expectation()`: the one that this tuple fulfils, which is then over. */
  take(tuple: Tuple, zone: Zone, now: number): Expectation | null {
    const found = this.list.find(
      ({ master, source, destination, protocol, port, expires }) =>
        expires > now &&
        source === tuple.source &&
        destination === tuple.destination &&
        protocol === tuple.protocol &&
        port === tuple.destinationPort &&
        zoneIn(master.zone, 0) === zoneIn(zone, 0),
    );
    if (found === undefined || !found.master.confirmed || found.master.dying) return null;
    this.remove(found);
    return found;
  }

  /** `nf_ct_remove_expectations()`. */
  forget(master: Connection): void {
    if (this.list.length > 0) this.list = this.list.filter((other) => other.master !== master);
  }
}

const clashes = (a: Expectation, b: Expectation): boolean =>
  a.source === b.source && a.destination === b.destination && a.protocol === b.protocol && a.port === b.port;
