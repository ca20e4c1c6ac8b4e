import type { CapturedFrame } from "./capture.ts";
import type { Names } from "./names.ts";
import {
  CaptureBytes,
  type CaptureFile,
  type CaptureInterface,
  type CapturePacket,
  formatMagic,
  isPcap,
  LINKTYPE_ETHERNET,
  longestCapture,
  readPcap,
} from "./pcap.ts";

// Sections are those of draft-ietf-opsawg-pcapng.

/** A palindrome, so that it reads the same in both byte orders. */
const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
/** Obsolete, appendix A. */
const PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;

const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
/** Type and length before the body, the length again behind it. */
const BLOCK_FRAME = 12;

const END_OF_OPTIONS = 0;
const COMMENT = 1;
const USER_APPLICATION = 4;
const INTERFACE_NAME = 2;
const TIME_RESOLUTION = 9;
const TIME_OFFSET = 14;
const PACKET_FLAGS = 2;
const PACKET_ID = 5;

const NANOSECONDS = 9;

/**
 * Reads a capture file, whose first bytes say which format it has.
 *
 * @param file the file's name, for the error
 * @throws InputError for what is neither; damage behind the header is thrown by the iteration.
 */
export function readCapture(bytes: Uint8Array, file: string): CaptureFile {
  const source = new CaptureBytes(bytes, file);
  source.demand(0, 4, "a pcap or pcapng file");
  if (source.u32(0) === SECTION_HEADER) return readPcapng(bytes, file);
  if (isPcap(source)) return readPcap(bytes, file);
  throw source.damage(0, `the magic ${formatMagic(bytes)}`, "that of a pcap or pcapng file");
}

/**
 * Reads a pcapng file: all sections, in the byte order of each; packets of Enhanced, Simple and the obsolete Packet
 * Blocks. Name resolution, interface statistics and all blocks of unknown type are skipped.
 *
 * As Wireshark, it leaves packets whole that are longer than the snapshot length. The option `if_fcslen` is not read:
 * the draft counts it in bits, files do not.
 *
 * @throws InputError for a file that does not begin with a section header; later damage is thrown by the iteration.
 */
export function readPcapng(bytes: Uint8Array, file: string): CaptureFile {
  const section = new Section(new CaptureBytes(bytes, file));
  section.source.demand(0, BLOCK_FRAME, "section header");
  if (section.source.u32(0) !== SECTION_HEADER)
    throw section.source.damage(0, `the magic ${formatMagic(bytes)}`, "that of a pcapng file");
  section.begin(0);
  return { format: "pcapng", packets: { [Symbol.iterator]: () => readBlocks(new CaptureBytes(bytes, file)) } };
}

/** 3.1 General Block Structure. */
function* readBlocks(source: CaptureBytes): Generator<CapturePacket> {
  const section = new Section(source);
  for (let at = 0; at < source.length; ) {
    source.demand(at, BLOCK_FRAME, "block");
    const type = source.u32(at);
    if (type === SECTION_HEADER) section.begin(at);
    const length = blockLength(source, at);
    const end = at + length - 4;
    if (type === INTERFACE_DESCRIPTION) section.describe(at + 8, end);
    else if (type === ENHANCED_PACKET || type === PACKET) yield section.packet(type, at + 8, end);
    else if (type === SIMPLE_PACKET) yield section.simplePacket(at + 8, end);
    at += length;
  }
}

/** Bytes of a whole block, its frame included; a multiple of 4. */
function blockLength(source: CaptureBytes, at: number): number {
  const length = source.u32(at + 4);
  if (length < BLOCK_FRAME || length % 4 !== 0)
    throw source.damage(at + 4, `a block length of ${length}`, "a multiple of 4 from 12 on");
  source.demand(at, length, "block");
  const again = source.u32(at + length - 4);
  if (again !== length)
    throw source.damage(at + length - 4, `a block length of ${again}`, `${length} again, as at the block's begin`);
  return length;
}

