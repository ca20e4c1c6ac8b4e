const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));
const swap = (value: number): number =>
  ((value & 255) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);

/** Bob Jenkins' lookup3 over four 32-bit words, as the kernel's `jhash2()` runs it. */
function jenkins(words: readonly [number, number, number, number], seed: number): number {
  const start = (0xdeadbeef + (4 << 2) + seed) | 0;
  let a = (start + words[0]) | 0;
  let b = (start + words[1]) | 0;
  let c = (start + words[2]) | 0;
  a = ((a - c) | 0) ^ rotate(c, 4);
  c = (c + b) | 0;
  b = ((b - a) | 0) ^ rotate(a, 6);
  a = (a + c) | 0;
  c = ((c - b) | 0) ^ rotate(b, 8);
  b = (b + a) | 0;
  a = ((a - c) | 0) ^ rotate(c, 16);
  c = (c + b) | 0;
  b = ((b - a) | 0) ^ rotate(a, 19);
  a = (a + c) | 0;
  c = ((c - b) | 0) ^ rotate(b, 4);
  b = (b + a) | 0;
  a = (a + words[3]) | 0;
  c = ((c ^ b) - rotate(b, 14)) | 0;
  a = ((a ^ c) - rotate(c, 11)) | 0;
  b = ((b ^ a) - rotate(a, 25)) | 0;
  c = ((c ^ b) - rotate(b, 16)) | 0;
  a = ((a ^ c) - rotate(c, 4)) | 0;
  b = ((b ^ a) - rotate(a, 14)) | 0;
  c = ((c ^ b) - rotate(b, 24)) | 0;
  return c >>> 0;
}

/**
 * `find_best_ips_proto()`: which address of a range a flow gets. Depends on both ends, or on the source alone when the
 * rule is `--persistent`; there is no secret in it.
 */
export function chooseAddress(
  range: { readonly min: number; readonly max: number },
  source: number,
  destination: number,
  persistent: boolean,
): number {
  if (range.min === range.max) return range.min;
  const hash = jenkins([swap(source), 0, 0, 0], persistent ? 0 : swap(destination));
  const size = (range.max >>> 0) - (range.min >>> 0) + 1;
  return ((range.min >>> 0) + Math.floor((hash * size) / 4294967296)) | 0;
}
