import * as tcp from "../wire/tcp.ts";
import type { Connection } from "./connection.ts";
import { sendAck } from "./output.ts";
import type { Segment } from "./segment.ts";
import { after, before } from "./sequence.ts";
import { TIME_WAIT } from "./timers.ts";

/** Nanoseconds between acknowledgements of what is out of the window (`tcp_invalid_ratelimit`). */
const CHALLENGE_INTERVAL = 500e6;
/** Nanoseconds after which an old timestamp says nothing (RFC 7323, 5.5). */
const TIMESTAMP_LIFE = 24 * 24 * 3600e9;

/** `tcp_oow_rate_limited()`: data is never limited; what could be part of a loop is. */
export function mayAnswer(c: Connection, s: Segment): boolean {
  return (s.length > 0 && !s.is(tcp.SYN)) || mayChallenge(c);
}

function mayChallenge(c: Connection): boolean {
  if (c.now - c.lastChallenge < CHALLENGE_INTERVAL) return false;
  c.lastChallenge = c.now;
  return true;
}

/** `tcp_send_challenge_ack()` (RFC 5961). */
export function challenge(c: Connection): void {
  if (mayChallenge(c)) sendAck(c);
}

/** `tcp_send_dupack()`. */
export function sendDuplicate(c: Connection, s: Segment): void {
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
export function isOldTimestamp(c: Connection, s: Segment): boolean {
  return (
    c.timestampsOk &&
    s.timestamps &&
    ((s.timestamp - c.tsRecent) | 0) < 0 &&
    c.now - c.tsRecentAt < TIMESTAMP_LIFE &&
    !(s.is(tcp.RST) && c.now - c.tsRecentAt >= TIME_WAIT)
  );
}

/** `tcp_replace_ts_recent()`. */
export function keepTimestamp(c: Connection, s: Segment): void {
  if (!c.timestampsOk || !s.timestamps || after(s.sequence, c.window.advertisedAt)) return;
  c.tsRecent = s.timestamp;
  c.tsRecentAt = c.now;
}

/** `tcp_in_window()`. */
export function inWindow(s: Segment, next: number, edge: number): boolean {
  if (s.sequence === next) return true;
  if (after(s.end, next) && before(s.sequence, edge)) return true;
  return s.sequence === edge && s.sequence === s.end;
}
