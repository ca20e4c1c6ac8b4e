/** FNV-1a over UTF-16 units: turns a label into 32 bits. */
function hashLabel(label: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) | 0;
  for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193);
  return hash;
}

/**
 * A seeded stream of chance (sfc32). Streams are derived by label (`random.fork("mac/web1")`), so that adding a host does
 * not reshuffle another's numbers.
 */
export class Random {
  private readonly state = new Int32Array(4);

  constructor(private readonly seed: number) {
    this.state[0] = seed | 0;
    this.state[1] = Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995;
    this.state[2] = 0x243f6a88;
    this.state[3] = 1;
    for (let i = 0; i < 12; i++) this.next();
  }

  /** A stream of its own, which depends on this one's seed and on the label alone. */
  fork(label: string): Random {
    return new Random(hashLabel(label, this.seed));
  }

  /** 32 random bits, as a signed integer. */
  next(): number {
    const s = this.state;
    const result = (((s[0]! + s[1]!) | 0) + s[3]!) | 0;
    s[3] = (s[3]! + 1) | 0;
    s[0] = s[1]! ^ (s[1]! >>> 9);
    s[1] = (s[2]! + (s[2]! << 3)) | 0;
    s[2] = (((s[2]! << 21) | (s[2]! >>> 11)) + result) | 0;
    return result;
  }

  /** An integer in [0, n), n at most 2^32. */
  below(n: number): number {
    return Math.floor((this.next() >>> 0) * (n / 4294967296));
  }

  /** A number in [0, 1). */
  unit(): number {
    return (this.next() >>> 0) / 4294967296;
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return p > 0 && (p >= 1 || this.unit() < p);
  }
}
