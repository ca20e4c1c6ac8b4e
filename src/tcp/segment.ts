import * as tcp from "../wire/tcp.ts";
import { readOptions } from "./options.ts";

/** The options that a segment carries. One object is used over and over. */
export class SegmentOptions {
  /** Maximum segment size in bytes; 0 for none. */
  mss = 0;
  /** Window scale shift; -1 for none. */
  windowScale = -1;
  sackPermitted = false;
  timestamps = false;
  timestamp = 0;
  echo = 0;
  /** How many SACK blocks. */
  sackCount = 0;
  /** Left and right edge of each block. */
  readonly sacks = new Int32Array(8);

  clear(): void {
    this.mss = 0;
    this.windowScale = -1;
    this.sackPermitted = false;
    this.timestamps = false;
    this.timestamp = 0;
    this.echo = 0;
    this.sackCount = 0;
  }
}

/** A segment that arrived. One object is used over and over; its data stays in the packet. */
export class Segment extends SegmentOptions {
  sequence = 0;
  /** Sequence number behind the segment, SYN and FIN counted. */
  end = 0;
  acknowledgement = 0;
  flags = 0;
  /** As it stands in the header, unscaled. */
  window = 0;
  bytes: Uint8Array = EMPTY;
  /** Where the data begins in `bytes`. */
  dataAt = 0;
  /** Bytes of data. */
  length = 0;

  /** Reads the segment whose header is at `at` and whose data ends at `end`; false when it is cut short. */
  read(bytes: Uint8Array, view: DataView, at: number, end: number): boolean {
    if (end - at < tcp.TCP_HEADER) return false;
    const header = tcp.headerLength(view, at);
    if (header < tcp.TCP_HEADER || header > end - at) return false;
    const flags = tcp.flags(view, at);
    this.bytes = bytes;
    this.sequence = tcp.sequenceNumber(view, at);
    this.acknowledgement = tcp.acknowledgement(view, at);
    this.flags = flags;
    this.window = tcp.window(view, at);
    this.dataAt = at + header;
    this.length = end - at - header;
    this.end = (this.sequence + this.length + ((flags & tcp.SYN) >> 1) + (flags & tcp.FIN)) | 0;
    this.clear();
    if (header > tcp.TCP_HEADER) readOptions(this, view, at + tcp.TCP_HEADER, at + header);
    return true;
  }

  is(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }
}

const EMPTY = new Uint8Array(0);
