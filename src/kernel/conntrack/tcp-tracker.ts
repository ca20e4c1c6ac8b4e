import * as tcp from "../../wire/tcp.ts";
import type { Sysctls } from "../sysctl.ts";
import type { Connection } from "./connection.ts";
import { INVALID, KEEP, KILL, type Outcome, REOPEN, refresh } from "./outcome.ts";
import { shiftAt } from "./sequence-adjust.ts";
import {
  eventOf,
  readOptions,
  stateTimeout,
  type TcpEvent,
  type TcpState,
  TcpTracking,
  transition,
} from "./tcp-state.ts";
import { before, inWindow, type Segment, segmentEnd } from "./tcp-window.ts";

/** `tcp_new()`: the first segment of a flow; null when it cannot be one. */
export function startTcp(segment: Segment, sysctls: Sysctls): TcpTracking | null {
  const { view, at } = segment;
  const first = transition(0, eventOf(tcp.flags(view, at)), "NONE");
  if (first === "INVALID" || first === "IGNORE") return null;
  const tracking = new TcpTracking();
  const [sender, receiver] = tracking.sides;
  sender.end = segmentEnd(segment);
  sender.maxWindow = tcp.window(view, at) || 1;
  sender.maxEnd = sender.end;
  if (first === "SYN_SENT") {
    readOptions(view, at, sender);
    return tracking;
  }
  if (sysctls.get("net.netfilter.nf_conntrack_tcp_loose") === 0) return null;
  sender.maxEnd = (sender.end + sender.maxWindow) | 0;
  for (const side of [sender, receiver]) {
    side.sackSeen = true;
    side.liberal = true;
  }
  return tracking;
}

