import { InputError } from "../wire/input-error.ts";

/** A capture file, of either format. */
export interface CaptureFile {
  readonly format: "pcap" | "pcapng";
  /**
   * Reads the file anew each time it is iterated. Packets before a damage are handed out; the damage itself throws an
   * InputError from the iteration.
   */
  readonly packets: Iterable<CapturePacket>;
}

/** One recorded packet. */
export interface CapturePacket {
  /**
   * Nanoseconds since 1970-01-01 UTC, or virtual nanoseconds where hopscope wrote the file; a bigint, for a number holds
   * nanoseconds exactly only until April 1970. Null where the file gives none (pcapng's Simple Packet Block).
   */
  readonly time: bigint | null;
  /** Bytes the packet had on the cable; what was captured may be less, and in damaged files more. */
  readonly originalLength: number;
  /** What was captured: a view into the file's bytes, not a copy. */
  readonly bytes: Uint8Array;
  /** Packets of the same interface share one object. */
  readonly interface: CaptureInterface;
  /** Seen from the interface; null where the file does not say. */
  readonly direction: "in" | "out" | null;
  /** A number that sights of the same packet on several interfaces share (`epb_packetid`); null where there is none. */
  readonly id: bigint | null;
  /** Free text, in the file's order. */
  readonly comments: readonly string[];
}

/** Where packets were captured. */
export interface CaptureInterface {
  readonly name: string | null;
  /** A LINKTYPE_ number; 1 is Ethernet. */
  readonly linkType: number;
  /** The most bytes kept of a packet; 0 where there is no limit. Files contain longer ones nevertheless. */
  readonly snapLength: number;
  /** Bytes of frame check sequence behind each packet; null where the file does not say. */
  readonly fcsLength: number | null;
}

export const LINKTYPE_ETHERNET = 1;
const LINKTYPE_DBUS = 231;
const LINKTYPE_USBPCAP = 249;
const LINKTYPE_EBHSCR = 279;

/** The most bytes that a record of this link type may claim, libpcap's `max_snaplen_for_dlt()`: more is damage. */
export function longestCapture(linkType: number): number {
  if (linkType === LINKTYPE_DBUS || linkType === LINKTYPE_USBPCAP) return 128 << 20;
  return linkType === LINKTYPE_EBHSCR ? 8 << 20 : 262_144;
}

/** The bytes of a file, and whether they hold what is to be read. Offsets count from the file's first byte. */
export class CaptureBytes {
  readonly length: number;
  /** Of the file, or of the current section of a pcapng file. */
  littleEndian = true;
  private readonly view: DataView;

  constructor(
    readonly bytes: Uint8Array,
    readonly file: string,
  ) {
    this.length = bytes.length;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(at: number): number {
    return this.view.getUint8(at);
  }

  u16(at: number): number {
    return this.view.getUint16(at, this.littleEndian);
  }

  u32(at: number): number {
    return this.view.getUint32(at, this.littleEndian);
  }

  /** A 64-bit number in the byte order of the section, as option values have it. */
  u64(at: number): bigint {
    return this.view.getBigUint64(at, this.littleEndian);
  }

  i64(at: number): bigint {
    return this.view.getBigInt64(at, this.littleEndian);
  }

  slice(at: number, length: number): Uint8Array {
    return this.bytes.subarray(at, at + length);
  }

  /** @throws InputError where fewer than `length` bytes are left before `end`. */
  demand(at: number, length: number, what: string, end: number = this.length): void {
    if (at + length <= end) return;
    throw this.damage(at, `only ${end - at} ${end - at === 1 ? "byte" : "bytes"}`, `${length} bytes of ${what}`);
  }

  /** What is wrong at this offset. A binary file has one line; the column is the offset, counted from 1. */
  damage(at: number, found: string, expected: string): InputError {
    return new InputError({ file: this.file, line: 1, column: at + 1 }, `${found} at offset ${at}`, expected);
  }
}

/** As a little-endian machine wrote them; the others come out byte-swapped. */
export const MAGIC_MICROSECONDS = 0xa1b2c3d4;
export const MAGIC_NANOSECONDS = 0xa1b23c4d;
const FILE_HEADER = 24;
const RECORD_HEADER = 16;

/** Whether the file begins with a magic of classic pcap; sets the byte order. */
export function isPcap(source: CaptureBytes): boolean {
  if (source.length < 4) return false;
  for (const littleEndian of [true, false]) {
    source.littleEndian = littleEndian;
    const magic = source.u32(0);
    if (magic === MAGIC_MICROSECONDS || magic === MAGIC_NANOSECONDS) return true;
  }
  return false;
}

/**
 * Reads a classic pcap file (draft-ietf-opsawg-pcap: section 4 "File Header", section 5 "Packet Record") of either byte
 * order, with microseconds or nanoseconds.
 *
 * As Wireshark and unlike libpcap, it leaves records whole that are longer than the snapshot length. Fractions of a
 * second and more are carried into the seconds.
 *
 * @param file the file's name, for the error
 * @throws InputError for a header that is no pcap 2.4 header; later damage is thrown by the iteration.
 */
export function readPcap(bytes: Uint8Array, file: string): CaptureFile {
  const source = new CaptureBytes(bytes, file);
  source.demand(0, FILE_HEADER, "pcap file header");
  if (!isPcap(source)) throw source.damage(0, `the magic ${formatMagic(bytes)}`, "that of a pcap file");
  const major = source.u16(4);
  const minor = source.u16(6);
  // Before 2.3 the two lengths of a record were the other way round.
  if (major !== 2 || minor !== 4) throw source.damage(4, `pcap version ${major}.${minor}`, "version 2.4");
  const network = source.u32(20);
  const on: CaptureInterface = {
    name: null,
    linkType: network & 0xffff,
    snapLength: source.u32(16),
    // The bit "f", then four bits that count the check sequence in units of 16 bits.
    fcsLength: (network & 0x0400_0000) !== 0 ? (network >>> 28) * 2 : null,
  };
  return { format: "pcap", packets: { [Symbol.iterator]: () => readRecords(source, on) } };
}

/** The first four bytes, as `hexdump` shows them. */
export function formatMagic(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

function* readRecords(source: CaptureBytes, on: CaptureInterface): Generator<CapturePacket> {
  const fraction = source.u32(0) === MAGIC_NANOSECONDS ? 1n : 1000n;
  const longest = longestCapture(on.linkType);
  for (let at = FILE_HEADER; at < source.length; ) {
    source.demand(at, RECORD_HEADER, "packet record header");
    const captured = source.u32(at + 8);
    if (captured > longest) throw source.damage(at + 8, `a captured length of ${captured}`, `at most ${longest} bytes`);
    source.demand(at + RECORD_HEADER, captured, "packet data");
    yield {
      time: BigInt(source.u32(at)) * 1_000_000_000n + BigInt(source.u32(at + 4)) * fraction,
      originalLength: source.u32(at + 12),
      bytes: source.slice(at + RECORD_HEADER, captured),
      interface: on,
      direction: null,
      id: null,
      comments: [],
    };
    at += RECORD_HEADER + captured;
  }
}