/** What the units of a timestamp mean: nanoseconds are units * multiplier / divisor + offset. */
interface Clock {
  readonly multiplier: bigint;
  readonly divisor: bigint;
  /** Nanoseconds. */
  readonly offset: bigint;
}

/** One section: its byte order and its interfaces, which packets name by their number. */
class Section {
  private interfaces: { readonly on: CaptureInterface; readonly clock: Clock }[] = [];

  constructor(readonly source: CaptureBytes) {}

  /** 4.1 Section Header Block: sets the byte order. The section's length only serves to skip it. */
  begin(at: number): void {
    const { source } = this;
    this.interfaces = [];
    source.littleEndian = true;
    if (source.u32(at + 8) !== BYTE_ORDER_MAGIC) source.littleEndian = false;
    const magic = source.u32(at + 8);
    if (magic !== BYTE_ORDER_MAGIC)
      throw source.damage(at + 8, `the byte order magic 0x${magic.toString(16)}`, "0x1a2b3c4d in either byte order");
    const end = at + blockLength(source, at) - 4;
    source.demand(at + 8, 16, "section header", end);
    const major = source.u16(at + 12);
    const minor = source.u16(at + 14);
    // 1.2 is a 1.0 that some writers declared.
    if (major !== 1 || (minor !== 0 && minor !== 2))
      throw source.damage(at + 12, `pcapng version ${major}.${minor}`, "version 1.0");
  }

  /** 4.2 Interface Description Block. */
  describe(at: number, end: number): void {
    const { source } = this;
    source.demand(at, 8, "interface description", end);
    let name: string | null = null;
    let resolution = 6;
    let offset = 0n;
    for (const { code, at: value, length } of readOptions(source, at + 8, end)) {
      if (code === INTERFACE_NAME) name = decodeUtf8(source.slice(value, length));
      else if (code === TIME_RESOLUTION) {
        this.demandLength(value, length, 1, "if_tsresol");
        resolution = source.u8(value);
      } else if (code === TIME_OFFSET) {
        this.demandLength(value, length, 8, "if_tsoffset");
        offset = source.i64(value) * 1_000_000_000n;
      }
    }
    const on = { name, linkType: source.u16(at), snapLength: source.u32(at + 4), fcsLength: null };
    this.interfaces.push({ on, clock: { ...resolve(resolution), offset } });
  }

  /** 4.3 Enhanced Packet Block; appendix A, Packet Block: an interface of 16 bits and a count of drops beside it. */
  packet(type: typeof ENHANCED_PACKET | typeof PACKET, at: number, end: number): CapturePacket {
    const { source } = this;
    source.demand(at, 20, "packet block", end);
    const { on, clock } = this.described(type === PACKET ? source.u16(at) : source.u32(at), at);
    const captured = source.u32(at + 12);
    this.demandData(at + 12, captured, at + 20, end, on);
    let direction: CapturePacket["direction"] = null;
    let id: bigint | null = null;
    const comments: string[] = [];
    for (const { code, at: value, length } of readOptions(source, at + 20 + pad(captured), end)) {
      if (code === COMMENT) comments.push(decodeUtf8(source.slice(value, length)));
      else if (code === PACKET_FLAGS) {
        this.demandLength(value, length, 4, "epb_flags");
        const bits = source.u32(value) & 3;
        direction = bits === 1 ? "in" : bits === 2 ? "out" : null;
      } else if (code === PACKET_ID && type === ENHANCED_PACKET) {
        this.demandLength(value, length, 8, "epb_packetid");
        id = source.u64(value);
      }
    }
    // The halves stand in this order whatever the byte order.
    const units = (BigInt(source.u32(at + 4)) << 32n) | BigInt(source.u32(at + 8));
    return {
      time: (units * clock.multiplier) / clock.divisor + clock.offset,
      originalLength: source.u32(at + 16),
      bytes: source.slice(at + 20, captured),
      interface: on,
      direction,
      id,
      comments,
    };
  }

