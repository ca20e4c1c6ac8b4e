import * as tcp from "../wire/tcp.ts";
import type { Connection } from "./connection.ts";
import type { TcpDropReason } from "./fate.ts";
import { updateMss } from "./output.ts";
import { markSacked, noteDelivery, react, removeGuesses } from "./recovery.ts";
import type { Segment } from "./segment.ts";
import { EVER_RETRANSMITTED, LOST, RETRANSMITTED, SACKED } from "./send-queue.ts";
import { after, before } from "./sequence.ts";
import { armProbe, rearmRetransmit } from "./timers.ts";
import { challenge, keepTimestamp } from "./validity.ts";

/** `tcp_ack()`: new, old, or why the segment must be dropped. */
export function acknowledge(c: Connection, s: Segment, mayChallengeOld: boolean): "new" | "old" | TcpDropReason {
  const ack = s.acknowledgement;
  const { sndUna, now } = c;
  if (before(ack, sndUna)) {
    if (before(ack, (sndUna - Math.min(c.maxWindow, c.bytesAcked)) | 0)) {
      if (mayChallengeOld) challenge(c);
      return "TCP_TOO_OLD_ACK";
    }
    keepTimestamp(c, s);
    if (c.sackOk && s.sackCount > 0) react(c, 0, markSacked(c, s, now), false, now);
    return "old";
  }
  if (after(ack, c.sndNxt)) return "TCP_ACK_UNSENT_DATA";
  keepTimestamp(c, s);
  const window = s.is(tcp.SYN) ? s.window : s.window << c.sndScale;
  const updated = updateWindow(c, s, ack, window);
  c.softError = null;
  c.probes = 0;
  c.lastReceivedAt = now;
  c.sndUna = ack;
  const outstanding = c.queue.count;
  if (outstanding === 0) {
    windowOpened(c);
    return "new";
  }
  const acked = cleanQueue(c, s, sndUna, now);
  const sacked = c.sackOk && s.sackCount > 0 ? markSacked(c, s, now) : 0;
  const duplicate = ack === sndUna && s.end === s.sequence && !updated;
  if (acked > 0 || ack !== sndUna) {
    c.retransmits = 0;
    rearmRetransmit(c);
  }
  if (!c.sackOk && acked > 0) removeGuesses(c, acked);
  c.congestion.rtt = c.rtt.smoothed;
  react(c, acked, sacked, duplicate, now);
  if (acked > 0) c.expandSendBuffer();
  return "new";
}

/** `tcp_ack_update_window()`: true when the segment is news of the window. */
function updateWindow(c: Connection, s: Segment, ack: number, window: number): boolean {
  const newer =
    after(ack, c.sndUna) ||
    after(s.sequence, c.sndWl1) ||
    (s.sequence === c.sndWl1 && (window > c.sndWnd || window === 0));
  if (!newer) return false;
  c.sndWl1 = s.sequence;
  c.sndWnd = window;
  if (window > c.maxWindow) {
    c.maxWindow = window;
    updateMss(c);
  }
  return true;
}

/** `tcp_ack_probe()`. */
function windowOpened(c: Connection): void {
  if (c.sndNxt === c.writeSequence || c.waitsFor === "retransmit") return;
  const length = Math.min((c.writeSequence - c.sndNxt) | 0, c.mss);
  if (!after((c.sndNxt + length) | 0, (c.sndUna + c.sndWnd) | 0)) {
    c.backoff = 0;
    c.waitsFor = "nothing";
    c.writeTimer.cancel();
  } else armProbe(c);
}

/** `tcp_clean_rtx_queue()`: forgets what was acknowledged; how many segments that is. */
function cleanQueue(c: Connection, s: Segment, since: number, now: number): number {
  const { queue, recovery, sndUna } = c;
  let acked = 0;
  let sample = -1;
  let retransmitted = false;
  while (queue.first < queue.last) {
    const i = queue.first;
    const flags = queue.flags(i);
    if (after(queue.end(i), sndUna)) {
      if (after(sndUna, queue.start(i))) queue.trim(sndUna);
      break;
    }
    if (flags & SACKED) recovery.sacked--;
    if (flags & LOST) recovery.lost--;
    if (flags & RETRANSMITTED) recovery.retransmitted--;
    if (flags & EVER_RETRANSMITTED) retransmitted = true;
    else if (!(flags & SACKED)) sample = now - queue.sentAt(i);
    noteDelivery(c, queue.sentAt(i), flags, now);
    queue.first++;
    acked++;
  }
  if (queue.count === 0) c.retransmitStamp = 0;
  c.bytesAcked += (sndUna - since) | 0;
  queue.acknowledge(sndUna);
  if (acked > 0) measureRtt(c, s, retransmitted ? -1 : sample);
  return acked;
}

/** `tcp_ack_update_rtt()`: from the time it was sent (Karn), or else from the timestamp that came back. */
function measureRtt(c: Connection, s: Segment, sample: number): void {
  let rtt = sample;
  if (rtt < 0 && c.timestampsOk && s.timestamps && s.echo !== 0) rtt = Math.max((c.timestamp - s.echo) | 0, 1) * 1e6;
  if (rtt < 0) return;
  c.rtt.sample(rtt, c.sndUna, c.sndNxt);
  c.rto = c.rtt.timeout;
  c.backoff = 0;
}
