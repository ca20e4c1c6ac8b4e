import * as tcp from "../wire/tcp.ts";
import type { Connection } from "./connection.ts";
import { ESTABLISHED, READABLE } from "./news.ts";
import { pushPending, sendAck, sendSynAck, updateMss } from "./output.ts";
import { markSacked, noteDelivery, react, removeGuesses } from "./recovery.ts";
import type { Segment } from "./segment.ts";
import { EVER_RETRANSMITTED, LOST, RETRANSMITTED, SACKED } from "./send-queue.ts";
import { after, before } from "./sequence.ts";
import { armProbe, rearmRetransmit, TIME_WAIT } from "./timers.ts";

/** Why a segment was dropped, by Linux's names. */
export type TcpDropReason =
  | "TCP_FLAGS"
  | "TCP_CLOSE"
  | "TCP_RESET"
  | "TCP_INVALID_SYN"
  | "TCP_INVALID_SEQUENCE"
  | "TCP_OLD_DATA"
  | "TCP_OVERWINDOW"
  | "TCP_ZEROWINDOW"
  | "TCP_RFC7323_PAWS"
  | "TCP_TOO_OLD_ACK"
  | "TCP_ACK_UNSENT_DATA"
  | "TCP_LISTEN_OVERFLOW"
  | "PROTO_MEM";

/** What became of a segment: taken, answered with a RST by the owner, a SYN that may begin anew, or dropped. */
export type Fate = "accepted" | "reset" | "reopen" | TcpDropReason;

/** Nanoseconds between acknowledgements of what is out of the window (`tcp_invalid_ratelimit`). */
const CHALLENGE_INTERVAL = 500e6;
/** Nanoseconds. `TCP_TIMEOUT_MIN`. */
const SOON = 2e6;
/** Nanoseconds after which an old timestamp says nothing (RFC 7323, 5.5). */
const TIMESTAMP_LIFE = 24 * 24 * 3600e9;

/** SEGMENT ARRIVES (RFC 9293, 3.10.7) as `tcp_v4_do_rcv()` has it. */
export function arrive(c: Connection, s: Segment): Fate {
  switch (c.state) {
    case "CLOSE":
      return "TCP_CLOSE";
    case "SYN_SENT":
      return synSent(c, s);
    case "TIME_WAIT":
      return inTimeWait(c, s);
    case "SYN_RECV": {
      const fate = c.passive ? checkRequest(c, s) : null;
      return fate ?? process(c, s);
    }
    case "FIN_WAIT2":
      return c.orphan ? inOrphanedFinWait(c, s) : process(c, s);
    default:
      return process(c, s);
  }
}

// Acknowledging what cannot be taken.

/** `tcp_oow_rate_limited()`: data is never limited; what could be part of a loop is. */
function mayAnswer(c: Connection, s: Segment): boolean {
  return (s.length > 0 && !s.is(tcp.SYN)) || mayChallenge(c);
}

function mayChallenge(c: Connection): boolean {
  if (c.now - c.lastChallenge < CHALLENGE_INTERVAL) return false;
  c.lastChallenge = c.now;
  return true;
}

/** `tcp_send_challenge_ack()` (RFC 5961). */
function challenge(c: Connection): void {
  if (mayChallenge(c)) sendAck(c);
}

/** `tcp_send_dupack()`. */
function sendDuplicate(c: Connection, s: Segment): void {
  if (s.end !== s.sequence && before(s.sequence, c.rcvNxt)) {
    c.acks.enterQuick(c.window.window, c.window.segment);
    if (c.sackOk && c.incoming !== null) {
      c.incoming.duplicateLeft = s.sequence;
      c.incoming.duplicateRight = after(s.end, c.rcvNxt) ? c.rcvNxt : s.end;
    }
  }
  sendAck(c);
}

/** `tcp_paws_reject()` (RFC 7323, 5). */
function isOldTimestamp(c: Connection, s: Segment): boolean {
  return (
    c.timestampsOk &&
    s.timestamps &&
    ((s.timestamp - c.tsRecent) | 0) < 0 &&
    c.now - c.tsRecentAt < TIMESTAMP_LIFE &&
    !(s.is(tcp.RST) && c.now - c.tsRecentAt >= TIME_WAIT)
  );
}

