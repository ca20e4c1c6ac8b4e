import type { Connection } from "./connection.ts";

/** Nanoseconds. A round trip no longer than what the estimator can tell is none: virtual time stood still. */
const NO_RTT = 1000;
/** `sk_gso_max_size`: 64 KB less room for headers. */
const GSO_MAX = 65_215;
/** `tcp_min_tso_segs`. */
const MIN_SEGMENTS = 2;
const MILLISECOND = 1e6;

/** `tcp_xmit_size_goal()`: full segments that fit one packet, and half of the peer's largest window. */
export function pieceSize({ mss, maxWindow }: Connection): number {
  const half = maxWindow > 536 ? maxWindow >> 1 : maxWindow;
  return Math.max(Math.floor(Math.min(GSO_MAX, half) / mss), 1) * mss;
}

/** `tcp_tso_autosize()`: how many segments a packet may hold: what leaves in a millisecond, more where the path is short. */
export function mostSegments(c: Connection, mss: number): number {
  if (c.options.gso !== true) return 1;
  const { smoothed, minimum } = c.rtt;
  if (smoothed <= NO_RTT) return Math.floor(GSO_MAX / mss);
  const { window, threshold } = c.congestion;
  const share = window < threshold / 2 ? 2 : 1.2;
  const rate = (share * mss * Math.max(window, c.queue.count) * 1e9) / smoothed;
  const short = Math.floor(minimum / 1000) >> 9;
  const bytes = rate / 1024 + (short < 32 ? Math.floor(GSO_MAX / 2 ** short) : 0);
  return Math.max(Math.floor(Math.min(bytes, GSO_MAX) / mss), MIN_SEGMENTS);
}

/**
 * `tcp_tso_should_defer()`: may the first piece, `whole` bytes, wait until more of it can leave at once? The peer's window
 * has `room` bytes, congestion control allows `allowed` segments, and a packet holds `most`.
 */
export function mayWait(
  c: Connection,
  whole: number,
  room: number,
  allowed: number,
  most: number,
): "no" | "for the window" | "for acknowledgements" {
  const { mss, now, queue, congestion, recovery } = c;
  if (recovery.state === "Recovery" || recovery.state === "Loss" || now - c.lastSent > MILLISECOND) return "no";
  const congested = allowed * mss;
  const limit = Math.min(room, congested);
  const isLast = c.unsent.count === 1;
  if (limit >= most * mss || (!isLast && limit >= whole)) return "no";
  if (limit >= Math.floor(Math.min(c.sndWnd, congestion.window * mss) / 3) || queue.count === 0) return "no";
  const rtt = c.rtt.smoothed > NO_RTT ? c.rtt.smoothed : 0;
  const expected = queue.sentAt(queue.first) + rtt - now;
  if (expected > Math.min(rtt / 2, MILLISECOND)) return "no";
  if (congested < room) {
    if (congested <= whole) return "for acknowledgements";
  } else if (room <= whole) return "for the window";
  return isLast && c.finQueued ? "no" : "for the window";
}
