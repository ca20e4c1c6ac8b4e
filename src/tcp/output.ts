import * as tcp from "../wire/tcp.ts";
import type { Connection } from "./connection.ts";
import { mayWait, mostSegments } from "./gso.ts";
import { CONTINUES, EVER_RETRANSMITTED, HAS_FIN, HAS_SYN, LOST, PUSHED, RETRANSMITTED, SACKED } from "./send-queue.ts";
import { after, before } from "./sequence.ts";
import { armProbe, armRetransmit } from "./timers.ts";

const HEADERS = 40;
const MIN_MSS = 48;

/** `tcp_sync_mss()`: what fits the path, what the peer takes, and no more than half of its largest window. */
export function updateMss(c: Connection): void {
  let mss = Math.min(c.pathMtu - HEADERS, c.mssClamp);
  const cutoff = c.maxWindow > 536 ? c.maxWindow >> 1 : c.maxWindow;
  if (cutoff > 0 && mss > cutoff) mss = Math.max(cutoff, 68 - HEADERS);
  c.mss = Math.max(mss, MIN_MSS) - c.optionBytes;
}

/** How many SACK blocks a segment carries. */
function blockCount(c: Connection): number {
  if (!c.sackOk || c.incoming === null) return 0;
  return Math.min(c.incoming.blockCount, c.timestampsOk ? 3 : 4);
}

/** `tcp_current_mss()`: bytes of data that fit beside the options of this moment. */
function currentMss(c: Connection): number {
  const blocks = blockCount(c);
  return blocks === 0 ? c.mss : c.mss - 4 - 8 * blocks;
}

/** Begins a segment: flags, sequence number and the options of every segment. */
function begin(c: Connection, sequence: number, flags: number): void {
  const { outgoing } = c;
  outgoing.clear();
  outgoing.sequence = sequence;
  outgoing.flags = flags;
  outgoing.length = 0;
  outgoing.segmentSize = 0;
  outgoing.data = null;
  if (c.timestampsOk && !(flags & tcp.RST)) {
    outgoing.timestamps = true;
    outgoing.timestamp = c.timestamp;
    outgoing.echo = flags & tcp.ACK ? c.tsRecent : 0;
  }
}

/** `__tcp_transmit_skb()`: acknowledges, advertises the window, and off it goes. */
function emit(c: Connection): boolean {
  const { outgoing, acks } = c;
  const { flags } = outgoing;
  const acknowledges = (flags & tcp.ACK) !== 0;
  outgoing.acknowledgement = acknowledges ? c.rcvNxt : 0;
  if (acknowledges && !(flags & (tcp.SYN | tcp.RST))) {
    const blocks = blockCount(c);
    if (blocks > 0) outgoing.sackCount = c.incoming!.blocks(outgoing.sacks, blocks);
  }
  outgoing.window = flags & tcp.SYN ? Math.min(c.window.window, 65_535) : c.window.advertise(c.rcvNxt);
  if (c.window.isTight && !(flags & tcp.SYN)) acks.quick = 0;
  if (acknowledges) acks.sent();
  if (outgoing.length > 0) {
    acks.dataSent(c.now);
    c.lastSent = c.now;
  }
  return c.owner.send(c, outgoing);
}

/** `tcp_acceptable_seq()`: SND.NXT, or the edge of a window that shrank. */
function acceptableSequence(c: Connection): number {
  const edge = (c.sndUna + c.sndWnd) | 0;
  return !before(edge, c.sndNxt) || (c.sndScale > 0 && ((c.sndNxt - edge) | 0) < 1 << c.sndScale) ? c.sndNxt : edge;
}

/** `tcp_send_ack()`. */
export function sendAck(c: Connection): void {
  if (c.state === "CLOSE") return;
  begin(c, acceptableSequence(c), tcp.ACK);
  emit(c);
}

/** `tcp_send_active_reset()`. */
export function sendActiveReset(c: Connection): void {
  begin(c, acceptableSequence(c), tcp.ACK | tcp.RST);
  emit(c);
}

function writeSyn(c: Connection, flags: number): void {
  const { outgoing, scalingOk, sackOk } = c;
  begin(c, c.iss, flags);
  outgoing.mss = c.advertisedMss;
  if (scalingOk) outgoing.windowScale = c.window.scale;
  outgoing.sackPermitted = sackOk;
  emit(c);
}

/** `tcp_connect()`. */
export function sendSyn(c: Connection): void {
  c.queue.push(c.iss, (c.iss + 1) | 0, HAS_SYN, c.now);
  armRetransmit(c);
  writeSyn(c, tcp.SYN);
}

/** `tcp_v4_send_synack()`, and the answer to a SYN that crossed ours. */
export function sendSynAck(c: Connection): void {
  if (c.queue.count === 0) c.queue.push(c.iss, (c.iss + 1) | 0, HAS_SYN, c.now);
  armRetransmit(c);
  writeSyn(c, tcp.SYN | tcp.ACK);
}

