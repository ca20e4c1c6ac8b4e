import * as sctp from "../../wire/sctp.ts";
import type { Sysctls } from "../sysctl.ts";
import type { Connection } from "./connection.ts";
import { INVALID, KEEP, type Outcome, refresh } from "./outcome.ts";
import { SctpTracking, stateTimeout, transition } from "./sctp-state.ts";
import type { Segment } from "./tcp-window.ts";

const bit = (type: number): number => 1 << type;
/** Types from here on have no bit: tags do not depend on them. */
const TYPES = 16;

/** Chunks of one packet begin here and end before the packet does. */
const isChunk = (at: number, end: number): boolean => at + sctp.CHUNK_HEADER <= end;

/**
 * `do_basic_checks()`: which chunks a packet has, bit by type; -1 unless those that may stand alone or first only do,
 * there is one, and all have a length.
 */
function readChunks({ view, at, bytes }: Segment): number {
  const end = at + bytes;
  let kinds = 0;
  let count = 0;
  let alone = false;
  for (let chunk = at + sctp.SCTP_HEADER; isChunk(chunk, end); chunk = sctp.nextChunk(view, chunk), count++) {
    const type = sctp.chunkType(view, chunk);
    alone ||= type === sctp.INIT || type === sctp.INIT_ACK || type === sctp.SHUTDOWN_COMPLETE;
    const first = alone || type === sctp.COOKIE_ACK || type === sctp.COOKIE_ECHO;
    if ((first && count > 0) || sctp.chunkLength(view, chunk) === 0) return -1;
    if (type < TYPES) kinds |= bit(type);
  }
  return count > 0 ? kinds : -1;
}

/** RFC 9260 section 8.4: they answer something. */
const NEVER_FIRST = bit(sctp.ABORT) | bit(sctp.SHUTDOWN_COMPLETE) | bit(sctp.COOKIE_ACK);

/** `sctp_new()`, and what of it stands before: null where nothing may start with this packet. */
export function startSctp(segment: Segment): SctpTracking | null {
  const kinds = readChunks(segment);
  if (kinds < 0 || (kinds & NEVER_FIRST) !== 0) return null;
  const { view, at, bytes } = segment;
  const end = at + bytes;
  const tag = sctp.verificationTag(view, at);
  const tracking = new SctpTracking();
  for (let chunk = at + sctp.SCTP_HEADER; isChunk(chunk, end); chunk = sctp.nextChunk(view, chunk)) {
    const type = sctp.chunkType(view, chunk);
    if (transition(0, type, "NONE") === "NONE") return null;
    if (type === sctp.INIT) {
      if (tag !== 0 || !hasInit(chunk, end)) return null;
      tracking.tags[1] = sctp.initiateTag(view, chunk);
    } else if (type === sctp.HEARTBEAT) tracking.tags[0] = tag;
    else if (type === sctp.SHUTDOWN_ACK) tracking.tags[1] = tag;
  }
  return tracking;
}

const hasInit = (chunk: number, end: number): boolean => chunk + sctp.CHUNK_HEADER + sctp.INIT_HEADER <= end;

/** RFC 9260 section 8.5: chunks whose tag is judged one by one, or not at all. */
const TAGGED =
  bit(sctp.INIT) |
  bit(sctp.SHUTDOWN_COMPLETE) |
  bit(sctp.COOKIE_ECHO) |
  bit(sctp.ABORT) |
  bit(sctp.SHUTDOWN_ACK) |
  bit(sctp.HEARTBEAT) |
  bit(sctp.HEARTBEAT_ACK);

