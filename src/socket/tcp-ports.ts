import type { Random } from "../sim/random.ts";
import { type Bound, PortTable } from "./port-table.ts";

/** What binding asks of a TCP socket. */
export interface TcpBound extends Bound {
  /** A listener shares its port with nobody. */
  readonly listening: boolean;
  /** `connect()` chose the port: another connection may leave from it too, to elsewhere. */
  readonly autobound: boolean;
}

/** The ports of TCP (`inet_csk_get_port()`, `__inet_hash_connect()`). */
export class TcpPorts<T extends TcpBound> {
  private readonly table = new PortTable<T>();

  on(port: number): readonly T[] {
    return this.table.on(port);
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.table[Symbol.iterator]();
  }

  add(socket: T): void {
    this.table.add(socket);
  }

  remove(socket: T): void {
    this.table.remove(socket);
  }

  /** `inet_csk_bind_conflict()`: may `socket` be bound there beside the others? */
  conflicts(socket: T, address: number, port: number): boolean {
    return this.table.on(port).some((other) => {
      if (other === socket) return false;
      const overlaps = other.address === 0 || address === 0 || other.address === address;
      return overlaps && !(socket.reuse && other.reuse && !other.listening);
    });
  }

  /** A port for `bind()` to port 0: odd ones first, so that `connect()` keeps the even ones; 0 when all are taken. */
  chooseToBind(range: readonly [number, number], random: Random): number {
    return search(range, random, 1, (port) => this.table.on(port).length === 0);
  }

  /** A port for `connect()`: one that nobody bound, and whose flow `isFree`; 0 when there is none. */
  chooseToConnect(range: readonly [number, number], random: Random, isFree: (port: number) => boolean): number {
    return search(range, random, 0, (port) => this.table.on(port).every(({ autobound }) => autobound) && isFree(port));
  }
}

/** The first port that fits, of one parity and then of the other, from a random place on. */
function search(
  [low, high]: readonly [number, number],
  random: Random,
  parity: number,
  fits: (port: number) => boolean,
): number {
  const size = high - low + 1;
  const pairs = size > 1 ? size & ~1 : size;
  const start = (random.below(pairs) & ~1) | parity;
  for (const first of [start, start ^ 1])
    for (let i = 0; i < pairs; i += 2) {
      const port = low + ((first + i) % pairs);
      if (port <= high && fits(port)) return port;
    }
  return 0;
}
