/** Nanoseconds. `TCP_TIMEOUT_INIT`, `TCP_RTO_MIN`, `TCP_RTO_MAX`. */
export const RTO_INITIAL = 1e9;
export const RTO_MIN = 200e6;
export const RTO_MAX = 120e9;

/** Round trip and retransmission timeout (RFC 6298) as `tcp_rtt_estimator()` keeps them. Times are nanoseconds. */
export class Rtt {
  /** Smoothed round trip; 0 before the first sample. */
  smoothed = 0;
  /** Shortest round trip seen; 0 before the first. */
  minimum = 0;
  private deviation = 0;
  /** The largest deviation of this round trip and of the last one. */
  private deviationMax = 0;
  private variation = RTO_INITIAL;
  /** Sequence number that ends the round trip for which `deviationMax` holds. */
  private roundEnd = 0;
  /** The timeout before any back-off. */
  timeout = RTO_INITIAL;

  /** A segment was acknowledged `sample` nanoseconds after it was sent; `una` and `next` bound the window. */
  sample(sample: number, una: number, next: number): void {
    const rtt = Math.max(sample, 1000);
    if (this.minimum === 0 || rtt < this.minimum) this.minimum = rtt;
    if (this.smoothed === 0) {
      this.smoothed = rtt;
      this.deviation = rtt / 2;
      this.variation = Math.max(this.deviation * 4, RTO_MIN);
      this.deviationMax = this.variation;
      this.roundEnd = next;
    } else {
      const error = rtt - this.smoothed;
      this.smoothed += error / 8;
      // A sudden drop of the round trip says nothing bad of it (`tcp_rtt_estimator()`).
      const share = error < 0 && -error > this.deviation ? 32 : 4;
      this.deviation += (Math.abs(error) - this.deviation) / share;
      const four = this.deviation * 4;
      if (four > this.deviationMax) {
        this.deviationMax = four;
        if (this.deviationMax > this.variation) this.variation = this.deviationMax;
      }
      if (((una - this.roundEnd) | 0) > 0) {
        if (this.deviationMax < this.variation) this.variation -= (this.variation - this.deviationMax) / 4;
        this.roundEnd = next;
        this.deviationMax = RTO_MIN;
      }
    }
    this.timeout = Math.min(Math.round(this.smoothed + this.variation), RTO_MAX);
  }
}
