/** Where a deferred item goes. One method, so that a device, a timer and a program are all sinks. */
export interface Sink<T> {
  receive(item: T): void;
}

/** Why {@link Scheduler.run} came back. */
export type RunEnd = "idle" | "until" | "storm";

/** An entry of the heap: an action at a time, long-lived and re-armed. */
export class Timer {
  /** Virtual nanoseconds at which it fires; meaningful while it is armed. */
  at = 0;
  /** Position in the heap, -1 while not armed. */
  slot = -1;
  /** Breaks ties: what was armed first fires first. */
  sequence = 0;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly action: () => void,
    /** Housekeeping that alone does not keep a run going, such as the ageing of a neighbour entry. */
    readonly background: boolean,
  ) {}

  get armed(): boolean {
    return this.slot >= 0;
  }

  /** Fires at `at` (virtual nanoseconds); an armed timer is moved. */
  arm(at: number): void {
    this.scheduler.arm(this, at);
  }

  /** Fires in `delay` nanoseconds. */
  armIn(delay: number): void {
    this.scheduler.arm(this, this.scheduler.now + delay);
  }

  cancel(): void {
    this.scheduler.disarm(this);
  }

  fire(): void {
    this.action();
  }
}

const RING = 1024;

/**
 * Virtual time. Two lanes: a FIFO ring of (sink, item) for this instant, Linux's softirq backlog, and a heap of timers
 * ordered by (time, sequence). Nothing below `cli/` and `web/` knows any other clock.
 */
export class Scheduler {
  private readonly clock = new Float64Array(1);
  private sinks: (Sink<never> | null)[] = new Array(RING).fill(null);
  private items: unknown[] = new Array(RING).fill(null);
  private mask = RING - 1;
  private head = 0;
  private tail = 0;
  private readonly heap: Timer[] = [];
  private sequence = 0;
  private running = false;
  /** What may still happen in this instant of a run; negative once it is a storm. */
  private left = 0;
  /** Armed timers that keep a run going. */
  private foreground = 0;
  /** How deep inside sections that must not be interrupted. */
  private disabled = 0;

  /** Virtual nanoseconds since the start of the world. */
  get now(): number {
    return this.clock[0]!;
  }

  /** How many items wait for this instant. */
  get backlog(): number {
    return this.tail - this.head;
  }

  /** The time of the earliest timer, or Infinity. */
  get next(): number {
    return this.heap.length > 0 ? this.heap[0]!.at : Number.POSITIVE_INFINITY;
  }

  timer(action: () => void, background = false): Timer {
    return new Timer(this, action, background);
  }

  /** Hands `item` to `sink` in this instant, after all that already waits. */
  defer<T>(sink: Sink<T>, item: T): void {
    if (this.tail - this.head > this.mask) this.grow();
    const slot = this.tail++ & this.mask;
    this.sinks[slot] = sink as Sink<never>;
    this.items[slot] = item;
  }

  /**
   * Runs until nothing is left but background timers, or to the time `until` (virtual nanoseconds, inclusive). `limit`
   * bounds the items and timers of one instant: a loop of bridges multiplies a broadcast for ever, and no input may hang
   * the process.
   */
  run(until = Number.POSITIVE_INFINITY, limit = 10_000_000): RunEnd {
    this.running = true;
    try {
      return this.runLimited(until, limit);
    } finally {
      this.running = false;
    }
  }

  private runLimited(until: number, limit: number): RunEnd {
    this.left = limit;
    for (;;) {
      if (this.left >= 0) this.left = this.handOver(this.left);
      if (this.left < 0) return "storm";
      const timer = this.heap[0];
      if (timer === undefined || (this.foreground === 0 && until === Number.POSITIVE_INFINITY)) {
        if (until !== Number.POSITIVE_INFINITY) this.advance(until);
        return "idle";
      }
      if (timer.at > until) {
        this.advance(until);
        return "until";
      }
      if (timer.at > this.now) {
        this.advance(timer.at);
        this.left = limit;
      }
      if (this.left-- === 0) return "storm";
      this.disarm(timer);
      timer.fire();
    }
  }