/** `nf_conntrack_sctp_packet()`: moves the association on. A packet that turns invalid at a later chunk keeps what the earlier ones did. */
export function trackSctp(connection: Connection, direction: 0 | 1, segment: Segment, sysctls: Sysctls): Outcome {
  const tracking = connection.sctp!;
  const { view, at, bytes } = segment;
  const end = at + bytes;
  const kinds = readChunks(segment);
  if (kinds < 0) return INVALID;
  if ((kinds & TAGGED) === 0 && sctp.verificationTag(view, at) !== tracking.tags[direction]) return INVALID;
  let kept = false;
  for (let chunk = at + sctp.SCTP_HEADER; isChunk(chunk, end); chunk = sctp.nextChunk(view, chunk)) {
    const verdict = judgeTag(tracking, direction, segment, chunk, kept || (kinds & bit(sctp.DATA)) !== 0);
    if (verdict === "wrong") return INVALID;
    if (verdict === "stray") {
      kept = true;
      continue;
    }
    const type = sctp.chunkType(view, chunk);
    const old = tracking.state;
    const next = transition(direction, type, old);
    if (next === "INVALID") return INVALID;
    if (type === sctp.INIT || type === sctp.INIT_ACK) {
      if (!hasInit(chunk, end)) return INVALID;
      const tag = sctp.initiateTag(view, chunk);
      if (type === sctp.INIT) noteInit(tracking, direction, tag);
      else if (!answersInit(tracking, direction, tag)) return INVALID;
      tracking.tags[other(direction)] = tag;
      // A repeated INIT does not keep a closed entry alive.
      if (type === sctp.INIT && next === "CLOSED" && old === "CLOSED" && connection.confirmed) kept = true;
    }
    tracking.state = next;
    if (old === next) continue;
    connection.news.state = true;
    if (next === "ESTABLISHED" && !connection.assured) {
      connection.assured = true;
      connection.news.assured = true;
    }
  }
  return kept ? KEEP : refresh(stateTimeout(sysctls, tracking.state));
}

const other = (direction: 0 | 1): 0 | 1 => (direction === 0 ? 1 : 0);

/** RFC 9260 section 8.5.1, and what heartbeats of another path may do unless the packet is `settled` by what else is in it. */
function judgeTag(
  tracking: SctpTracking,
  direction: 0 | 1,
  { view, at }: Segment,
  chunk: number,
  settled: boolean,
): "right" | "wrong" | "stray" {
  const { tags } = tracking;
  const tag = sctp.verificationTag(view, at);
  switch (sctp.chunkType(view, chunk)) {
    case sctp.INIT:
      return tag === 0 ? "right" : "wrong";
    case sctp.ABORT:
    case sctp.SHUTDOWN_COMPLETE: {
      const reflected = (sctp.chunkFlags(view, chunk) & sctp.FLAG_T) !== 0;
      return tag === tags[reflected ? other(direction) : direction] ? "right" : "wrong";
    }
    case sctp.COOKIE_ECHO:
      return tag === tags[direction] ? "right" : "wrong";
    case sctp.COOKIE_ACK:
      tracking.inits[0] = tracking.inits[1] = false;
      return "right";
    case sctp.HEARTBEAT:
    case sctp.HEARTBEAT_ACK:
      return judgeHeartbeat(tracking, direction, tag, sctp.chunkType(view, chunk), settled);
    default:
      return "right";
  }
}

function judgeHeartbeat(
  tracking: SctpTracking,
  direction: 0 | 1,
  tag: number,
  type: number,
  settled: boolean,
): "right" | "wrong" | "stray" {
  const { tags } = tracking;
  if (tags[direction] === 0) tags[direction] = tag;
  else if (tags[direction] === tag) tracking.strayHeartbeat = -1;
  else if (settled) return "wrong";
  else if (type === sctp.HEARTBEAT) {
    tracking.strayHeartbeat = direction;
    return "stray";
  } else {
    if (tracking.strayHeartbeat !== other(direction)) return "wrong";
    tracking.strayHeartbeat = -1;
    tags[direction] = tag;
    tags[other(direction)] = 0;
  }
  return "right";
}

/** An INIT whose tag the other end knows already is an old one. */
function noteInit(tracking: SctpTracking, direction: 0 | 1, tag: number): void {
  const { inits, tags, state } = tracking;
  if (state !== "NONE" && tags[other(direction)] === tag) return;
  if (inits[direction] && inits[other(direction)]) inits[other(direction)] = false;
  inits[direction] = true;
}

/** False for an INIT ACK that answers no INIT, and for one of two ends that collided. */
function answersInit({ inits, tags }: SctpTracking, direction: 0 | 1, tag: number): boolean {
  const known = tags[other(direction)];
  if (!inits[other(direction)] && known !== 0 && known !== tag) return false;
  return !(inits[0] && inits[1]) || known === tag;
}