const CLOSING: readonly TcpState[] = ["FIN_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "CLOSE_WAIT"];

/** `nf_conntrack_tcp_packet()`: moves the flow on. `direction` is 0 for original, 1 for reply. */
export function trackTcp(connection: Connection, direction: number, segment: Segment, sysctls: Sysctls): Outcome {
  const tracking = connection.tcp!;
  const { view, at } = segment;
  const event = eventOf(tcp.flags(view, at));
  const old = tracking.state;
  const next = transition(direction, event, old);
  if (next === "INVALID") return INVALID;
  if (next === "IGNORE" || (next === "SYN_SENT" && (old === "TIME_WAIT" || old === "CLOSE" || old === "SYN_SENT2"))) {
    if (next === "SYN_SENT" && reopens(tracking, direction)) return REOPEN;
    if (!synchronises(tracking, direction, event, segment)) return annotate(tracking, direction, event, segment, old);
    return finish(connection, direction, event, segment, "SYN_SENT", "SYN_RECV", sysctls, true);
  }
  if (next === "TIME_WAIT" && old === "LAST_ACK" && event === "ack" && isChallenge(tracking, direction)) {
    tracking.challengeAck = false;
    return KEEP;
  }
  let state: TcpState = next;
  if (next === "SYN_SENT2") tracking.simultaneousOpen = true;
  else if (next === "SYN_RECV" && direction === 1 && event === "ack" && tracking.simultaneousOpen)
    state = "ESTABLISHED";
  else if (next === "CLOSE" && event === "rst") {
    const reset = judgeReset(connection, direction, segment, sysctls);
    if (reset === "invalid") return INVALID;
    if (reset === "doubtful") state = old;
    return finish(connection, direction, event, segment, old, state, sysctls, reset !== "trusted");
  }
  return finish(connection, direction, event, segment, old, state, sysctls, true);
}

/** A SYN on an entry that has seen its end. */
function reopens(tracking: TcpTracking, direction: number): boolean {
  const [a, b] = tracking.sides;
  return a.closeInitiated || b.closeInitiated || (tracking.lastDirection === direction && tracking.lastIndex === "rst");
}

/** A SYN/ACK that answers a SYN which was let through unbelieved: both ends agree, so conntrack follows. */
function synchronises(tracking: TcpTracking, direction: number, event: TcpEvent, { view, at }: Segment): boolean {
  if (event !== "synack" || tracking.lastIndex !== "syn" || tracking.lastDirection === direction) return false;
  if (tcp.acknowledgement(view, at) !== tracking.lastEnd) return false;
  const other = tracking.sides[tracking.lastDirection]!;
  other.end = tracking.lastEnd;
  other.maxEnd = tracking.lastEnd;
  other.maxWindow = tracking.lastWindow || 1;
  other.scale = tracking.lastScale;
  other.scaleSeen = tracking.lastFlagScale;
  other.sackSeen = tracking.lastFlagSack;
  other.closeInitiated = other.liberal = other.unacknowledged = other.ackSet = false;
  tracking.challengeAck = false;
  const own = tracking.sides[direction]!;
  own.end = own.maxEnd = own.maxWindow = own.maxAck = own.scale = 0;
  own.ackSet = own.scaleSeen = own.sackSeen = own.closeInitiated = own.liberal = own.unacknowledged = false;
  return true;
}

/** Remembers an unbelieved segment for what may follow it. */
function annotate(tracking: TcpTracking, direction: number, event: TcpEvent, segment: Segment, old: TcpState): Outcome {
  const { view, at } = segment;
  tracking.lastIndex = event;
  tracking.lastDirection = direction;
  tracking.lastSequence = tcp.sequenceNumber(view, at);
  tracking.lastEnd = segmentEnd(segment);
  tracking.lastWindow = tcp.window(view, at);
  if (event === "syn" && direction === 0) {
    const seen = new TcpTracking().sides[0];
    readOptions(view, at, seen);
    tracking.lastFlagScale = seen.scaleSeen;
    tracking.lastScale = seen.scale;
    tracking.lastFlagSack = seen.sackSeen;
    tracking.simultaneousOpen = false;
    tracking.challengeAck = old === "LAST_ACK";
  }
  if (old === "SYN_SENT" && event === "ack" && direction === 1) tracking.lastAck = tcp.acknowledgement(view, at);
  return KEEP;
}

/** RFC 5961: an ACK that answers a spurious SYN acknowledges no FIN. */
const isChallenge = (tracking: TcpTracking, direction: number): boolean =>
  tracking.lastDirection !== direction && tracking.lastIndex === "syn" && tracking.challengeAck;

/** A RST is trusted without a look at the window, checked, doubted (the state stays), or invalid. */
function judgeReset(
  connection: Connection,
  direction: number,
  { view, at }: Segment,
  sysctls: Sysctls,
): "trusted" | "checked" | "doubtful" | "invalid" {
  const tracking = connection.tcp!;
  if (CLOSING.includes(tracking.state)) return "trusted";
  const peer = tracking.sides[1 - direction]!;
  const established = tracking.state === "ESTABLISHED" && connection.assured;
  let verdict: "checked" | "doubtful" = "checked";
  if (peer.ackSet && tracking.lastIndex !== "syn") {
    const sequence = tcp.sequenceNumber(view, at);
    if (sequence === 0 && !established) return "checked";
    const ignoresInvalid = sysctls.get("net.netfilter.nf_conntrack_tcp_ignore_invalid_rst") !== 0;
    if (before(sequence, peer.maxAck) && !ignoresInvalid) return "invalid";
    if (!established || sequence === peer.maxAck) return "checked";
    if (tracking.lastIndex === "ack" && tracking.lastDirection === direction && sequence === tracking.lastEnd)
      return "checked";
    verdict = "doubtful";
  }
  const answersSyn = connection.seenReply && tracking.lastIndex === "syn" && tracking.lastDirection !== direction;
  const answersAck = !connection.assured && tracking.lastIndex === "ack";
  if ((answersSyn || answersAck) && tcp.acknowledgement(view, at) === tracking.lastEnd) return "trusted";
  // It answers an ACK that itself answered the SYN, as a challenge would.
  const answersChallenge =
    tracking.state === "SYN_SENT" && tracking.lastIndex === "ack" && tracking.lastDirection === 1;
  return answersChallenge && tcp.sequenceNumber(view, at) === tracking.lastAck ? "trusted" : verdict;
}

/** Checks the window, then takes the new state and finds its lifetime. */
function finish(
  connection: Connection,
  direction: number,
  event: TcpEvent,
  segment: Segment,
  old: TcpState,
  next: TcpState,
  sysctls: Sysctls,
  checkWindow: boolean,
): Outcome {
  const tracking = connection.tcp!;
  if (checkWindow) {
    const liberal = sysctls.get("net.netfilter.nf_conntrack_tcp_be_liberal") !== 0;
    const shift = shiftAt(connection, 1 - direction, (tcp.acknowledgement(segment.view, segment.at) - 1) | 0);
    const verdict = inWindow(tracking, direction, segment, liberal, shift);
    if (verdict === "ignore") return KEEP;
    if (verdict === "invalid") return outOfWindow(connection, direction, event);
  }
  tracking.lastIndex = event;
  tracking.lastDirection = direction;
  tracking.state = next;
  if (old !== next) {
    connection.news.state = true;
    if (next === "FIN_WAIT") tracking.sides[direction]!.closeInitiated = true;
  }
  const reset = event === "rst";
  let seconds = lifetime(tracking, next, reset, sysctls);
  if (!connection.seenReply) {
    if (reset) return KILL;
    if (event === "syn" && old === "SYN_SENT") return KEEP;
    const unacknowledged = sysctls.get("net.netfilter.nf_conntrack_tcp_timeout_unacknowledged");
    if (next === "ESTABLISHED") seconds = Math.min(seconds, unacknowledged);
  } else if (!connection.assured && (old === "SYN_RECV" || old === "ESTABLISHED") && next === "ESTABLISHED") {
    connection.assured = true;
    connection.news.assured = true;
  }
  return refresh(seconds);
}

function lifetime(tracking: TcpTracking, state: TcpState, reset: boolean, sysctls: Sysctls): number {
  const own = stateTimeout(sysctls, state);
  const retransmitted = sysctls.get("net.netfilter.nf_conntrack_tcp_timeout_max_retrans");
  if (tracking.retransmissions >= sysctls.get("net.netfilter.nf_conntrack_tcp_max_retrans") && own > retransmitted)
    return retransmitted;
  if (reset) return sysctls.get("net.netfilter.nf_conntrack_tcp_timeout_close");
  const [a, b] = tracking.sides;
  const unacknowledged = sysctls.get("net.netfilter.nf_conntrack_tcp_timeout_unacknowledged");
  if ((a.unacknowledged || b.unacknowledged) && own > unacknowledged) return unacknowledged;
  return tracking.lastWindow === 0 && own > retransmitted ? retransmitted : own;
}

/** `nf_tcp_handle_invalid()`: FINs and RSTs out of the window from both ends hint that the flow is over. */
function outOfWindow(connection: Connection, direction: number, event: TcpEvent): Outcome {
  const tracking = connection.tcp!;
  if (!connection.assured || (event !== "rst" && event !== "fin")) return INVALID;
  const both = tracking.lastDirection !== direction && (tracking.lastIndex === "fin" || tracking.lastIndex === "rst");
  if (both) connection.news.shrink = true;
  else {
    tracking.lastIndex = event;
    tracking.lastDirection = direction;
  }
  return INVALID;
}
