import type { Random } from "../sim/random.ts";

/** Something bound to an address and port. 0.0.0.0 is every address. */
export interface Bound {
  readonly address: number;
  readonly port: number;
  readonly reuse: boolean;
}

/** Who is bound where, for one protocol of one namespace. Ports are host order. */
export class PortTable<T extends Bound> {
  private readonly byPort = new Map<number, T[]>();

  /** The sockets on a port, newest first. */
  on(port: number): readonly T[] {
    return this.byPort.get(port) ?? [];
  }

  [Symbol.iterator](): IterableIterator<T> {
    return [...this.byPort.values()].flat()[Symbol.iterator]();
  }

  /** True when another socket holds the address and port, `inet_rcv_saddr_equal()`. */
  conflicts(address: number, port: number, reuse: boolean): boolean {
    return this.on(port).some(
      (other) => (other.address === 0 || address === 0 || other.address === address) && !(reuse && other.reuse),
    );
  }

  add(socket: T): void {
    const list = this.byPort.get(socket.port);
    if (list === undefined) this.byPort.set(socket.port, [socket]);
    else list.unshift(socket);
  }

  remove(socket: T): void {
    const list = this.byPort.get(socket.port);
    if (list === undefined) return;
    const slot = list.indexOf(socket);
    if (slot >= 0) list.splice(slot, 1);
    if (list.length === 0) this.byPort.delete(socket.port);
  }

  /** A free port of the range for a socket that names none; 0 when all are taken. */
  choose(address: number, range: readonly [number, number], random: Random): number {
    const [low, high] = range;
    const size = high - low + 1;
    const offset = random.below(size);
    for (let i = 0; i < size; i++) {
      const port = low + ((offset + i) % size);
      if (!this.conflicts(address, port, false)) return port;
    }
    return 0;
  }
}
