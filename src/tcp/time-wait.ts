import * as tcp from "../wire/tcp.ts";
import type { Connection } from "./connection.ts";
import type { Fate } from "./fate.ts";
import { sendAck } from "./output.ts";
import type { Segment } from "./segment.ts";
import { after, before } from "./sequence.ts";
import { TIME_WAIT } from "./timers.ts";
import { inWindow, isOldTimestamp, keepTimestamp, mayAnswer } from "./validity.ts";

/** A closed connection that waits for the peer's FIN (`tcp_timewait_state_process()`). */
export function inOrphanedFinWait(c: Connection, s: Segment): Fate {
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
export function inTimeWait(c: Connection, s: Segment): Fate {
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
