import type { Connection } from "./connection.ts";
import { RTO_MAX, RTO_MIN } from "./rtt.ts";

/** Nanoseconds. `TCP_TIMEWAIT_LEN`. */
export const TIME_WAIT = 60e9;

/** `inet_csk_reset_xmit_timer()` for retransmission. */
export function armRetransmit(c: Connection): void {
  c.waitsFor = "retransmit";
  c.writeTimer.armIn(c.rto);
}

/** `tcp_rearm_rto()`. */
export function rearmRetransmit(c: Connection): void {
  if (c.queue.count > 0) armRetransmit(c);
  else if (c.waitsFor === "retransmit") {
    c.waitsFor = "nothing";
    c.writeTimer.cancel();
  }
}

/** `tcp_reset_xmit_timer(ICSK_TIME_PROBE0)`: the peer's window is closed. */
export function armProbe(c: Connection): void {
  c.waitsFor = "probe";
  c.writeTimer.armIn(Math.min(Math.max(c.rto, RTO_MIN) * 2 ** c.backoff, RTO_MAX));
}

/** `tcp_time_wait()`: 60 s, in which old duplicates die out. */
export function timeWait(c: Connection): void {
  c.state = "TIME_WAIT";
  c.stopTimers();
  c.queue.clear();
  c.window.freeze(c.rcvNxt);
  c.idleTimer.armIn(TIME_WAIT);
}

export function armKeepAlive(c: Connection): void {
  const { keepAlive = null } = c.options;
  if (keepAlive !== null) c.idleTimer.armIn(keepAlive.idle);
}
