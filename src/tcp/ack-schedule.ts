import { wheelTime } from "../sim/jiffies.ts";
import type { Timer } from "../sim/scheduler.ts";
import { RTO_MAX } from "./rtt.ts";

/** Nanoseconds. `TCP_ATO_MIN` and `TCP_DELACK_MIN`, `TCP_DELACK_MAX`. */
export const DELAY_MIN = 40e6;
const DELAY_MAX = 200e6;
const MAX_QUICK = 16;

/** When an acknowledgement leaves (`icsk_ack`): at once for the first segments, later when data may carry it. */
export class AckSchedule {
  /** One is owed. */
  scheduled = false;
  /** It must not wait. */
  now = false;
  /** The peer's last segment looked like the end of a write, and so did one before it. */
  pushed = false;
  pushedTwice = false;
  /** How many still leave at once. */
  quick = 0;
  /** Both sides talk in turns: data will carry it. */
  pingpong = false;
  /** The delay; 0 before the first data. */
  delay = 0;
  lastReceived = 0;

  constructor(readonly timer: Timer) {}

  get isQuick(): boolean {
    return this.quick > 0 && !this.pingpong;
  }

  /** `tcp_incr_quickack()`. */
  addQuick(window: number, segment: number): void {
    const quick = Math.min(Math.floor(window / (2 * segment)) || 2, MAX_QUICK);
    if (quick > this.quick) this.quick = quick;
  }

  /** `tcp_enter_quickack_mode()`. */
  enterQuick(window: number, segment: number): void {
    this.addQuick(window, segment);
    this.pingpong = false;
    this.delay = DELAY_MIN;
  }

  /** The share of `tcp_event_data_recv()`: how far apart the peer's segments are. */
  received(now: number, rto: number, window: number, segment: number): void {
    this.scheduled = true;
    const gap = now - this.lastReceived;
    if (this.delay === 0) {
      this.addQuick(window, segment);
      this.delay = DELAY_MIN;
    } else if (gap <= DELAY_MIN / 2) this.delay = Math.floor(this.delay / 2) + DELAY_MIN / 2;
    else if (gap < this.delay) this.delay = Math.min(Math.floor(this.delay / 2) + gap, rto);
    else if (gap > rto) this.addQuick(window, segment);
    this.lastReceived = now;
  }

  /** An acknowledgement left. */
  sent(): void {
    if (this.quick > 0 && this.scheduled && --this.quick === 0) this.delay = DELAY_MIN;
    this.clear();
  }

  /** Data left: if it answers what just came, both talk in turns. */
  dataSent(now: number): void {
    if (now - this.lastReceived < this.delay) this.pingpong = true;
  }

  clear(): void {
    this.scheduled = this.now = this.pushed = this.pushedTwice = false;
    if (this.timer.armed) this.timer.cancel();
  }

  /** `tcp_send_delayed_ack()`; false when one that waits already is due so soon that it should leave now. */
  wait(now: number, rtt: number): boolean {
    let { delay } = this;
    if (delay > DELAY_MIN) {
      let most = this.pingpong || this.pushed ? DELAY_MAX : 500e6;
      if (rtt > 0) most = Math.min(most, Math.max(rtt, DELAY_MIN));
      delay = Math.min(delay, most);
    }
    const at = wheelTime(now, Math.min(delay, DELAY_MAX));
    this.scheduled = true;
    if (!this.timer.armed) this.timer.arm(at);
    else if (this.timer.at <= now + delay / 4) return false;
    else if (at < this.timer.at) this.timer.arm(at);
    return true;
  }

  /** The wait was for nothing: the program did not answer. */
  missed(rto: number): void {
    if (this.pingpong) {
      this.pingpong = false;
      this.delay = DELAY_MIN;
    } else this.delay = Math.min(this.delay * 2, rto, RTO_MAX);
  }
}
