/** CRC-32C (RFC 9260, appendix A), the checksum of SCTP. */

const TABLE = new Uint32Array(256).map((_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** The CRC of `length` bytes at `at`, of which the four at `skip` count as zero. */
export function crc32c(view: DataView, at: number, length: number, skip: number): number {
  let crc = -1;
  for (let i = at; i < at + length; i++) {
    const byte = i >= skip && i < skip + 4 ? 0 : view.getUint8(i);
    crc = TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}
