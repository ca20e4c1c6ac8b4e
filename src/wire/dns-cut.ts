/** Cuts a DNS message (RFC 1035, 4.1) at its records, whatever they hold: names point back only, so a beginning stays valid. */

const HEADER = 12;
const TRUNCATED = 0x0200;
const RCODE = 0x000f;
const POINTER = 0xc0;

/** Where the name at `at` ends, or -1 where it does not. */
function endOfName(view: DataView, at: number): number {
  while (at < view.byteLength) {
    const length = view.getUint8(at);
    if (length >= POINTER) return at + 2;
    at += 1 + length;
    if (length === 0) return at;
  }
  return -1;
}

/** Where the record at `at` ends, or -1. */
function endOfRecord(view: DataView, at: number): number {
  const fixed = endOfName(view, at);
  if (fixed < 0 || fixed + 10 > view.byteLength) return -1;
  const end = fixed + 10 + view.getUint16(fixed + 8);
  return end > view.byteLength ? -1 : end;
}

/**
 * The message with its question, as many answers as fit `limit` bytes and nothing else; it says TC where answers are
 * missing, and NOERROR whatever it said. Null for bytes that are no message.
 */
export function cutDns(bytes: Uint8Array, limit: number): Uint8Array | null {
  if (bytes.length < HEADER) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = HEADER;
  for (let questions = view.getUint16(4); questions > 0; questions--) {
    const name = endOfName(view, end);
    if (name < 0 || name + 4 > bytes.length) return null;
    end = name + 4;
  }
  const answers = view.getUint16(6);
  let kept = 0;
  while (kept < answers) {
    const next = endOfRecord(view, end);
    if (next < 0) return null;
    if (next > limit) break;
    end = next;
    kept++;
  }
  const cut = bytes.slice(0, end);
  const header = new DataView(cut.buffer);
  header.setUint16(2, (view.getUint16(2) & ~(RCODE | TRUNCATED)) | (kept < answers ? TRUNCATED : 0));
  header.setUint16(6, kept);
  header.setUint16(8, 0);
  header.setUint16(10, 0);
  return cut;
}