/** `tcp_replace_ts_recent()`. */
function keepTimestamp(c: Connection, s: Segment): void {
  if (!c.timestampsOk || !s.timestamps || after(s.sequence, c.window.advertisedAt)) return;
  c.tsRecent = s.timestamp;
  c.tsRecentAt = c.now;
}

/** `tcp_in_window()`. */
function inWindow(s: Segment, next: number, edge: number): boolean {
  if (s.sequence === next) return true;
  if (after(s.end, next) && before(s.sequence, edge)) return true;
  return s.sequence === edge && s.sequence === s.end;
}

// Before a connection stands.

/** `tcp_rcv_synsent_state_process()`. */
function synSent(c: Connection, s: Segment): Fate {
  if (s.is(tcp.ACK)) {
    if (!after(s.acknowledgement, c.sndUna) || after(s.acknowledgement, c.sndNxt)) {
      // What is left of an older connection may have hidden the answer: ask again soon.
      if (c.retransmits === 0) c.writeTimer.armIn(SOON);
      return "reset";
    }
    if (c.timestampsOk && s.timestamps && s.echo !== 0 && ((c.timestamp - s.echo) | 0) < 0) return "reset";
    if (s.is(tcp.RST)) {
      c.fail("ECONNREFUSED");
      return "accepted";
    }
    if (!s.is(tcp.SYN)) return "TCP_FLAGS";
    finishConnect(c, s);
    return "accepted";
  }
  if (s.is(tcp.RST)) return "TCP_RESET";
  if (!s.is(tcp.SYN)) return "TCP_FLAGS";
  // A SYN that crossed ours: simultaneous open.
  c.state = "SYN_RECV";
  c.irs = s.sequence;
  c.rcvNxt = (s.sequence + 1) | 0;
  c.window.advertisedAt = c.rcvNxt;
  c.agree(s);
  c.sndWnd = s.window;
  c.sndWl1 = s.sequence;
  c.maxWindow = s.window;
  updateMss(c);
  c.window.guessSegment(c.mss);
  sendSynAck(c);
  return "accepted";
}

/** A SYN-ACK answers our SYN. */
function finishConnect(c: Connection, s: Segment): void {
  c.irs = s.sequence;
  c.sndWl1 = s.sequence;
  c.agree(s);
  acknowledge(c, s, false);
  c.rcvNxt = (s.sequence + 1) | 0;
  c.window.advertisedAt = c.rcvNxt;
  c.sndWnd = s.window;
  c.maxWindow = Math.max(c.maxWindow, s.window);
  updateMss(c);
  c.establish();
  sendAck(c);
  c.tell(ESTABLISHED);
  pushPending(c);
}

/** `tcp_check_req()`: a segment for a connection that the listener has answered; null when the rest may go on. */
function checkRequest(c: Connection, s: Segment): Fate | null {
  const old = isOldTimestamp(c, s);
  const bits = s.flags & (tcp.RST | tcp.SYN | tcp.ACK);
  if (s.sequence === c.irs && bits === tcp.SYN && !old) {
    if (mayAnswer(c, s)) sendSynAck(c);
    return "accepted";
  }
  if (bits & tcp.ACK && !(bits & tcp.RST) && s.acknowledgement !== c.sndNxt) return "reset";
  if (old || !inWindow(s, c.rcvNxt, (c.rcvNxt + c.window.window) | 0)) {
    if (!(bits & tcp.RST) && mayAnswer(c, s)) sendAck(c);
    return old ? "TCP_RFC7323_PAWS" : "TCP_INVALID_SEQUENCE";
  }
  const syn = bits & tcp.SYN && s.sequence !== c.irs;
  if (bits & tcp.RST && s.sequence !== c.rcvNxt) {
    challenge(c);
    return "TCP_RESET";
  }
  if (bits & tcp.RST || syn) {
    c.finish();
    return syn && !(bits & tcp.RST) ? "reset" : "TCP_RESET";
  }
  if (!(bits & tcp.ACK)) return "TCP_FLAGS";
  if (c.owner.admit(c)) return null;
  if (c.options.abortOnOverflow !== true) return "TCP_LISTEN_OVERFLOW";
  c.finish();
  return "reset";
}

// A connection that stands.

