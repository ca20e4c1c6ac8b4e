import type { Congestion, CongestionControl } from "./congestion.ts";

/** NewReno (RFC 5681, RFC 6582): half the window on loss, one packet more a round trip. */
export class NewReno implements CongestionControl {
  readonly name = "reno";

  threshold(window: Congestion): number {
    return Math.max(window.window >> 1, 2);
  }

  avoid(window: Congestion, acked: number): void {
    window.additive(window.window, acked);
  }

  reset(): void {}
}
