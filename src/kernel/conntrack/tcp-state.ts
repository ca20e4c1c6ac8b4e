import * as tcp from "../../wire/tcp.ts";
import type { NetKey, Sysctls } from "../sysctl.ts";

/** `enum tcp_conntrack`. */
export type TcpState =
  | "NONE"
  | "SYN_SENT"
  | "SYN_RECV"
  | "ESTABLISHED"
  | "FIN_WAIT"
  | "CLOSE_WAIT"
  | "LAST_ACK"
  | "TIME_WAIT"
  | "CLOSE"
  | "SYN_SENT2";

/** What one side of a TCP flow has shown (`struct ip_ct_tcp_state`). Sequence numbers are signed 32-bit integers. */
export interface TcpSide {
  /** Behind the last byte sent. */
  end: number;
  /** Behind the last byte that may be sent. */
  maxEnd: number;
  /** The largest window offered, scaled. */
  maxWindow: number;
  /** Largest acknowledgement sent. */
  maxAck: number;
  ackSet: boolean;
  scale: number;
  scaleSeen: boolean;
  sackSeen: boolean;
  closeInitiated: boolean;
  liberal: boolean;
  unacknowledged: boolean;
}

/** A TCP flow as conntrack sees it (`struct ip_ct_tcp`). Index 0 is the original direction. */
export class TcpTracking {
  state: TcpState = "NONE";
  readonly sides: readonly [TcpSide, TcpSide] = [side(), side()];
  lastDirection = 0;
  lastIndex: TcpEvent | "none" = "none";
  lastSequence = 0;
  lastAck = 0;
  lastEnd = 0;
  lastWindow = 0;
  lastScale = 0;
  lastFlagScale = false;
  lastFlagSack = false;
  retransmissions = 0;
  simultaneousOpen = false;
  challengeAck = false;
}

function side(): TcpSide {
  return {
    end: 0,
    maxEnd: 0,
    maxWindow: 0,
    maxAck: 0,
    ackSet: false,
    scale: 0,
    scaleSeen: false,
    sackSeen: false,
    closeInitiated: false,
    liberal: false,
    unacknowledged: false,
  };
}

/** What a segment means for the state table (`enum tcp_bit_set`). */
export type TcpEvent = "syn" | "synack" | "fin" | "ack" | "rst" | "none";

const EVENTS = ["syn", "synack", "fin", "ack", "rst"] as const;
const STATES: readonly TcpState[] = [
  "NONE",
  "SYN_SENT",
  "SYN_RECV",
  "ESTABLISHED",
  "FIN_WAIT",
  "CLOSE_WAIT",
  "LAST_ACK",
  "TIME_WAIT",
  "CLOSE",
  "SYN_SENT2",
];

export type TcpTransition = TcpState | "INVALID" | "IGNORE";

const SHORT: Readonly<Record<string, TcpTransition>> = {
  iv: "INVALID",
  ig: "IGNORE",
  SS: "SYN_SENT",
  SR: "SYN_RECV",
  ES: "ESTABLISHED",
  FW: "FIN_WAIT",
  CW: "CLOSE_WAIT",
  LA: "LAST_ACK",
  TW: "TIME_WAIT",
  CL: "CLOSE",
  S2: "SYN_SENT2",
};

/**
 * The next state, by direction, event and state (`tcp_conntracks`). Columns are the states in the order of STATES:
 *
 *             NO SS SR ES FW CW LA TW CL S2
 */
const ORIGINAL: Readonly<Record<(typeof EVENTS)[number], string>> = {
  syn: /*   */ "SS SS ig ig ig ig ig SS SS S2",
  synack: /**/ "iv iv SR iv iv iv iv iv iv SR",
  fin: /*   */ "iv iv FW FW LA LA LA TW CL iv",
  ack: /*   */ "ES iv ES ES CW CW TW TW CL iv",
  rst: /*   */ "iv CL CL CL CL CL CL CL CL CL",
};
const REPLY: Readonly<Record<(typeof EVENTS)[number], string>> = {
  syn: /*   */ "iv S2 iv iv iv iv iv SS iv S2",
  synack: /**/ "iv SR ig ig ig ig ig ig ig SR",
  fin: /*   */ "iv iv FW FW LA LA LA TW CL iv",
  ack: /*   */ "iv ig SR ES CW CW TW TW CL ig",
  rst: /*   */ "iv CL CL CL CL CL CL CL CL CL",
};