/** `tcp_reset_check()`: some peers send the RST after their FIN with the FIN's own number. */
function resetsAfterFin(c: Connection, s: Segment): boolean {
  if (s.sequence !== ((c.rcvNxt - 1) | 0)) return false;
  return c.state === "CLOSE_WAIT" || c.state === "LAST_ACK" || c.state === "CLOSING";
}

/** `tcp_reset()`. */
function reset(c: Connection): Fate {
  if (c.state === "SYN_SENT") c.fail("ECONNREFUSED");
  else if (c.state === "CLOSE_WAIT") c.fail("EPIPE");
  else c.fail("ECONNRESET");
  return "accepted";
}

/** `tcp_validate_incoming()`: null when the segment is acceptable. */
function validate(c: Connection, s: Segment): Fate | null {
  if (isOldTimestamp(c, s) && !s.is(tcp.RST)) {
    if (mayAnswer(c, s)) sendDuplicate(c, s);
    return "TCP_RFC7323_PAWS";
  }
  const edge = (c.rcvNxt + c.window.left(c.rcvNxt)) | 0;
  if (before(s.end, c.window.advertisedAt) || after(s.sequence, edge)) {
    if (s.is(tcp.RST)) return resetsAfterFin(c, s) ? reset(c) : "TCP_INVALID_SEQUENCE";
    if (s.is(tcp.SYN)) {
      challenge(c);
      return "TCP_INVALID_SYN";
    }
    if (mayAnswer(c, s)) sendDuplicate(c, s);
    return "TCP_INVALID_SEQUENCE";
  }
  if (s.is(tcp.RST)) {
    if (s.sequence === c.rcvNxt || resetsAfterFin(c, s)) return reset(c);
    challenge(c);
    return "TCP_RESET";
  }
  if (s.is(tcp.SYN)) {
    const crossed =
      c.state === "SYN_RECV" &&
      s.is(tcp.ACK) &&
      ((s.sequence + 1) | 0) === s.end &&
      s.end === c.rcvNxt &&
      s.acknowledgement === c.sndNxt;
    if (crossed) return null;
    challenge(c);
    return "TCP_INVALID_SYN";
  }
  return null;
}

/** `tcp_rcv_established()`, `tcp_rcv_state_process()`. */
function process(c: Connection, s: Segment): Fate {
  const refused = validate(c, s);
  if (refused !== null) return refused;
  if (!s.is(tcp.ACK)) return "TCP_FLAGS";
  const established = c.state === "ESTABLISHED";
  const outcome = acknowledge(c, s, established);
  if (outcome !== "new") {
    if (c.state === "SYN_RECV") return "reset";
    if (outcome !== "old") {
      if (!established) challenge(c);
      return outcome;
    }
  }
  if (!established && !advanceState(c, s)) return "accepted";
  const fate = takeData(c, s);
  if (c.state !== "CLOSE" && c.state !== "TIME_WAIT") {
    pushPending(c);
    c.roomMade();
    checkAck(c);
  }
  return fate;
}

/** The states that an acknowledgement ends. False when nothing is left to do. */
function advanceState(c: Connection, s: Segment): boolean {
  const all = c.sndUna === c.writeSequence;
  switch (c.state) {
    case "SYN_RECV":
      synReceived(c, s);
      return true;
    case "FIN_WAIT1":
      if (!all) return true;
      c.state = "FIN_WAIT2";
      if (!c.orphan) return true;
      // The FIN that comes along finds a socket yet; a bare acknowledgement leaves a timewait one.
      if (s.is(tcp.FIN) || s.length > 0) return true;
      c.awaitFin();
      return false;
    case "CLOSING":
      if (all) c.enterTimeWait();
      return !all;
    case "LAST_ACK":
      if (all) c.finish();
      return !all;
    default:
      return true;
  }
}

/** The third segment of the handshake. */
function synReceived(c: Connection, s: Segment): void {
  c.sndUna = s.acknowledgement;
  c.sndWnd = s.window << c.sndScale;
  c.sndWl1 = s.sequence;
  c.maxWindow = Math.max(c.maxWindow, c.sndWnd);
  updateMss(c);
  c.passive = false;
  c.establish();
  c.tell(ESTABLISHED);
}

// The acknowledgement.

