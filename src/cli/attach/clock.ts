import type { LiveWorld } from "../../scenario/live.ts";

/** No timer of Node's waits longer, milliseconds; it is only woken for nothing. */
const LONGEST = 60_000;

/** Drives a world's virtual time by this machine's: what happens outside happens at its moment, and timers fire when due. */
export class LiveClock {
  private readonly start = process.hrtime();
  private alarm: NodeJS.Timeout | null = null;
  /** Virtual time of the alarm. */
  private alarmAt = Number.POSITIVE_INFINITY;
  private over = false;

  constructor(private readonly live: LiveWorld) {}

  /** Nanoseconds since the session began. */
  get now(): number {
    const [seconds, nanoseconds] = process.hrtime(this.start);
    return seconds * 1e9 + nanoseconds;
  }

  /** Something from outside happens now. */
  readonly enter = (event: () => void): void => {
    if (this.over) return;
    this.live.enter(this.now, event);
    if (this.live.world.fabric.scheduler.next < this.alarmAt) this.arm();
  };

  private arm(): void {
    if (this.alarm !== null) clearTimeout(this.alarm);
    this.alarm = null;
    this.alarmAt = this.live.world.fabric.scheduler.next;
    if (this.alarmAt === Number.POSITIVE_INFINITY) return;
    const wait = Math.min(LONGEST, Math.max(0, Math.ceil((this.alarmAt - this.now) / 1e6)));
    this.alarm = setTimeout(() => {
      this.live.advance(this.now);
      this.arm();
    }, wait);
  }

  /** Nothing happens any more. */
  stop(): void {
    this.over = true;
    if (this.alarm !== null) clearTimeout(this.alarm);
  }
}