  /** 4.4 Simple Packet Block: of the first interface, cut at its snapshot length, without a time. */
  simplePacket(at: number, end: number): CapturePacket {
    const { source } = this;
    source.demand(at, 4, "simple packet block", end);
    const { on } = this.described(0, at);
    const originalLength = source.u32(at);
    const captured = on.snapLength === 0 ? originalLength : Math.min(originalLength, on.snapLength);
    this.demandData(at, captured, at + 4, end, on);
    const bytes = source.slice(at + 4, captured);
    return { time: null, originalLength, bytes, interface: on, direction: null, id: null, comments: [] };
  }

  private described(number: number, at: number): { readonly on: CaptureInterface; readonly clock: Clock } {
    const found = this.interfaces[number];
    if (found !== undefined) return found;
    const { length } = this.interfaces;
    const known = `one of the ${length} interfaces that the section has described so far`;
    throw this.source.damage(at, `a packet of interface ${number}`, known);
  }

  /** A captured length that is possible and lies within its block. */
  private demandData(at: number, captured: number, data: number, end: number, on: CaptureInterface): void {
    const longest = longestCapture(on.linkType);
    if (captured > longest)
      throw this.source.damage(at, `a captured length of ${captured}`, `at most ${longest} bytes`);
    this.source.demand(data, pad(captured), "packet data and padding", end);
  }

  private demandLength(at: number, length: number, right: number, option: string): void {
    if (length !== right) throw this.source.damage(at - 2, `${option} of length ${length}`, `length ${right}`);
  }
}

/** Bytes with the padding to 32 bits. */
function pad(length: number): number {
  return Math.ceil(length / 4) * 4;
}

/** 3.5 Options: they end with `opt_endofopt` or with the block. */
function* readOptions(
  source: CaptureBytes,
  at: number,
  end: number,
): Generator<{ readonly code: number; readonly at: number; readonly length: number }> {
  while (at < end) {
    source.demand(at, 4, "option header", end);
    const code = source.u16(at);
    const length = source.u16(at + 2);
    if (code === END_OF_OPTIONS) return;
    source.demand(at + 4, pad(length), "option value and padding", end);
    yield { code, at: at + 4, length };
    at += 4 + pad(length);
  }
}

/** `if_tsresol`: a unit is 10^-n seconds, or 2^-n where the highest bit is set. */
function resolve(resolution: number): Omit<Clock, "offset"> {
  const n = resolution & 0x7f;
  if (resolution > 0x7f) return { multiplier: 1_000_000_000n, divisor: 1n << BigInt(n) };
  if (n <= NANOSECONDS) return { multiplier: 10n ** BigInt(NANOSECONDS - n), divisor: 1n };
  return { multiplier: 1n, divisor: 10n ** BigInt(n - NANOSECONDS) };
}

