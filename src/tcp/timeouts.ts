import type { Connection } from "./connection.ts";
import { probe, resendSyn, retransmit, sendAck, sendActiveReset } from "./output.ts";
import { enterLoss } from "./recovery.ts";
import { RTO_MAX, RTO_MIN } from "./rtt.ts";
import { EVER_RETRANSMITTED } from "./send-queue.ts";
import { armProbe, armRetransmit } from "./timers.ts";

/** `tcp_write_timer_handler()`. */
export function writeTimeout(c: Connection): void {
  const { waitsFor } = c;
  c.waitsFor = "nothing";
  if (waitsFor === "probe") probeTimeout(c);
  else if (waitsFor === "retransmit" && c.queue.count > 0) retransmitTimeout(c);
}

/** `tcp_orphan_retries()`. */
function orphanRetries(c: Connection, alive: boolean): number {
  return c.softError !== null && !alive ? 0 : alive ? 8 : 0;
}

/** `retransmits_timed_out()`: as many timeouts as `boundary` backed-off ones would take have passed. */
function timedOut(c: Connection, boundary: number): boolean {
  if (c.retransmits === 0) return false;
  const linear = Math.floor(Math.log2(RTO_MAX / RTO_MIN));
  const timeout =
    boundary <= linear
      ? (2 ** (boundary + 1) - 1) * RTO_MIN
      : (2 ** (linear + 1) - 1) * RTO_MIN + (boundary - linear) * RTO_MAX;
  return c.now - c.retransmitStamp >= timeout;
}

/** `tcp_write_timeout()`: is it to be given up? */
function givesUp(c: Connection): boolean {
  const { synRetries = 6, synLinearTimeouts = 4, synAckRetries = 5, retries = 15 } = c.options;
  if (c.state === "SYN_SENT") return c.retransmits >= synRetries + synLinearTimeouts;
  if (c.state === "SYN_RECV") return c.retransmits >= (c.passive ? synAckRetries : synRetries);
  return timedOut(c, c.orphan ? orphanRetries(c, c.rto < RTO_MAX) : retries);
}

/** `tcp_retransmit_timer()`. */
function retransmitTimeout(c: Connection): void {
  const opening = c.state === "SYN_SENT" || c.state === "SYN_RECV";
  // A peer that shrank its window to nothing is probed, not given up.
  const shrunk = c.sndWnd === 0 && !c.orphan && !opening;
  if (!shrunk && givesUp(c)) {
    if (c.passive && c.state === "SYN_RECV") c.finish();
    else c.fail(c.softError ?? "ETIMEDOUT");
    return;
  }
  c.retransmits++;
  if (opening) {
    if (c.retransmitStamp === 0) c.retransmitStamp = c.now;
    c.queue.setFlags(c.queue.first, c.queue.flags(c.queue.first) | EVER_RETRANSMITTED);
    const { synLinearTimeouts = 4 } = c.options;
    if (c.state !== "SYN_SENT" || c.retransmits > synLinearTimeouts) c.rto = Math.min(c.rto * 2, RTO_MAX);
    armRetransmit(c);
    resendSyn(c);
    return;
  }
  enterLoss(c);
  c.backoff++;
  c.rto = Math.min(c.rto * 2, RTO_MAX);
  armRetransmit(c);
  retransmit(c, c.queue.first);
}

/** `tcp_probe_timer()`. */
function probeTimeout(c: Connection): void {
  if (c.queue.count > 0 || c.sndNxt === c.writeSequence) {
    c.probes = 0;
    return;
  }
  const { retries = 15 } = c.options;
  const most = c.orphan ? orphanRetries(c, c.rto * 2 ** c.backoff < RTO_MAX) : retries;
  if (c.probes >= most) {
    c.fail(c.softError ?? "ETIMEDOUT");
    return;
  }
  probe(c);
  if (c.queue.count > 0 || c.sndNxt === c.writeSequence) {
    c.probes = 0;
    c.backoff = 0;
    return;
  }
  c.probes++;
  if (c.backoff < retries) c.backoff++;
  armProbe(c);
}

/** `tcp_delack_timer_handler()`. */
export function ackTimeout(c: Connection): void {
  if (c.state === "CLOSE" || !c.acks.scheduled) return;
  c.acks.missed(c.rto);
  sendAck(c);
}

/** The keep-alive timer, which stands in for those of FIN_WAIT2 and TIME_WAIT, too. */
export function idleTimeout(c: Connection): void {
  if (c.state === "TIME_WAIT" || (c.state === "FIN_WAIT2" && c.orphan)) c.finish();
  else keepAliveTimeout(c);
}

/** `tcp_keepalive_timer()`. */
function keepAliveTimeout(c: Connection): void {
  const { keepAlive = null } = c.options;
  if (keepAlive === null || c.state === "CLOSE" || c.state === "SYN_SENT") return;
  if (c.queue.count > 0 || c.sndNxt !== c.writeSequence) {
    c.idleTimer.armIn(keepAlive.idle);
    return;
  }
  const elapsed = c.now - c.lastReceivedAt;
  if (elapsed < keepAlive.idle) {
    c.idleTimer.armIn(keepAlive.idle - elapsed);
    return;
  }
  if (c.probes >= keepAlive.probes) {
    sendActiveReset(c);
    c.fail(c.softError ?? "ETIMEDOUT");
    return;
  }
  c.probes++;
  c.idleTimer.armIn(keepAlive.interval);
  probe(c);
}
