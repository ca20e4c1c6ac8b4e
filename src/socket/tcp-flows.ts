/** A connection by its two ends; the local address is this host's. */
export interface Flow {
  readonly localAddress: number;
  readonly localPort: number;
  readonly remoteAddress: number;
  readonly remotePort: number;
}

const hash = (localAddress: number, localPort: number, remoteAddress: number, remotePort: number): number => {
  let h = Math.imul(remoteAddress ^ ((remotePort << 16) | localPort), 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15) ^ localAddress, 0x85ebca6b);
  return h ^ (h >>> 13);
};

/** Connections by their four numbers (`inet_ehash`). */
export class Flows<T extends Flow> {
  private readonly buckets = new Map<number, T[]>();
  size = 0;

  find(localAddress: number, localPort: number, remoteAddress: number, remotePort: number): T | null {
    const bucket = this.buckets.get(hash(localAddress, localPort, remoteAddress, remotePort));
    if (bucket === undefined) return null;
    for (const flow of bucket)
      if (
        flow.remotePort === remotePort &&
        flow.localPort === localPort &&
        flow.remoteAddress === remoteAddress &&
        flow.localAddress === localAddress
      )
        return flow;
    return null;
  }

  add(flow: T): void {
    const key = hash(flow.localAddress, flow.localPort, flow.remoteAddress, flow.remotePort);
    const bucket = this.buckets.get(key);
    if (bucket === undefined) this.buckets.set(key, [flow]);
    else bucket.push(flow);
    this.size++;
  }

  remove(flow: T): void {
    const key = hash(flow.localAddress, flow.localPort, flow.remoteAddress, flow.remotePort);
    const bucket = this.buckets.get(key);
    const slot = bucket?.indexOf(flow) ?? -1;
    if (bucket === undefined || slot < 0) return;
    bucket.splice(slot, 1);
    if (bucket.length === 0) this.buckets.delete(key);
    this.size--;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const bucket of this.buckets.values()) yield* bucket;
  }
}