/** Strings are UTF-8 (3.5); of one that is not, what ASCII says. */
function decodeUtf8(bytes: Uint8Array): string {
  const escaped = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`);
  try {
    return decodeURIComponent(escaped.join(""));
  } catch {
    return Array.from(bytes, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : "\ufffd")).join("");
  }
}

/**
 * Writes captured frames as a pcapng file that Wireshark and tcpdump read: little-endian, one section, one interface
 * description per device named "namespace/device" in the order in which they first see a frame, one Enhanced Packet
 * Block per frame. Times are virtual nanoseconds, so that the simulation begins in 1970.
 *
 * Each frame says its direction and whom it was for (`epb_flags`), and which packet it is: to people in a comment
 * "hopscope packet 12", to programs in `epb_packetid`, which Wireshark shows as `frame.packet_id`.
 */
export function formatPcapng(frames: readonly CapturedFrame[], names: Names): Uint8Array {
  const writer = new BlockWriter();
  writer.begin(SECTION_HEADER);
  writer.u32(BYTE_ORDER_MAGIC);
  writer.u16(1);
  writer.u16(0);
  // The section's length is not given.
  writer.u32(0xffff_ffff);
  writer.u32(0xffff_ffff);
  writer.option(USER_APPLICATION, encodeUtf8("hopscope"));
  writer.end();
  const interfaces = new Map<number, number>();
  for (const { place } of frames) {
    if (interfaces.has(place)) continue;
    interfaces.set(place, interfaces.size);
    describeDevice(writer, place, names);
  }
  for (const frame of frames) writeFrame(writer, frame, interfaces.get(frame.place)!);
  return writer.finish();
}

function describeDevice(writer: BlockWriter, place: number, names: Names): void {
  const name = names.get(place);
  if (name?.kind !== "device") throw new Error(`a frame was captured at ${place}, which is no device`);
  writer.begin(INTERFACE_DESCRIPTION);
  writer.u16(LINKTYPE_ETHERNET);
  writer.u16(0);
  writer.u32(0);
  writer.option(INTERFACE_NAME, encodeUtf8(`${name.namespace}/${name.device}`));
  writer.option(TIME_RESOLUTION, Uint8Array.of(NANOSECONDS));
  writer.end();
}

/** 4.3.1 Enhanced Packet Block Flags Word, "reception type". */
const RECEPTION: Readonly<Record<string, number>> = { host: 1, multicast: 2, broadcast: 3, otherhost: 4 };

function writeFrame(writer: BlockWriter, frame: CapturedFrame, on: number): void {
  writer.begin(ENHANCED_PACKET);
  writer.u32(on);
  writer.u32(Math.floor(frame.time / 2 ** 32));
  writer.u32(frame.time % 2 ** 32);
  writer.u32(frame.bytes.length);
  writer.u32(frame.bytes.length);
  writer.padded(frame.bytes);
  writer.option(COMMENT, encodeUtf8(`hopscope packet ${frame.packet}`));
  const flags = frame.direction === "in" ? 1 | ((RECEPTION[frame.type] ?? 0) << 2) : 2;
  writer.option(PACKET_FLAGS, Uint8Array.of(flags, 0, 0, 0));
  const { packet } = frame;
  const id = [packet, packet >>> 8, packet >>> 16, packet >>> 24, 0, 0, 0, 0];
  writer.option(PACKET_ID, Uint8Array.from(id));
  writer.end();
}

/** Appends little-endian blocks; the buffer grows. */
class BlockWriter {
  private bytes = new Uint8Array(4096);
  private view = new DataView(this.bytes.buffer);
  private length = 0;
  private start = 0;
  private hasOptions = false;

  begin(type: number): void {
    this.start = this.length;
    this.hasOptions = false;
    this.u32(type);
    this.u32(0);
  }

  /** Closes the options and the block. */
  end(): void {
    if (this.hasOptions) this.u32(END_OF_OPTIONS);
    const length = this.length + 4 - this.start;
    this.u32(length);
    this.view.setUint32(this.start + 4, length, true);
  }

  option(code: number, value: Uint8Array): void {
    if (value.length > 0xffff) throw new Error(`an option of ${value.length} bytes does not fit a pcapng file`);
    this.hasOptions = true;
    this.u16(code);
    this.u16(value.length);
    this.padded(value);
  }

  u16(value: number): void {
    this.reserve(2);
    this.view.setUint16(this.length, value, true);
    this.length += 2;
  }

  u32(value: number): void {
    this.reserve(4);
    this.view.setUint32(this.length, value, true);
    this.length += 4;
  }

  /** Bytes, then zeros to 32 bits. */
  padded(bytes: Uint8Array): void {
    this.reserve(pad(bytes.length));
    this.bytes.set(bytes, this.length);
    this.length += pad(bytes.length);
  }

  finish(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  private reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more));
    bytes.set(this.bytes);
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }
}

/** Lone surrogates, which UTF-8 has no bytes for, become U+FFFD. */
function encodeUtf8(text: string): Uint8Array {
  const whole = text.replace(/\p{Surrogate}/gu, "\ufffd");
  const escaped = encodeURIComponent(whole);
  return Uint8Array.from(escaped.match(/%..|./g) ?? [], (unit) =>
    unit.length === 1 ? unit.charCodeAt(0) : Number.parseInt(unit.slice(1), 16),
  );
}
