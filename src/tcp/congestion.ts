/** Packets that may leave at once before anything is known (RFC 6928). */
export const INITIAL_WINDOW = 10;
const UNKNOWN = 0x7fffffff;

/** How fast a window grows and how far it falls: one congestion control (`tcp_congestion_ops`). */
export interface CongestionControl {
  readonly name: "cubic" | "reno";
  /** The threshold after a loss, packets. */
  threshold(window: Congestion): number;
  /** Past slow start, `acked` packets were acknowledged. */
  avoid(window: Congestion, acked: number, now: number): void;
  /** A timeout: forget what was learned. */
  reset(): void;
}

/** The congestion window, counted in packets (RFC 5681). */
export class Congestion {
  window = INITIAL_WINDOW;
  threshold = UNKNOWN;
  /** Acknowledgements counted towards the next packet of growth. */
  private credit = 0;
  /** The window before the last reduction. */
  before = 0;
  /** Most packets in flight since the window was last used up. */
  private used = 0;
  private limited = false;
  /** Smoothed round trip in nanoseconds, for the control. */
  rtt = 0;

  constructor(readonly control: CongestionControl) {}

  get inSlowStart(): boolean {
    return this.window < this.threshold;
  }

  /** `tcp_cwnd_validate()`: was the window what held the sender back? */
  note(inFlight: number, limited: boolean): void {
    if (limited || inFlight > this.used) {
      this.used = inFlight;
      this.limited = limited;
    }
  }

  /** A round trip ended. */
  nextRound(): void {
    this.used = 0;
    this.limited = false;
  }

  /** `tcp_is_cwnd_limited()`. */
  private get growing(): boolean {
    return this.limited || (this.inSlowStart && this.window < 2 * this.used);
  }

  /** `tcp_cong_avoid()`. */
  acknowledged(packets: number, now: number): void {
    if (!this.growing) return;
    let left = packets;
    if (this.inSlowStart) {
      const grown = Math.min(this.window + left, this.threshold);
      left -= grown - this.window;
      this.window = grown;
    }
    if (left > 0) this.control.avoid(this, left, now);
  }

  /** `tcp_cong_avoid_ai()`: one packet more for each `per` acknowledged. */
  additive(per: number, acked: number): void {
    const every = Math.max(per, 1);
    if (this.credit >= every) {
      this.credit = 0;
      this.window++;
    }
    this.credit += acked;
    if (this.credit >= every) {
      const more = Math.floor(this.credit / every);
      this.credit -= more * every;
      this.window += more;
    }
  }

  /** Loss is noticed: the threshold falls; the window follows as recovery says. */
  reduce(): void {
    this.before = this.window;
    this.threshold = this.control.threshold(this);
    this.credit = 0;
  }

  /** `tcp_enter_loss()`: a retransmission timed out. */
  collapse(inFlight: number): void {
    this.window = inFlight + 1;
    this.credit = 0;
    this.control.reset();
  }

  /** `tcp_current_ssthresh()`: three quarters of the window were reached without loss. */
  keepThreshold(): void {
    this.threshold = Math.max(this.threshold, (this.window >> 1) + (this.window >> 2));
  }

  /** `tcp_cwnd_restart()`: idle for some timeouts; the window halves for each. */
  restart(idle: number, timeout: number): void {
    const floor = Math.min(INITIAL_WINDOW, this.window);
    this.keepThreshold();
    let window = this.window;
    for (let left = idle - timeout; left > 0 && window > floor; left -= timeout) window >>= 1;
    this.window = Math.max(window, floor);
    this.used = 0;
  }
}
