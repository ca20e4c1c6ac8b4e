import * as tcp from "../wire/tcp.ts";
import { optionsLength, writeOptions } from "./options.ts";
import type { Ring } from "./ring.ts";
import { SegmentOptions } from "./segment.ts";

/** A segment about to leave. One object of a connection, valid during `send` alone: the owner makes room and has it written. */
export class OutgoingSegment extends SegmentOptions {
  sequence = 0;
  acknowledgement = 0;
  flags = 0;
  /** As it goes into the header, scaled. */
  window = 0;
  /** Bytes of data. */
  length = 0;
  /** Bytes of data in each of the segments that this is to be cut into (`gso_size`); 0 for what is one. */
  segmentSize = 0;
  /** Where the data comes from; null for a segment without. */
  data: Ring | null = null;

  /** Bytes of header, options included. */
  get headerLength(): number {
    return tcp.TCP_HEADER + optionsLength(this);
  }

  /** Writes header, options and data at `at`; the checksum is left to the owner, who knows the addresses. */
  write(bytes: Uint8Array, view: DataView, at: number, sourcePort: number, destinationPort: number): void {
    const header = this.headerLength;
    view.setUint16(at, sourcePort);
    view.setUint16(at + 2, destinationPort);
    view.setInt32(at + 4, this.sequence);
    view.setInt32(at + 8, this.acknowledgement);
    view.setUint16(at + 12, (header << 10) | this.flags);
    view.setUint16(at + 14, this.window);
    view.setInt32(at + 16, 0);
    if (header > tcp.TCP_HEADER) writeOptions(this, view, at + tcp.TCP_HEADER);
    if (this.length > 0) this.data!.copyTo(this.sequence, this.length, bytes, at + header);
  }
}
