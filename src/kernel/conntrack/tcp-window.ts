import * as tcp from "../../wire/tcp.ts";
import { readOptions, sackEdge, type TcpSide, type TcpTracking } from "./tcp-state.ts";

export const after = (a: number, b: number): boolean => ((a - b) | 0) > 0;
export const before = (a: number, b: number): boolean => ((a - b) | 0) < 0;

/** The least that an acknowledgement may lag behind, bytes. */
const ACK_LAG = 66_000;

/** A segment is believed, let through without being believed, or INVALID. */
export type WindowVerdict = "accept" | "ignore" | "invalid";

/** A TCP header in a packet; `bytes` is the length of the segment. */
export interface Segment {
  readonly view: DataView;
  readonly at: number;
  readonly bytes: number;
}

/** Behind the last sequence number that a segment occupies. */
export function segmentEnd({ view, at, bytes }: Segment): number {
  const flags = tcp.flags(view, at);
  const data = bytes - tcp.headerLength(view, at);
  return (tcp.sequenceNumber(view, at) + data + (flags & tcp.SYN ? 1 : 0) + (flags & tcp.FIN ? 1 : 0)) | 0;
}

/** What a SYN says of its sender, `tcp_init_sender()`. */
function startSender(sender: TcpSide, receiver: TcpSide, segment: Segment, end: number, direction: number): void {
  sender.end = end;
  sender.maxEnd = end;
  sender.maxWindow = tcp.window(segment.view, segment.at) || 1;
  readOptions(segment.view, segment.at, sender);
  if (direction === 1 && !(sender.scaleSeen && receiver.scaleSeen)) {
    sender.scale = 0;
    receiver.scale = 0;
  }
}

/** A flow picked up in its middle: what this segment shows is all there is to believe. */
function adoptSender(sender: TcpSide, receiver: TcpSide, end: number, window: number, sack: number): void {
  sender.end = end;
  sender.maxWindow = window << sender.scale || 1;
  sender.maxEnd = (end + sender.maxWindow) | 0;
  if (receiver.maxWindow === 0) {
    receiver.end = sack;
    receiver.maxEnd = sack;
  } else if (sack === ((receiver.end + 1) | 0)) receiver.end = sack;
}

/**
 * `tcp_in_window()`: does this segment fit between what its sender has sent and what its receiver has offered? Updates
 * both sides when it does. `liberal` believes every segment; `shift` is by how much NAT has lengthened what it acknowledges.
 */
export function inWindow(
  tracking: TcpTracking,
  direction: number,
  segment: Segment,
  liberal: boolean,
  shift: number,
): WindowVerdict {
  const { view, at } = segment;
  const sender = tracking.sides[direction]!;
  const receiver = tracking.sides[1 - direction]!;
  const flags = tcp.flags(view, at);
  const syn = (flags & tcp.SYN) !== 0;
  const acknowledges = (flags & tcp.ACK) !== 0;
  const rawWindow = tcp.window(view, at);
  let sequence = tcp.sequenceNumber(view, at);
  let ack = tcp.acknowledgement(view, at);
  let sack = receiver.sackSeen ? sackEdge(view, at, ack) : ack;
  ack = (ack - shift) | 0;
  sack = (sack - shift) | 0;
  let end = segmentEnd(segment);
  const tolerant = liberal || sender.liberal;

  if (sender.maxWindow === 0) {
    if (syn) {
      startSender(sender, receiver, segment, end, direction);
      if (!acknowledges) return "accept";
    } else adoptSender(sender, receiver, end, rawWindow, sack);
  } else if (syn && after(end, sender.end) && (tracking.state === "SYN_SENT" || tracking.state === "SYN_RECV")) {
    startSender(sender, receiver, segment, end, direction);
    if (direction === 1 && !acknowledges) return "accept";
  }

  const resetWithoutAck = (flags & tcp.RST) !== 0 && ack === 0;
  if (!acknowledges || resetWithoutAck) ack = sack = receiver.end;
  if ((flags & tcp.RST) !== 0 && sequence === 0 && tracking.state === "SYN_SENT") sequence = end = sender.end;

  const ackNotSeenYet = after(sack, receiver.end);
  const ackFresh = after(sack, (receiver.end - Math.max(sender.maxWindow, ACK_LAG) - 1) | 0);
  const notOld = after(end, (sender.end - receiver.maxWindow - 1) | 0);
  if (after(sequence, sender.maxEnd)) {
    const overshot = ((end - sender.maxEnd + 1) | 0) >>> 0;
    if (receiver.maxWindow !== 0 && notOld && ackFresh && overshot <= receiver.maxWindow && !ackNotSeenYet) {
      // More than was offered: should the peer acknowledge it, that must not look invalid as well.
      sender.end = end;
      sender.unacknowledged = true;
      return tolerant ? "accept" : "ignore";
    }
    return tolerant ? "accept" : "invalid";
  }
  if (ackNotSeenYet) return tolerant ? "accept" : "invalid";
  if (receiver.maxWindow !== 0 && !notOld) return tolerant ? "accept" : "ignore";
  if (!ackFresh) return tolerant ? "accept" : "ignore";

  update(sender, receiver, { end, ack, sack, window: syn ? rawWindow : rawWindow << sender.scale, acknowledges });
  if ((flags & (tcp.SYN | tcp.FIN | tcp.RST)) === 0 && acknowledges)
    countRepeats(tracking, direction, { sequence, ack, end, window: rawWindow });
  return "accept";
}

function update(
  sender: TcpSide,
  receiver: TcpSide,
  seen: { end: number; ack: number; sack: number; window: number; acknowledges: boolean },
): void {
  const { end, ack, sack, window } = seen;
  sender.maxWindow = Math.max(sender.maxWindow, window + ((sack - ack) | 0));
  if (after(end, sender.end)) {
    sender.end = end;
    sender.unacknowledged = true;
  }
  if (seen.acknowledges && (!sender.ackSet || after(ack, sender.maxAck))) {
    sender.maxAck = ack;
    sender.ackSet = true;
  }
  if (receiver.maxWindow !== 0 && after(end, sender.maxEnd)) receiver.maxWindow += (end - sender.maxEnd) | 0;
  if (after((sack + window) | 0, (receiver.maxEnd - 1) | 0)) receiver.maxEnd = (sack + (window || 1)) | 0;
  if (ack === receiver.end) receiver.unacknowledged = false;
}

/** The same bare segment again and again: the other end may be gone. */
function countRepeats(
  tracking: TcpTracking,
  direction: number,
  seen: { sequence: number; ack: number; end: number; window: number },
): void {
  if (
    tracking.lastDirection === direction &&
    tracking.lastSequence === seen.sequence &&
    tracking.lastAck === seen.ack &&
    tracking.lastEnd === seen.end &&
    tracking.lastWindow === seen.window
  ) {
    tracking.retransmissions++;
    return;
  }
  tracking.lastDirection = direction;
  tracking.lastSequence = seen.sequence;
  tracking.lastAck = seen.ack;
  tracking.lastEnd = seen.end;
  tracking.lastWindow = seen.window;
  tracking.retransmissions = 0;
}
