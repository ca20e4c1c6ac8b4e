import * as sctp from "../../wire/sctp.ts";
import type { NetKey, Sysctls } from "../sysctl.ts";

/** `enum sctp_conntrack`. */
export type SctpState =
  | "NONE"
  | "CLOSED"
  | "COOKIE_WAIT"
  | "COOKIE_ECHOED"
  | "ESTABLISHED"
  | "SHUTDOWN_SENT"
  | "SHUTDOWN_RECD"
  | "SHUTDOWN_ACK_SENT"
  | "HEARTBEAT_SENT";

/** An SCTP association as conntrack sees it (`struct ip_ct_sctp`). Index 0 is the original direction. */
export class SctpTracking {
  state: SctpState = "NONE";
  /** The verification tags that packets of each direction must carry; 0 where not known. */
  readonly tags: [number, number] = [0, 0];
  /** Which ends have sent an INIT that nothing has settled yet. */
  readonly inits: [boolean, boolean] = [false, false];
  /** The direction of the last HEARTBEAT whose tag was wrong, until one is right; -1 for none. */
  strayHeartbeat: 0 | 1 | -1 = -1;
}

const CHUNKS = [
  sctp.INIT,
  sctp.INIT_ACK,
  sctp.ABORT,
  sctp.SHUTDOWN,
  sctp.SHUTDOWN_ACK,
  sctp.ERROR,
  sctp.COOKIE_ECHO,
  sctp.COOKIE_ACK,
  sctp.SHUTDOWN_COMPLETE,
  sctp.HEARTBEAT,
  sctp.HEARTBEAT_ACK,
] as const;

export const STATES: readonly SctpState[] = [
  "NONE",
  "CLOSED",
  "COOKIE_WAIT",
  "COOKIE_ECHOED",
  "ESTABLISHED",
  "SHUTDOWN_SENT",
  "SHUTDOWN_RECD",
  "SHUTDOWN_ACK_SENT",
  "HEARTBEAT_SENT",
];

export type SctpTransition = SctpState | "INVALID";

const SHORT: Readonly<Record<string, SctpTransition>> = {
  iv: "INVALID",
  CL: "CLOSED",
  CW: "COOKIE_WAIT",
  CE: "COOKIE_ECHOED",
  ES: "ESTABLISHED",
  SS: "SHUTDOWN_SENT",
  SR: "SHUTDOWN_RECD",
  SA: "SHUTDOWN_ACK_SENT",
  HS: "HEARTBEAT_SENT",
};

/**
 * The next state, by direction, chunk (in the order of CHUNKS) and state (`sctp_conntracks`):
 *
 *   NO CL CW CE ES SS SR SA HS
 */
const ORIGINAL = [
  "CL CL CW CE ES CL CL SA CW", // INIT
  "CL CL CW CE ES SS SR SA CL", // INIT ACK
  "CL CL CL CL CL CL CL CL CL", // ABORT
  "CL CL CW CE SS SS SR SA CL", // SHUTDOWN
  "SA CL CW CE ES SA SA SA SA", // SHUTDOWN ACK
  "CL CL CW CE ES SS SR SA CL", // ERROR
  "CL CL CE CE ES SS SR SA CL", // COOKIE ECHO
  "CL CL CW ES ES SS SR SA CL", // COOKIE ACK
  "CL CL CW CE ES SS SR CL CL", // SHUTDOWN COMPLETE
  "HS CL CW CE ES SS SR SA HS", // HEARTBEAT
  "CL CL CW CE ES SS SR SA HS", // HEARTBEAT ACK
];
const REPLY = [
  "iv CL CW CE ES SS SR SA iv", // INIT
  "iv CW CW CE ES SS SR SA iv", // INIT ACK
  "iv CL CL CL CL CL CL CL iv", // ABORT
  "iv CL CW CE SR SS SR SA iv", // SHUTDOWN
  "iv CL CW CE ES SA SA SA iv", // SHUTDOWN ACK
  "iv CL CW CL ES SS SR SA iv", // ERROR
  "iv CL CE CE ES SS SR SA iv", // COOKIE ECHO
  "iv CL CW ES ES SS SR SA iv", // COOKIE ACK
  "iv CL CW CE ES SS SR CL iv", // SHUTDOWN COMPLETE
  "iv CL CW CE ES SS SR SA HS", // HEARTBEAT
  "iv CL CW CE ES SS SR SA ES", // HEARTBEAT ACK
];

const row = (cells: string): Readonly<Record<string, SctpTransition>> =>
  Object.fromEntries(cells.split(" ").map((cell, column) => [STATES[column]!, SHORT[cell]!]));
const byChunk = (rows: readonly string[]): ReadonlyMap<number, Readonly<Record<string, SctpTransition>>> =>
  new Map(rows.map((cells, i) => [CHUNKS[i]!, row(cells)]));

const TABLES = [byChunk(ORIGINAL), byChunk(REPLY)] as const;

/** `sctp_new_state()`: chunks that no table names, DATA and SACK among them, change nothing. */
export const transition = (direction: 0 | 1, chunk: number, state: SctpState): SctpTransition =>
  TABLES[direction].get(chunk)?.[state] ?? state;

/** Seconds that a state lasts, from its sysctl. */
export const stateTimeout = (sysctls: Sysctls, state: SctpState): number =>
  sysctls.get(`net.netfilter.nf_conntrack_sctp_timeout_${state.toLowerCase()}` as NetKey);
