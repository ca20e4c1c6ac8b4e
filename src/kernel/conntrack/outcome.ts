/** What became of a packet of a flow: the flow's new lifetime in seconds, or why it has none. */
export type Outcome =
  | { readonly kind: "refresh"; readonly seconds: number }
  /** Belongs to the flow, changes nothing. */
  | { readonly kind: "keep" }
  | { readonly kind: "invalid" }
  /** The entry is over; the packet starts a new one. */
  | { readonly kind: "reopen" }
  /** The entry is over with this packet. */
  | { readonly kind: "kill" };

export const KEEP: Outcome = { kind: "keep" };
export const INVALID: Outcome = { kind: "invalid" };
export const REOPEN: Outcome = { kind: "reopen" };
export const KILL: Outcome = { kind: "kill" };
/** Reused for every refresh: nothing is allocated for a packet. */
const refreshed = { kind: "refresh" as const, seconds: 0 };

/** Good until the next packet. */
export function refresh(seconds: number): Outcome {
  refreshed.seconds = seconds;
  return refreshed;
}
