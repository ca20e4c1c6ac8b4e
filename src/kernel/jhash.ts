/** Bob Jenkins' lookup3 as the kernel runs it (`include/linux/jhash.h`). Words are those that the kernel has in memory. */

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

/** An address as a little-endian machine holds it. */
export const networkOrder = (value: number): number =>
  ((value & 255) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);

/** `__jhash_final()`. */
function final(a: number, b: number, c: number): number {
  c = ((c ^ b) - rotate(b, 14)) | 0;
  a = ((a ^ c) - rotate(c, 11)) | 0;
  b = ((b ^ a) - rotate(a, 25)) | 0;
  c = ((c ^ b) - rotate(b, 16)) | 0;
  a = ((a ^ c) - rotate(c, 4)) | 0;
  b = ((b ^ a) - rotate(a, 14)) | 0;
  c = ((c ^ b) - rotate(b, 24)) | 0;
  return c >>> 0;
}

const start = (words: number, seed: number): number => (0xdeadbeef + (words << 2) + seed) | 0;

/** `jhash_1word()`. */
export function hashWord(word: number, seed: number): number {
  const initial = start(1, seed);
  return final((word + initial) | 0, initial, initial);
}

/** `jhash2()` of four words. */
export function hashFourWords(words: readonly [number, number, number, number], seed: number): number {
  const initial = start(4, seed);
  let a = (initial + words[0]) | 0;
  let b = (initial + words[1]) | 0;
  let c = (initial + words[2]) | 0;
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
  return final((a + words[3]) | 0, b, c);
}

/** `reciprocal_scale()`: 32 bits of a hash brought into 0 to `size` - 1. */
export const scale = (hash: number, size: number): number => Math.floor((hash * size) / 4_294_967_296);
