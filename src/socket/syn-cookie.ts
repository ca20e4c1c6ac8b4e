import type { Segment } from "../tcp/segment.ts";
import type { Flow } from "./tcp-flows.ts";

/** What a cookie can say of the peer's MSS (`msstab` of syncookies.c). */
const MSS = [536, 1300, 1440, 1460] as const;
/** The peer cannot scale its window. */
const NO_SCALE = 15;
const OPTION_BITS = 7;
const OPTIONS = (1 << OPTION_BITS) - 1;
/** Nanoseconds. The time that a cookie is stamped with goes on in such steps; this one and the last are good. */
const STEP = 60e9;

/**
 * Answers to SYNs that nothing is kept of (RFC 4987, 3.6; `__cookie_v4_init_sequence()`): the first sequence number says what
 * a request would. Unlike Linux, which writes window scale and SACK into the timestamp, all of it is in that number.
 */
export class SynCookies {
  constructor(private readonly secret: number) {}

  /** The first sequence number of the answer to `syn`. Without timestamps, the other options are left out. */
  make(flow: Flow, syn: Segment, now: number): number {
    let mss = MSS.length - 1;
    while (mss > 0 && syn.mss < MSS[mss]!) mss--;
    const scale = syn.timestamps && syn.windowScale >= 0 ? Math.min(syn.windowScale, NO_SCALE - 1) : NO_SCALE;
    const sack = syn.timestamps && syn.sackPermitted ? 1 : 0;
    return this.hash(flow, syn.sequence, Math.floor(now / STEP)) | (mss << 5) | (sack << 4) | scale;
  }

  /**
   * Makes of `ack`, which answers a cookie, the SYN that it was made for (`__cookie_v4_check()`). False when it is no cookie
   * of ours, or too old.
   */
  read(flow: Flow, ack: Segment, now: number, syn: Segment): boolean {
    const cookie = (ack.acknowledgement - 1) | 0;
    const first = (ack.sequence - 1) | 0;
    const step = Math.floor(now / STEP);
    const hash = cookie & ~OPTIONS;
    if (hash !== this.hash(flow, first, step) && hash !== this.hash(flow, first, step - 1)) return false;
    syn.clear();
    syn.sequence = first;
    syn.window = ack.window;
    syn.mss = MSS[(cookie >> 5) & 3]!;
    syn.timestamps = ack.timestamps;
    syn.timestamp = ack.timestamp;
    syn.sackPermitted = (cookie & 16) !== 0;
    syn.windowScale = (cookie & 15) === NO_SCALE ? -1 : cookie & 15;
    return true;
  }

  private hash({ localAddress, localPort, remoteAddress, remotePort }: Flow, first: number, step: number): number {
    let h = this.secret;
    for (const word of [localAddress, remoteAddress, (localPort << 16) | remotePort, first, step]) {
      h = Math.imul(h ^ word, 0x85ebca6b);
      h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
      h ^= h >>> 16;
    }
    return h & ~OPTIONS;
  }
}