/** `tcp_ack()`: new, old, or why the segment must be dropped. */
function acknowledge(c: Connection, s: Segment, mayChallengeOld: boolean): "new" | "old" | TcpDropReason {
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

// The data.

/** `tcp_data_queue()`, with what the state says of data. */
function takeData(c: Connection, s: Segment): Fate {
  const { state } = c;
  if (state === "CLOSE_WAIT" || state === "CLOSING" || state === "LAST_ACK") {
    if (!before(s.sequence, c.rcvNxt)) return "accepted";
  } else if (state === "FIN_WAIT1" || state === "FIN_WAIT2") {
    const fin = s.is(tcp.FIN) ? 1 : 0;
    if (c.readShut && s.end !== s.sequence && after((s.end - fin) | 0, c.rcvNxt)) {
      c.fail("ECONNRESET");
      return "reset";
    }
  }
  return s.sequence === s.end ? "accepted" : queueData(c, s);
}

function queueData(c: Connection, s: Segment): Fate {
  const left = c.window.left(c.rcvNxt);
  if (!after(s.end, c.rcvNxt)) {
    reportDuplicate(c, s.sequence, s.end);
    return outOfWindow(c, "TCP_OLD_DATA");
  }
  // A FIN alone costs nothing.
  const bareFin = s.length === 0 && s.sequence === c.rcvNxt;
  if (!bareFin && !before(s.sequence, (c.rcvNxt + left) | 0)) {
    return outOfWindow(c, s.sequence === c.rcvNxt ? "TCP_ZEROWINDOW" : "TCP_OVERWINDOW");
  }
  if (after(s.sequence, c.rcvNxt)) return queueEarly(c, s);
  if (before(s.sequence, c.rcvNxt)) reportDuplicate(c, s.sequence, c.rcvNxt);
  return queueInOrder(c, s);
}

function queueInOrder(c: Connection, s: Segment): Fate {
  const queue = c.incoming!;
  if (s.length > 0) {
    if (!c.window.hasRoom(s.length)) {
      c.window.clampToMemory();
      if (!c.window.hasRoom(s.length)) return "PROTO_MEM";
    }
    const fresh = (s.end - c.rcvNxt) | 0;
    queue.append(s.sequence, s.bytes, s.dataAt, s.length);
    c.rcvNxt = queue.next;
    c.window.hold(Math.min(fresh, s.length));
    dataReceived(c, s);
  }
  if (s.is(tcp.FIN)) {
    if (s.length === 0) c.window.hold(0);
    finReceived(c);
  }
  if (queue.hasEarly) {
    queue.catchUp();
    c.rcvNxt = queue.next;
    if (!queue.hasEarly) c.acks.now = true;
  }
  if (queue.fin && queue.finAt === c.rcvNxt && !c.finReceived) finReceived(c);
  c.tell(READABLE);
  return "accepted";
}

/** `tcp_data_queue_ofo()`. */
function queueEarly(c: Connection, s: Segment): Fate {
  const queue = c.incoming!;
  c.acks.scheduled = true;
  if (s.length > 0) {
    if (!c.window.hasRoom(s.length)) {
      c.window.clampToMemory();
      if (!c.window.hasRoom(s.length)) return "PROTO_MEM";
    }
    queue.insert(s.sequence, s.bytes, s.dataAt, s.length);
    c.window.hold(s.length);
    if (c.sackOk) c.window.grow(s.length);
  }
  if (s.is(tcp.FIN)) {
    queue.fin = true;
    queue.finAt = (s.end - 1) | 0;
  }
  return "accepted";
}

/** `tcp_event_data_recv()`. */
function dataReceived(c: Connection, s: Segment): void {
  const { acks, window, now } = c;
  acks.scheduled = true;
  const header = 20 + (s.timestamps ? 12 : 0);
  if (window.measure(s.length, header, s.is(tcp.PSH))) {
    if (acks.pushed && s.length < window.segment) acks.pushedTwice = true;
    acks.pushed = true;
  }
  window.measureRtt(c.rcvNxt, now);
  if (c.timestampsOk && s.timestamps && s.echo !== 0 && s.length >= window.segment)
    window.sampleRtt(((c.timestamp - s.echo) | 0) * 1e6);
  acks.received(now, c.rto, window.window, window.segment);
  if (s.length >= 128 && window.grow(s.length)) acks.quick |= 1;
}

/** `tcp_fin()`. */
function finReceived(c: Connection): void {
  c.finReceived = true;
  c.rcvNxt = (c.rcvNxt + 1) | 0;
  c.acks.scheduled = true;
  c.incoming!.dropEarly();
  switch (c.state) {
    case "ESTABLISHED":
      c.state = "CLOSE_WAIT";
      c.acks.pingpong = true;
      break;
    case "FIN_WAIT1":
      sendAck(c);
      c.state = "CLOSING";
      break;
    case "FIN_WAIT2":
      sendAck(c);
      c.enterTimeWait();
      break;
  }
}

/** What cannot be taken is acknowledged at once. */
function outOfWindow(c: Connection, reason: TcpDropReason): Fate {
  c.acks.enterQuick(c.window.window, c.window.segment);
  c.acks.scheduled = true;
  return reason;
}

/** `tcp_dsack_set()` (RFC 2883). */
function reportDuplicate(c: Connection, left: number, right: number): void {
  if (!c.sackOk || c.incoming === null) return;
  c.incoming.duplicateLeft = left;
  c.incoming.duplicateRight = right;
}

/** `__tcp_ack_snd_check()`. */
function checkAck(c: Connection): void {
  const { acks, window } = c;
  if (!acks.scheduled) return;
  const full = ((c.rcvNxt - window.advertisedAt) | 0) > window.segment && window.choose() >= window.window;
  if (full || acks.isQuick || acks.now || c.incoming?.hasEarly) sendAck(c);
  else if (!acks.wait(c.now, c.rtt.smoothed)) sendAck(c);
}

// After the end.

/** A closed connection that waits for the peer's FIN (`tcp_timewait_state_process()`). */
function inOrphanedFinWait(c: Connection, s: Segment): Fate {
  const old = isOldTimestamp(c, s);
  if (old || !inWindow(s, c.rcvNxt, (c.rcvNxt + c.window.left(c.rcvNxt)) | 0)) {
    if (!s.is(tcp.RST) && mayAnswer(c, s)) sendAck(c);
    return old ? "TCP_RFC7323_PAWS" : "TCP_INVALID_SEQUENCE";
  }
  if (s.is(tcp.RST)) {
    c.finish();
    return "accepted";
  }
  if (s.is(tcp.SYN) && !before(s.sequence, c.rcvNxt)) return abortOnData(c);
  if (!s.is(tcp.ACK) || !after(s.end, c.rcvNxt) || s.end === s.sequence) return "accepted";
  if (!s.is(tcp.FIN) || s.end !== ((c.rcvNxt + 1) | 0)) return abortOnData(c);
  c.rcvNxt = s.end;
  if (s.timestamps) keepTimestamp(c, s);
  c.finReceived = true;
  c.enterTimeWait();
  sendAck(c);
  return "accepted";
}

function abortOnData(c: Connection): Fate {
  c.finish();
  return "reset";
}

/** TIME_WAIT: old duplicates are acknowledged, a new SYN may begin anew (RFC 6191). */
function inTimeWait(c: Connection, s: Segment): Fate {
  const old = isOldTimestamp(c, s);
  if (!old && s.sequence === c.rcvNxt && (s.sequence === s.end || s.is(tcp.RST))) {
    // TIME_WAIT assassination (RFC 1337), which Linux allows.
    if (s.is(tcp.RST)) c.finish();
    else c.idleTimer.armIn(TIME_WAIT);
    return "accepted";
  }
  if (s.is(tcp.SYN) && !s.is(tcp.RST) && !s.is(tcp.ACK) && !old) {
    const newer = c.timestampsOk && s.timestamps && ((c.tsRecent - s.timestamp) | 0) < 0;
    if (after(s.sequence, c.rcvNxt) || newer) return "reopen";
  }
  if (s.is(tcp.RST)) return "TCP_RESET";
  if (old || s.is(tcp.ACK)) c.idleTimer.armIn(TIME_WAIT);
  if (mayAnswer(c, s)) sendAck(c);
  return old ? "TCP_RFC7323_PAWS" : "TCP_INVALID_SEQUENCE";
}