/** The SYN or SYN-ACK again. */
export function resendSyn(c: Connection): void {
  writeSyn(c, c.state === "SYN_SENT" ? tcp.SYN : tcp.SYN | tcp.ACK);
}

/** `tcp_send_fin()`. */
export function queueFin(c: Connection): void {
  c.finQueued = true;
  if (c.unsent.count === 0) c.unsent.begin(c.writeSequence);
  c.writeSequence = (c.writeSequence + 1) | 0;
  pushPending(c, true);
}

/** `tcp_nagle_test()`: may a segment shorter than the MSS leave while others are under way? */
function mayBeShort(c: Connection, pushes: boolean): boolean {
  if (pushes || c.options.noDelay === true || c.queue.count === 0) return true;
  return !(after(c.sndSml, c.sndUna) && !after(c.sndSml, c.sndNxt));
}

/** `__tcp_push_pending_frames()`: sends what both windows allow; `pushes` sends a short last segment, too. */
export function pushPending(c: Connection, pushes = false): void {
  if (c.sndNxt === c.writeSequence) return;
  if (c.state === "SYN_SENT" || c.state === "SYN_RECV" || c.state === "CLOSE") return;
  if (c.queue.count === 0) restartAfterIdle(c);
  writeOut(c, pushes, false);
  if (c.queue.count === 0 && c.sndNxt !== c.writeSequence && c.waitsFor === "nothing") armProbe(c);
}

/** `tcp_push_one()`: the first piece is full while the program still writes. */
export function pushOne(c: Connection): void {
  if (c.queue.count === 0) restartAfterIdle(c);
  writeOut(c, true, true);
}

/** `tcp_write_xmit()`: piece by piece, each in one packet as far as it may go. */
function writeOut(c: Connection, pushes: boolean, once: boolean): void {
  const { unsent, recovery, congestion } = c;
  const mss = currentMss(c);
  const most = mostSegments(c, mss);
  let sent = 0;
  let limited = false;
  while (unsent.count > 0) {
    const whole = (unsent.headEnd - c.sndNxt) | 0;
    const isLast = unsent.count === 1;
    const fin = isLast && c.finQueued;
    const allowed = congestion.window - recovery.inFlight(c.queue.count);
    if (allowed <= 0 && !(fin && whole <= mss)) break;
    const room = (c.sndUna + c.sndWnd - c.sndNxt) | 0;
    if (room < (whole > mss ? mss : whole + (fin ? 1 : 0))) break;
    let length = Math.min(whole, mss);
    if (whole <= mss) {
      if (whole < mss && isLast && !fin && !mayBeShort(c, pushes)) break;
    } else if (most > 1) {
      const wait = once ? "no" : mayWait(c, whole, room, allowed, most);
      if (wait !== "no") {
        limited = wait === "for acknowledgements";
        break;
      }
      const segments = Math.min(allowed, Math.max(congestion.window >> 1, 1), most);
      const inside = !isLast && segments * mss <= room;
      length = splitPoint(c, Math.min(whole, room), segments * mss, mss, pushes || inside);
    }
    const segments = sendNew(c, length, length === whole && fin, length === whole && unsent.headPushed, mss);
    sent += segments;
    if (segments === 0 || once) break;
  }
  limited ||= recovery.inFlight(c.queue.count) >= congestion.window;
  if (sent > 0 || limited) noteUse(c, limited);
  if (recovery.state === "Recovery") recovery.out += sent;
}

/** `tcp_mss_split_point()`: what of `needed` bytes goes into a packet of at most `most`; a short end only where Nagle allows it. */
function splitPoint(c: Connection, needed: number, most: number, mss: number, pushes: boolean): number {
  if (most <= needed) return most;
  const partial = needed % mss;
  return partial === 0 || mayBeShort(c, pushes) ? needed : needed - partial;
}

/** `tcp_cwnd_validate()`. */
function noteUse(c: Connection, limited: boolean): void {
  if (!before(c.sndUna, c.roundEnd)) {
    c.congestion.nextRound();
    c.roundEnd = c.sndNxt;
  }
  c.congestion.note(c.recovery.inFlight(c.queue.count), limited);
}

/** `tcp_slow_start_after_idle_check()`. */
function restartAfterIdle(c: Connection): void {
  const idle = c.now - c.lastSent;
  if (idle > c.rto && c.lastSent > 0) c.congestion.restart(idle, c.rto);
}

/**
 * Sends the next `length` bytes for the first time, in one packet; how many segments that is. 0 when it did not leave this
 * host: it waits then for the next occasion.
 */