function rows(
  table: Readonly<Record<string, string>>,
): Readonly<Record<string, Readonly<Record<string, TcpTransition>>>> {
  return Object.fromEntries(
    Object.entries(table).map(([event, row]) => [
      event,
      Object.fromEntries(row.split(" ").map((cell, column) => [STATES[column]!, SHORT[cell]!])),
    ]),
  );
}

const TABLES = [rows(ORIGINAL), rows(REPLY)] as const;

/** The next state for an event in a direction (0 original, 1 reply). */
export function transition(direction: number, event: TcpEvent, state: TcpState): TcpTransition {
  if (event === "none") return "INVALID";
  return TABLES[direction]![event]![state]!;
}

/** `get_conntrack_index()`. */
export function eventOf(flags: number): TcpEvent {
  if (flags & tcp.RST) return "rst";
  if (flags & tcp.SYN) return flags & tcp.ACK ? "synack" : "syn";
  if (flags & tcp.FIN) return "fin";
  return flags & tcp.ACK ? "ack" : "none";
}

const { FIN, SYN, RST, PSH, ACK, URG } = tcp;
/** Flag sets that a segment may carry, PSH, ECE and CWR aside (`tcp_valid_flags`). */
const VALID_FLAGS: ReadonlySet<number> = new Set([
  SYN,
  SYN | URG,
  SYN | ACK,
  RST,
  RST | ACK,
  FIN | ACK,
  FIN | ACK | URG,
  ACK,
  ACK | URG,
]);

export const validFlags = (flags: number): boolean => VALID_FLAGS.has(flags & ~(PSH | tcp.ECE | tcp.CWR));

/** Seconds that a state lasts, from its sysctl. */
export function stateTimeout(sysctls: Sysctls, state: TcpState): number {
  if (state === "NONE") return sysctls.get("net.netfilter.nf_conntrack_generic_timeout");
  const name = state === "SYN_SENT2" ? "syn_sent" : state.toLowerCase();
  return sysctls.get(`net.netfilter.nf_conntrack_tcp_timeout_${name}` as NetKey);
}

/** Window scale and SACK permission of a SYN, `tcp_options()`. */
export function readOptions(view: DataView, at: number, into: TcpSide): void {
  into.scaleSeen = false;
  into.sackSeen = false;
  into.scale = 0;
  const end = at + tcp.headerLength(view, at);
  for (let i = at + tcp.TCP_HEADER; i < end; ) {
    const kind = view.getUint8(i);
    if (kind === 0) return;
    if (kind === 1) {
      i++;
      continue;
    }
    if (i + 1 >= end) return;
    const length = view.getUint8(i + 1);
    if (length < 2 || i + length > end) return;
    if (kind === 4 && length === 2) into.sackSeen = true;
    else if (kind === 3 && length === 3) {
      into.scale = Math.min(view.getUint8(i + 2), 14);
      into.scaleSeen = true;
    }
    i += length;
  }
}

/** The highest right edge of a SACK option, or `ack` without one (`tcp_sack()`). */
export function sackEdge(view: DataView, at: number, ack: number): number {
  let edge = ack;
  const end = at + tcp.headerLength(view, at);
  for (let i = at + tcp.TCP_HEADER; i < end; ) {
    const kind = view.getUint8(i);
    if (kind === 0) break;
    if (kind === 1) {
      i++;
      continue;
    }
    if (i + 1 >= end) break;
    const length = view.getUint8(i + 1);
    if (length < 2 || i + length > end) break;
    if (kind === 5 && length >= 10 && (length - 2) % 8 === 0)
      for (let block = i + 6; block + 4 <= i + length; block += 8) {
        const right = view.getInt32(block);
        if (((right - edge) | 0) > 0) edge = right;
      }
    i += length;
  }
  return edge;
}
