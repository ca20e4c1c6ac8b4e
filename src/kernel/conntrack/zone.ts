/** Tuples are unique only within a zone (`struct nf_conntrack_zone`). */
export interface Zone {
  readonly id: number;
  /** Bit 0: it holds for the original direction, bit 1: for the reply; the other direction is in zone 0. */
  readonly directions: number;
  /** A template's zone: the packet's mark is the id. */
  readonly fromMark: boolean;
}

/** The zone holds for both directions. */
export const BOTH = 3;
export const DEFAULT_ZONE: Zone = { id: 0, directions: BOTH, fromMark: false };

/** `nf_ct_zone_id()`. */
export const zoneIn = (zone: Zone, direction: 0 | 1): number => ((zone.directions >> direction) & 1 ? zone.id : 0);
