import type { Endpoint, HostStream, HostStreamEvents } from "./host-sockets.ts";

/** A TCP service of the translator itself: what a guest reaches without a socket of the host. */
export interface LocalService {
  /** A guest is connected to `at`; `events` hears of what the service does. `cause` is the guest's SYN. */
  open(at: Endpoint, events: HostStreamEvents, cause: number): HostStream;
}

/** Bytes that wait to be read, in order. */
export class Outbox {
  private chunks: Uint8Array[] = [];

  get isEmpty(): boolean {
    return this.chunks.length === 0;
  }

  add(bytes: Uint8Array): void {
    if (bytes.length > 0) this.chunks.push(bytes);
  }

  /** At most `most` bytes; an empty array when nothing waits. */
  take(most: number): Uint8Array {
    const [first] = this.chunks;
    if (first === undefined) return EMPTY;
    if (first.length <= most) this.chunks.shift();
    else this.chunks[0] = first.subarray(most);
    return first.subarray(0, most);
  }

  /** The next to be taken. */
  putBack(bytes: Uint8Array): void {
    if (bytes.length > 0) this.chunks.unshift(bytes);
  }
}

const EMPTY = new Uint8Array(0);
