/**
 * The internet checksum, RFC 1071. Sums are carried as unfolded integers below 2^32; `fold` makes the 16 bits of the header.
 */

/** The unfolded sum of `length` bytes at `at`, added to `sum`. */
export function sumBytes(view: DataView, at: number, length: number, sum = 0): number {
  const end = at + (length & ~1);
  let i = at;
  for (; i + 8 <= end; i += 8)
    sum += view.getUint16(i) + view.getUint16(i + 2) + view.getUint16(i + 4) + view.getUint16(i + 6);
  for (; i < end; i += 2) sum += view.getUint16(i);
  if (length & 1) sum += view.getUint8(end) << 8;
  return sum;
}

/** The 16 bits of a 32-bit sum, not complemented. */
export function fold(sum: number): number {
  sum = (sum >>> 16) + (sum & 0xffff);
  return ((sum >>> 16) + sum) & 0xffff;
}

/** The checksum field for `length` bytes: complement of the folded sum. The field itself must be zero. */
export function checksum(view: DataView, at: number, length: number): number {
  return ~fold(sumBytes(view, at, length)) & 0xffff;
}

/** The pseudo header's share (RFC 768, RFC 9293): `length` is that of the transport header and its data, in bytes. */
export function pseudoSum(source: number, destination: number, protocol: number, length: number): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length;
}

/** RFC 1624, equation 3: the field after one 16-bit word of the data changed. */
export function replace16(field: number, before: number, after: number): number {
  return ~fold((~field & 0xffff) + (~before & 0xffff) + after) & 0xffff;
}

/** RFC 1624 for a 32-bit word. */
export function replace32(field: number, before: number, after: number): number {
  return ~fold((~field & 0xffff) + (~before >>> 16) + (~before & 0xffff) + (after >>> 16) + (after & 0xffff)) & 0xffff;
}