function sendNew(c: Connection, length: number, fin: boolean, pushed: boolean, mss: number): number {
  const { sndNxt, queue, unsent, now } = c;
  const count = Math.max(Math.ceil(length / mss), 1);
  begin(c, sndNxt, tcp.ACK | (pushed || count > 1 ? tcp.PSH : 0) | (fin ? tcp.FIN : 0));
  c.outgoing.length = length;
  c.outgoing.data = queue.data;
  if (count > 1) c.outgoing.segmentSize = mss;
  if (!emit(c)) return 0;
  const first = queue.count === 0;
  const dataEnd = (sndNxt + length) | 0;
  const end = (dataEnd + (fin ? 1 : 0)) | 0;
  if (dataEnd === unsent.headEnd) unsent.shift();
  let start = sndNxt;
  for (let i = 1; i < count; i++, start = (start + mss) | 0)
    queue.push(start, (start + mss) | 0, i === 1 ? 0 : CONTINUES, now);
  const flags = (pushed || count > 1 ? PUSHED : 0) | (count > 1 ? CONTINUES : 0) | (fin ? HAS_FIN : 0);
  queue.push(start, end, flags, now);
  if (length > 0 && length < count * mss) c.sndSml = end;
  c.sndNxt = end;
  if (first || c.waitsFor !== "retransmit") armRetransmit(c);
  return count;
}

function writeData(c: Connection, sequence: number, length: number, flags: number, segmentSize: number): void {
  begin(c, sequence, tcp.ACK | flags);
  c.outgoing.length = length;
  c.outgoing.segmentSize = segmentSize;
  c.outgoing.data = c.queue.data;
  emit(c);
}

/**
 * `tcp_retransmit_skb()`: sends an outstanding segment again, and with it up to `most` in all that are lost and left in the
 * same packet. How many that were; 0 when the window forbids it.
 */
export function retransmit(c: Connection, i: number, most = 1): number {
  const { queue, recovery } = c;
  const start = queue.start(i);
  const room = (c.sndUna + c.sndWnd - start) | 0;
  if (room <= 0 && start !== c.sndUna) return 0;
  if (queue.flags(i) & HAS_SYN) resendSyn(c);
  let end = i + 1;
  if (!(queue.flags(i) & HAS_SYN)) {
    const mss = currentMss(c);
    const size = (queue.end(i) - start) | 0;
    if (size - (queue.flags(i) & HAS_FIN ? 1 : 0) > mss) splitSegment(c, i, (start + mss) | 0);
    else if (c.options.gso === true) {
      const fit = Math.min(most, Math.floor(Math.max(room, mss) / mss));
      while (end < queue.last && end - i < fit && joins(queue.flags(end))) end++;
      if (end < queue.last) queue.setFlags(end, queue.flags(end) & ~CONTINUES);
    }
    const flags = queue.flags(end - 1);
    const bytes = ((queue.end(end - 1) - start) | 0) - (flags & HAS_FIN ? 1 : 0);
    const kinds = (flags & PUSHED ? tcp.PSH : 0) | (flags & HAS_FIN ? tcp.FIN : 0);
    writeData(c, start, bytes, kinds, end - i > 1 ? size : 0);
  }
  for (let k = i; k < end; k++) {
    const flags = queue.flags(k);
    if (!(flags & RETRANSMITTED)) recovery.retransmitted++;
    queue.setFlags(k, flags | RETRANSMITTED | EVER_RETRANSMITTED);
    queue.setSentAt(k, c.now);
  }
  if (c.retransmitStamp === 0) c.retransmitStamp = c.now;
  return end - i;
}

/** It leaves again in one packet with the lost segment before it. */
const joins = (flags: number): boolean =>
  (flags & CONTINUES) !== 0 && (flags & LOST) !== 0 && (flags & (SACKED | RETRANSMITTED)) === 0;

/** The counts stay those of segments. */
function splitSegment(c: Connection, i: number, at: number): void {
  const { queue, recovery } = c;
  queue.split(i, at);
  const flags = queue.flags(i);
  if (flags & 1) recovery.sacked++;
  if (flags & 2) recovery.lost++;
  if (flags & RETRANSMITTED) recovery.retransmitted++;
}

/** `tcp_write_wakeup()`: what the window allows of the next segment, or a sequence number that must be acknowledged. */
export function probe(c: Connection): void {
  const edge = (c.sndUna + c.sndWnd) | 0;
  const { unsent } = c;
  if (unsent.count > 0 && before(c.sndNxt, edge)) {
    const mss = currentMss(c);
    const whole = (unsent.headEnd - c.sndNxt) | 0;
    const length = Math.min((edge - c.sndNxt) | 0, whole, mss);
    const complete = length === whole;
    const fin = complete && unsent.count === 1 && c.finQueued && before(unsent.headEnd, edge);
    if (before(c.pushSequence, unsent.headEnd)) c.pushSequence = unsent.headEnd;
    sendNew(c, length, fin, true, mss);
    return;
  }
  begin(c, (c.sndUna - 1) | 0, tcp.ACK);
  emit(c);
}
