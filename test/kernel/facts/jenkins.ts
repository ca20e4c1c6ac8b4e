/**
 * Bob Jenkins' lookup3 `hashword()` (2006, public domain) over any number of words, written from its description with
 * unsigned numbers throughout. An address range is divided by it: hash times size, upper 32 bits.
 */
const u32 = (value: bigint): bigint => value & 0xffffffffn;
const rotate = (value: bigint, by: bigint): bigint => u32((value << by) | (value >> (32n - by)));

type Three = [bigint, bigint, bigint];

function mix([a, b, c]: Three): Three {
  const steps: [number, number, bigint][] = [
    [0, 2, 4n],
    [1, 0, 6n],
    [2, 1, 8n],
    [0, 2, 16n],
    [1, 0, 19n],
    [2, 1, 4n],
  ];
  const v: Three = [a, b, c];
  for (const [into, from, by] of steps) {
    v[into] = u32(v[into]! - v[from]!) ^ rotate(v[from]!, by);
    const third = 3 - into - from;
    v[from] = u32(v[from]! + v[third]!);
  }
  return v;
}

function final([a, b, c]: Three): bigint {
  const steps: [number, number, bigint][] = [
    [2, 1, 14n],
    [0, 2, 11n],
    [1, 0, 25n],
    [2, 1, 16n],
    [0, 2, 4n],
    [1, 0, 14n],
    [2, 1, 24n],
  ];
  const v: Three = [a, b, c];
  for (const [into, from, by] of steps) v[into] = u32((v[into]! ^ v[from]!) - rotate(v[from]!, by));
  return v[2];
}

export function hashWords(words: readonly bigint[], seed: bigint): bigint {
  const start = u32(0xdeadbeefn + (BigInt(words.length) << 2n) + seed);
  let v: Three = [start, start, start];
  let left = [...words];
  while (left.length > 3) {
    v = mix([u32(v[0] + left[0]!), u32(v[1] + left[1]!), u32(v[2] + left[2]!)]);
    left = left.slice(3);
  }
  if (left.length === 0) return v[2];
  return final([u32(v[0] + left[0]!), u32(v[1] + (left[1] ?? 0n)), u32(v[2] + (left[2] ?? 0n))]);
}

/** An address as the little-endian word that an x86 reads from the packet. */
const word = (address: string): bigint => address.split(".").reduceRight((sum, part) => (sum << 8n) | BigInt(part), 0n);
const number = (address: string): bigint => address.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);

/** The address of `first`-`last` that a flow gets; `seed` is its destination, or null with --persistent. */
export function predictAddress(first: string, last: string, source: string, destination: string | null): string {
  const size = number(last) - number(first) + 1n;
  const hash = hashWords([word(source), 0n, 0n, 0n], destination === null ? 0n : word(destination));
  const chosen = number(first) + ((hash * size) >> 32n);
  return [24n, 16n, 8n, 0n].map((by) => String((chosen >> by) & 255n)).join(".");
}
