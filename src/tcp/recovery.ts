import type { Connection } from "./connection.ts";
import { retransmit } from "./output.ts";
import type { Segment } from "./segment.ts";
import { EVER_RETRANSMITTED, LOST, RETRANSMITTED, SACKED } from "./send-queue.ts";
import { after, before } from "./sequence.ts";

/** Duplicate acknowledgements, or segments acknowledged behind it, that make a segment lost (RFC 5681, RFC 6675). */
const THRESHOLD = 3;

/** `tcp_ca_state`. */
export type RecoveryState = "Open" | "Disorder" | "Recovery" | "Loss";

/** What is known of losses in the window under way. Counts are segments. */
export class Recovery {
  state: RecoveryState = "Open";
  /** SND.NXT when recovery began: it ends when that is acknowledged. */
  high = 0;
  sacked = 0;
  lost = 0;
  retransmitted = 0;
  // Proportional rate reduction (RFC 6937).
  delivered = 0;
  out = 0;
  /** The latest time at which something was sent that has arrived (RFC 8985), and its round trip; nanoseconds. */
  rackSentAt = 0;
  rackRtt = 0;

  /** Segments that are in the network: `tcp_packets_in_flight()`. */
  inFlight(outstanding: number): number {
    return outstanding - this.sacked - this.lost + this.retransmitted;
  }

  clear(): void {
    this.state = "Open";
    this.sacked = this.lost = this.retransmitted = 0;
    this.delivered = this.out = 0;
  }
}

/** `tcp_sacktag_write_queue()`: marks what the blocks cover; how many segments that is. */
export function markSacked(c: Connection, s: Segment, now: number): number {
  const { queue, recovery } = c;
  let count = 0;
  for (let b = 0; b < s.sackCount; b++) {
    const left = s.sacks[b * 2]!;
    const right = s.sacks[b * 2 + 1]!;
    if (!after(right, c.sndUna) || after(right, c.sndNxt) || !before(left, right)) continue;
    for (let i = queue.first; i < queue.last; i++) {
      if (!before(queue.start(i), right)) break;
      const flags = queue.flags(i);
      if (flags & SACKED || before(queue.start(i), left) || after(queue.end(i), right)) continue;
      if (flags & LOST) recovery.lost--;
      if (flags & RETRANSMITTED) recovery.retransmitted--;
      queue.setFlags(i, (flags & ~(LOST | RETRANSMITTED)) | SACKED);
      recovery.sacked++;
      count++;
      noteDelivery(c, queue.sentAt(i), flags, now);
    }
  }
  return count;
}

/** `tcp_rack_advance()`: a segment sent at `sentAt` arrived. */
export function noteDelivery(c: Connection, sentAt: number, flags: number, now: number): void {
  const { recovery } = c;
  const rtt = now - sentAt;
  // A copy that comes back sooner than any round trip was the original's acknowledgement.
  if (flags & EVER_RETRANSMITTED && rtt < c.rtt.minimum) return;
  if (sentAt < recovery.rackSentAt) return;
  recovery.rackSentAt = sentAt;
  recovery.rackRtt = rtt;
}

function markLost(c: Connection, i: number): void {
  const { queue, recovery } = c;
  const flags = queue.flags(i);
  if (flags & SACKED) return;
  if (flags & RETRANSMITTED) recovery.retransmitted--;
  if (!(flags & LOST)) recovery.lost++;
  queue.setFlags(i, (flags & ~RETRANSMITTED) | LOST);
}

/** `tcp_identify_packet_loss()` with SACK: by segments behind it (RFC 6675), and by time for those sent again (RFC 8985). */
function findLost(c: Connection, now: number): void {
  const { queue, recovery } = c;
  const patience = recovery.rackRtt + Math.max(c.rtt.minimum / 4, 1e6);
  let behind = 0;
  for (let i = queue.last - 1; i >= queue.first; i--) {
    const flags = queue.flags(i);
    if (flags & SACKED) behind++;
    else if (flags & RETRANSMITTED) {
      if (queue.sentAt(i) < recovery.rackSentAt && now - queue.sentAt(i) > patience) markLost(c, i);
    } else if (behind >= THRESHOLD && !(flags & LOST)) markLost(c, i);
  }
}

/** `tcp_enter_recovery()`. */
function enterRecovery(c: Connection): void {
  const { recovery, congestion } = c;
  congestion.reduce();
  recovery.state = "Recovery";
  recovery.high = c.sndNxt;
  recovery.delivered = recovery.out = 0;
}

/** `tcp_cwnd_reduction()`: the window follows what arrives, towards the threshold. */
function reduceWindow(c: Connection, delivered: number, advanced: boolean): void {
  const { recovery, congestion } = c;
  if (delivered <= 0) return;
  const inFlight = recovery.inFlight(c.queue.count);
  const room = congestion.threshold - inFlight;
  recovery.delivered += delivered;
  let more: number;
  if (room < 0)
    more = Math.ceil((congestion.threshold * recovery.delivered) / Math.max(congestion.before, 1)) - recovery.out;
  else {
    more = Math.max(recovery.delivered - recovery.out, delivered);
    if (advanced) more++;
    more = Math.min(room, more);
  }
  congestion.window = inFlight + Math.max(more, recovery.out > 0 ? 0 : 1);
}

