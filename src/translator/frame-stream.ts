import { ETHERNET_HEADER } from "../wire/ethernet.ts";

/** How frames follow each other in a byte stream: each behind its length. */
export interface FrameFormat {
  /** Bytes of the length. */
  readonly header: 2 | 4;
  readonly littleEndian: boolean;
  /** Bytes of the longest frame; a longer one is garbage. */
  readonly longest: number;
}

/** QEMU's `-netdev stream`, passt and gvproxy: u32, big endian. gvproxy hangs up above 128 KiB. */
export const QEMU_STREAM: FrameFormat = { header: 4, littleEndian: false, longest: 128 * 1024 };
/** VMNET behind its handshake, and gvproxy's stdio: u16, little endian. */
export const VMNET_STREAM: FrameFormat = { header: 2, littleEndian: true, longest: 65_535 };

/** Writes the length that stands before a frame of `length` bytes. */
export function writeLength(format: FrameFormat, view: DataView, at: number, length: number): void {
  if (format.header === 4) view.setUint32(at, length, format.littleEndian);
  else view.setUint16(at, length, format.littleEndian);
}

/** A frame behind its length. @throws {RangeError} for one that the format cannot hold. */
export function formatFrame(format: FrameFormat, frame: Uint8Array): Uint8Array {
  const fault = faultOf(format, frame.length);
  if (fault !== null) throw new RangeError(fault);
  const bytes = new Uint8Array(format.header + frame.length);
  writeLength(format, new DataView(bytes.buffer), 0, frame.length);
  bytes.set(frame, format.header);
  return bytes;
}

function faultOf(format: FrameFormat, length: number): string | null {
  if (length < ETHERNET_HEADER) return `a frame of ${length} bytes is shorter than an Ethernet header`;
  return length > format.longest ? `a frame of ${length} bytes is longer than ${format.longest}` : null;
}

/**
 * Cuts a byte stream into frames, however it is split. A frame that comes whole is handed on where it lies; only what a
 * split tears apart is copied.
 */
export class FrameReader {
  /** The beginning of a frame whose rest has not come, its length included. */
  private readonly torn: Uint8Array;
  private held = 0;
  /** Why the stream is no stream of frames; nothing is read behind it. */
  fault: string | null = null;

  constructor(
    private readonly format: FrameFormat,
    /** The frame is borrowed. */
    private readonly onFrame: (frame: Uint8Array) => void,
  ) {
    this.torn = new Uint8Array(format.header + format.longest);
  }

  /** The next bytes of the stream, borrowed. Null, or why they cannot be frames. */
  push(bytes: Uint8Array): string | null {
    let at = 0;
    while (at < bytes.length && this.fault === null) {
      at = this.held > 0 || bytes.length - at < this.format.header ? this.mend(bytes, at) : this.take(bytes, at);
    }
    return this.fault;
  }

  private lengthAt(bytes: Uint8Array, at: number): number {
    const [a, b] = [bytes[at]!, bytes[at + 1]!];
    if (this.format.header === 2) return this.format.littleEndian ? (b << 8) | a : (a << 8) | b;
    const [c, d] = [bytes[at + 2]!, bytes[at + 3]!];
    const word = this.format.littleEndian ? (d << 24) | (c << 16) | (b << 8) | a : (a << 24) | (b << 16) | (c << 8) | d;
    return word >>> 0;
  }

  /** A frame that begins at `at`, with its length whole. Where the next begins. */
  private take(bytes: Uint8Array, at: number): number {
    const { header } = this.format;
    const length = this.lengthAt(bytes, at);
    this.fault = faultOf(this.format, length);
    if (this.fault !== null) return bytes.length;
    const end = at + header + length;
    if (end <= bytes.length) this.onFrame(bytes.subarray(at + header, end));
    else {
      this.torn.set(bytes.subarray(at));
      this.held = bytes.length - at;
    }
    return end;
  }

  /** Adds to what is torn: its length first, then its frame. Where what is left begins. */
  private mend(bytes: Uint8Array, at: number): number {
    const { header } = this.format;
    if (this.held < header) {
      this.torn[this.held++] = bytes[at]!;
      if (this.held === header) this.fault = faultOf(this.format, this.lengthAt(this.torn, 0));
      return at + 1;
    }
    const whole = header + this.lengthAt(this.torn, 0);
    const count = Math.min(whole - this.held, bytes.length - at);
    this.torn.set(bytes.subarray(at, at + count), this.held);
    this.held += count;
    if (this.held === whole) {
      this.held = 0;
      this.onFrame(this.torn.subarray(header, whole));
    }
    return at + count;
  }
}
