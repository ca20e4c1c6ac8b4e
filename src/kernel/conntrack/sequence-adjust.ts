import { NETWORK, type Packet } from "../../packet/packet.ts";
import { replace32 } from "../../wire/checksum.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as tcp from "../../wire/tcp.ts";
import type { Connection } from "./connection.ts";

/** By how much NAT has lengthened the stream of one direction (`struct nf_ct_seqadj`). */
export interface SequenceShift {
  /** The sequence number up to which `before` holds. */
  position: number;
  before: number;
  after: number;
}

const after = (a: number, b: number): boolean => ((b - a) | 0) < 0;

/** `nf_ct_seqadj_set()`: the packet that starts at `sequence` became longer by `by` bytes. */
export function shiftSequence(connection: Connection, direction: 0 | 1, sequence: number, by: number): void {
  if (by === 0) return;
  connection.shifts ??= [
    { position: 0, before: 0, after: 0 },
    { position: 0, before: 0, after: 0 },
  ];
  const shift = connection.shifts[direction];
  if (shift.before !== shift.after && !after(sequence, shift.position)) return;
  shift.position = sequence;
  shift.before = shift.after;
  shift.after += by;
}

/** `nf_ct_seq_offset()`. */
export function shiftAt(connection: Connection, direction: number, sequence: number): number {
  if (connection.shifts === null) return 0;
  const shift = connection.shifts[direction as 0 | 1];
  return after(sequence, shift.position) ? shift.after : shift.before;
}

/** What the peer acknowledges, in the numbers of who sent it. */
const unshifted = (number: number, shift: SequenceShift): number =>
  (number - (after((number - shift.before) | 0, shift.position) ? shift.after : shift.before)) | 0;

/** `nf_ct_seq_adjust()`: sequence numbers and acknowledgements, SACK too, as each end counts them. */
export function adjustSequence(packet: Packet, connection: Connection, direction: 0 | 1): void {
  const shifts = connection.shifts!;
  const { view } = packet;
  const at = NETWORK + ipv4.headerLength(view, NETWORK);
  if (packet.end - at < tcp.TCP_HEADER) return;
  const sequence = tcp.sequenceNumber(view, at);
  change(view, at, at + 4, (sequence + shiftAt(connection, direction, sequence)) | 0);
  if ((tcp.flags(view, at) & tcp.ACK) === 0) return;
  const other = shifts[direction === 0 ? 1 : 0];
  change(view, at, at + 8, unshifted(tcp.acknowledgement(view, at), other));
  const end = Math.min(at + tcp.headerLength(view, at), packet.end);
  for (let i = at + tcp.TCP_HEADER; i < end; ) {
    const kind = view.getUint8(i);
    if (kind === 0) return;
    if (kind === 1) {
      i++;
      continue;
    }
    const length = i + 1 < end ? view.getUint8(i + 1) : 0;
    if (length < 2 || i + length > end) return;
    if (kind === 5 && length >= 10 && (length - 2) % 8 === 0)
      for (let edge = i + 2; edge < i + length; edge += 4)
        change(view, at, edge, unshifted(view.getInt32(edge), other));
    i += length;
  }
}

/** A word of the TCP header at `at`, and the checksum with it. */
function change(view: DataView, at: number, word: number, value: number): void {
  view.setUint16(at + 16, replace32(view.getUint16(at + 16), view.getInt32(word), value));
  view.setInt32(word, value);
}
