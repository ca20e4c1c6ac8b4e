import * as tcp from "../wire/tcp.ts";
import type { Connection } from "./connection.ts";
import type { Fate, TcpDropReason } from "./fate.ts";
import { READABLE } from "./news.ts";
import { sendAck } from "./output.ts";
import type { Segment } from "./segment.ts";
import { after, before } from "./sequence.ts";

/** `tcp_data_queue()`, with what the state says of data. */
export function takeData(c: Connection, s: Segment): Fate {
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
export function checkAck(c: Connection): void {
  const { acks, window } = c;
  if (!acks.scheduled) return;
  const full = ((c.rcvNxt - window.advertisedAt) | 0) > window.segment && window.choose() >= window.window;
  if (full || acks.isQuick || acks.now || c.incoming?.hasEarly) sendAck(c);
  else if (!acks.wait(c.now, c.rtt.smoothed)) sendAck(c);
}
