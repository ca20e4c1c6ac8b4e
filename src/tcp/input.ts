import * as tcp from "../wire/tcp.ts";
import { acknowledge } from "./acknowledgement.ts";
import type { Connection } from "./connection.ts";
import { checkAck, takeData } from "./data.ts";
import type { Fate } from "./fate.ts";
import { ESTABLISHED } from "./news.ts";
import { pushPending, sendAck, sendSynAck, updateMss } from "./output.ts";
import type { Segment } from "./segment.ts";
import { after, before } from "./sequence.ts";
import { inOrphanedFinWait, inTimeWait } from "./time-wait.ts";
import { challenge, inWindow, isOldTimestamp, mayAnswer, sendDuplicate } from "./validity.ts";

/** Nanoseconds. `TCP_TIMEOUT_MIN`. */
const SOON = 2e6;

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