  /** Hands over all that waits for this instant. */
  drain(limit = 10_000_000): "idle" | "storm" {
    return this.handOver(limit) < 0 ? "storm" : "idle";
  }

  /** `local_bh_disable()`: until the matching {@link enable}, what is handed over waits. */
  disable(): void {
    this.disabled++;
  }

  /**
   * `local_bh_enable()`: what a program or a rule caused by sending happens now, before it does its next thing. While
   * items are being handed over this is left to those who do it.
   */
  enable(): void {
    if (--this.disabled !== 0 || this.head === this.tail) return;
    if (!this.running) this.handOver(1_000_000);
    else if (this.left >= 0) this.left = this.handOver(this.left);
  }

  /** What is left of `limit`; -1 when more waits than it allows. */
  private handOver(limit: number): number {
    let left = limit;
    this.disabled++;
    while (this.head !== this.tail) {
      if (left-- === 0) {
        this.disabled--;
        return -1;
      }
      const slot = this.head++ & this.mask;
      const sink = this.sinks[slot] as Sink<unknown>;
      const item = this.items[slot];
      sink.receive(item);
    }
    this.head = this.tail = 0;
    this.disabled--;
    return left;
  }

  /** Takes all waiting items back, so that a storm's packets can be accounted for. */
  abandon(take: (item: unknown) => void): void {
    while (this.head !== this.tail) take(this.items[this.head++ & this.mask]);
    this.head = this.tail = 0;
  }

  arm(timer: Timer, at: number): void {
    if (!(at >= this.now)) throw new Error(`time goes back: timer at ${at} ns, now ${this.now} ns`);
    if (timer.slot >= 0) this.disarm(timer);
    timer.at = at;
    timer.sequence = this.sequence++;
    timer.slot = this.heap.length;
    if (!timer.background) this.foreground++;
    this.heap.push(timer);
    this.up(timer.slot);
  }

  disarm(timer: Timer): void {
    const slot = timer.slot;
    if (slot < 0) return;
    timer.slot = -1;
    if (!timer.background) this.foreground--;
    const last = this.heap.pop()!;
    if (last === timer) return;
    this.heap[slot] = last;
    last.slot = slot;
    this.up(slot);
    this.down(last.slot);
  }

  private advance(to: number): void {
    if (!(to >= this.now)) throw new Error(`time goes back: ${to} ns after ${this.now} ns`);
    this.clock[0] = to;
  }

  private grow(): void {
    const size = (this.mask + 1) * 2;
    const sinks: (Sink<never> | null)[] = new Array(size).fill(null);
    const items: unknown[] = new Array(size).fill(null);
    const waiting = this.tail - this.head;
    for (let i = 0; i < waiting; i++) {
      const slot = (this.head + i) & this.mask;
      sinks[i] = this.sinks[slot]!;
      items[i] = this.items[slot];
    }
    this.sinks = sinks;
    this.items = items;
    this.mask = size - 1;
    this.head = 0;
    this.tail = waiting;
  }

  private up(slot: number): void {
    const heap = this.heap;
    const timer = heap[slot]!;
    while (slot > 0) {
      const parent = (slot - 1) >> 1;
      const above = heap[parent]!;
      if (!before(timer, above)) break;
      heap[slot] = above;
      above.slot = slot;
      slot = parent;
    }
    heap[slot] = timer;
    timer.slot = slot;
  }

  private down(slot: number): void {
    const heap = this.heap;
    const timer = heap[slot]!;
    for (;;) {
      let child = slot * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      const below = heap[child]!;
      if (!before(below, timer)) break;
      heap[slot] = below;
      below.slot = slot;
      slot = child;
    }
    heap[slot] = timer;
    timer.slot = slot;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}