/**
 * `tcp_fastretrans_alert()`, `tcp_cong_control()`, `tcp_xmit_recovery()`: what an acknowledgement says of losses.
 * `acked` segments left the queue, `sacked` more were reported; `duplicate`: it is a duplicate (RFC 5681, 2).
 */
export function react(c: Connection, acked: number, sacked: number, duplicate: boolean, now: number): void {
  const { recovery, congestion, queue } = c;
  const { state } = recovery;
  let delivered = acked + sacked;
  if (!c.sackOk && duplicate && recovery.sacked < queue.count) {
    recovery.sacked++;
    delivered++;
  }
  if (state !== "Open" && state !== "Disorder" && !before(c.sndUna, recovery.high)) endEpisode(c);
  if (c.sackOk && (recovery.sacked > 0 || recovery.state === "Recovery" || recovery.state === "Loss")) findLost(c, now);
  switch (recovery.state) {
    case "Loss":
      if (acked > 0) congestion.acknowledged(acked, now);
      break;
    case "Recovery":
      // A partial acknowledgement (RFC 6582): the next hole is lost, too.
      if (!c.sackOk && acked > 0 && queue.count > 0) markLost(c, queue.first);
      reduceWindow(c, delivered, acked > 0);
      break;
    default: {
      const suspicious = recovery.sacked > 0;
      if (recovery.lost > 0 || (!c.sackOk && recovery.sacked >= THRESHOLD)) {
        enterRecovery(c);
        if (!c.sackOk) markLost(c, queue.first);
        reduceWindow(c, delivered, acked > 0);
      } else {
        recovery.state = suspicious ? "Disorder" : "Open";
        if (acked > 0 && !suspicious) congestion.acknowledged(acked, now);
      }
    }
  }
  if (recovery.lost > recovery.retransmitted) retransmitLost(c);
}

/** All that was outstanding when recovery began has arrived. */
function endEpisode(c: Connection): void {
  const { recovery, congestion } = c;
  // Without SACK, duplicates of the last window could start another recovery (RFC 6582, 4.1).
  if (!c.sackOk && c.sndUna === recovery.high && recovery.state === "Recovery" && c.queue.count > 0) return;
  if (recovery.state === "Recovery") congestion.window = Math.min(congestion.window, congestion.threshold);
  recovery.state = "Open";
  // `tcp_fastretrans_alert()`: what is retransmitted next begins an attempt of its own.
  c.retransmitStamp = 0;
  if (!c.sackOk) recovery.sacked = 0;
}

/** Without SACK, acknowledged segments are among those that duplicates stood for (`tcp_remove_reno_sacks()`). */
export function removeGuesses(c: Connection, acked: number): void {
  const { recovery } = c;
  if (acked > 0) recovery.sacked = acked - 1 >= recovery.sacked ? 0 : recovery.sacked - (acked - 1);
  recovery.sacked = Math.min(recovery.sacked, c.queue.count);
}

/** `tcp_xmit_retransmit_queue()`: sends again what is lost, as far as the window allows. */
export function retransmitLost(c: Connection): void {
  const { queue, recovery, congestion } = c;
  for (let i = queue.first; i < queue.last && recovery.retransmitted < recovery.lost; i++) {
    const flags = queue.flags(i);
    if (!(flags & LOST) || flags & (SACKED | RETRANSMITTED)) continue;
    const allowed = congestion.window - recovery.inFlight(queue.count);
    const sent = allowed <= 0 ? 0 : retransmit(c, i, allowed);
    if (sent === 0) return;
    recovery.out += sent;
  }
}

/** `tcp_simple_retransmit()`: what is longer than the MSS is cut anew and sent again; congestion is not the reason. */
export function resendTooLong(c: Connection): void {
  const { queue, recovery, congestion } = c;
  queue.recut(c.mss);
  let [lost, retransmitted] = [0, 0];
  for (let i = queue.first; i < queue.last; i++) {
    if (queue.flags(i) & LOST) lost++;
    if (queue.flags(i) & RETRANSMITTED) retransmitted++;
  }
  recovery.lost = lost;
  recovery.retransmitted = retransmitted;
  if (lost === 0) return;
  if (recovery.state !== "Loss") {
    if (recovery.state !== "Recovery") congestion.keepThreshold();
    recovery.state = "Loss";
    recovery.high = c.sndNxt;
  }
  retransmitLost(c);
}

/** `tcp_enter_loss()`: the retransmission timer ran out; all that is not known to have arrived is lost. */
export function enterLoss(c: Connection): void {
  const { queue, recovery, congestion } = c;
  if (recovery.state === "Open" || recovery.state === "Disorder" || !after(recovery.high, c.sndUna))
    congestion.reduce();
  if (!c.sackOk) recovery.sacked = 0;
  for (let i = queue.first; i < queue.last; i++) markLost(c, i);
  congestion.collapse(recovery.inFlight(queue.count));
  recovery.state = "Loss";
  recovery.high = c.sndNxt;
  recovery.delivered = recovery.out = 0;
}
