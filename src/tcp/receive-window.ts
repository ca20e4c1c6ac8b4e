import { MAX_WINDOW_SCALE } from "./options.ts";

/**
 * What a queue costs beside its data, bytes, as measured: `skb->truesize` of a segment whose data lies in a page fragment.
 * Those that follow it are merged into it (`tcp_try_coalesce()`).
 */
const OVERHEAD = 832;
const DEFAULT_SEGMENT = 536;
const MIN_SEGMENT = 88;
const MAX_UNSCALED = 65_535;
/** `net.core.rmem_max`, bytes: a program could ask for a buffer of that size later. */
const BUFFER_ASKED_MAX = 4_194_304;

/** Sizes in bytes: `tcp_rmem`, and whether the window may be scaled. */
export interface ReceiveWindowOptions {
  readonly buffer: number;
  readonly bufferMax: number;
  readonly scaling: boolean;
  /** The MSS that this side advertises. */
  readonly mss: number;
}

/**
 * How much the peer may send (`__tcp_select_window()`, `tcp_grow_window()`, `tcp_rcv_space_adjust()`). Lengths are bytes,
 * times nanoseconds. Memory is counted as Linux counts it, with what a segment costs beside its data.
 */
export class ReceiveWindow {
  /** The window last advertised, and RCV.NXT at that time. */
  window = 0;
  advertisedAt = 0;
  /** What a timewait socket advertises (`tw_rcv_wnd`), bytes; -1 before that. */
  private frozen = -1;
  /** The shift that this side announced. */
  scale = 0;
  /** The most that may be advertised: `window_clamp`. */
  clamp: number;
  /** The most that is advertised for now: `rcv_ssthresh`. */
  threshold = 0;
  /** What the peer's segments seem to hold: `rcv_mss`. */
  segment = DEFAULT_SEGMENT;
  private lastSegment = 0;
  /** The MSS that this side advertises, less what options take from each segment. */
  advertisedMss: number;
  private buffer: number;
  private readonly bufferMax: number;
  /** Memory of what is held. */
  private memory = 0;
  /** Of 256 bytes of memory, how many are data: `scaling_ratio`. */
  private ratio = 128;
  // Autotuning: bytes read in the last round trip, and where and when the present one began.
  private spaceRead = 0;
  private spaceSequence = 0;
  private spaceTime = 0;
  /** Round trip as a receiver sees it. */
  rtt = 0;
  private rttTime = -1;
  private rttSequence = 0;

  constructor({ buffer, bufferMax, scaling, mss }: ReceiveWindowOptions) {
    this.buffer = buffer;
    this.bufferMax = bufferMax;
    this.advertisedMss = mss;
    this.clamp = MAX_UNSCALED << MAX_WINDOW_SCALE;
    const space = this.initialise(mss);
    if (scaling) {
      const most = Math.min(Math.max(space, bufferMax, BUFFER_ASKED_MAX), this.clamp);
      this.scale = Math.max(0, Math.min(31 - Math.clz32(most) - 15, MAX_WINDOW_SCALE));
    }
    this.clamp = Math.min(MAX_UNSCALED * 2 ** this.scale, this.clamp);
    this.threshold = this.window;
  }

  /** The first window (`tcp_select_initial_window()`) of a side whose segments hold `data` bytes; the space there is. */
  initialise(data: number): number {
    const space = roundDown(Math.min(this.clamp, this.fullSpace), data);
    this.window = this.threshold = space;
    return space;
  }

  private get fullSpace(): number {
    return this.fromMemory(this.buffer);
  }

  private fromMemory(memory: number): number {
    return Math.floor((memory * this.ratio) / 256);
  }

  /** The peer cannot scale. */
  unscale(): void {
    this.scale = 0;
    this.clamp = Math.min(this.clamp, MAX_UNSCALED);
  }

  /** Both sides are known: `tcp_initialize_rcv_mss()`, `tcp_init_buffer_space()`. */
  begin(mss: number, copied: number, now: number): void {
    this.guessSegment(mss);
    const full = this.fullSpace;
    const { advertisedMss } = this;
    if (this.clamp >= full) this.clamp = full;
    // One segment is kept in reserve.
    if (this.clamp > 2 * advertisedMss && this.clamp + advertisedMss > full)
      this.clamp = Math.max(2 * advertisedMss, full - advertisedMss);
    this.threshold = Math.min(this.threshold, this.clamp);
    this.spaceRead = Math.min(this.threshold, this.window, 10 * advertisedMss);
    this.spaceSequence = copied;
    this.spaceTime = now;
  }

  guessSegment(mss: number): void {
    const hint = Math.min(this.advertisedMss, mss, this.window >> 1, DEFAULT_SEGMENT);
    this.segment = Math.max(hint, MIN_SEGMENT);
  }

  /** What of the window is left: `tcp_receive_window()`. */
  left(next: number): number {
    if (this.frozen >= 0) return this.frozen;
    return Math.max((this.advertisedAt + this.window - next) | 0, 0);
  }

  /** `__tcp_select_window()`. */
  choose(): number {
    const { scale } = this;
    let free = this.fromMemory(this.buffer - this.memory);
    const allowed = this.fullSpace;
    const full = Math.min(this.clamp, allowed);
    const mss = Math.min(this.segment, full);
    if (free < full >> 1) {
      free = (free >> scale) << scale;
      if (free < allowed >> 4 || free < mss) return 0;
    }
    free = Math.min(free, this.threshold);
    if (scale > 0) return ((free + (1 << scale) - 1) >> scale) << scale;
    const { window } = this;
    if (window <= free - mss || window > free) return roundDown(free, mss);
    return mss === full && free > window + (full >> 1) ? free : window;
  }

  /** True when less than half of the buffer is free: not the time for quick acknowledgements. */
  get isTight(): boolean {
    return this.fromMemory(this.buffer - this.memory) < Math.min(this.clamp, this.fullSpace) >> 1;
  }

  /** `tcp_select_window()`: what goes into the header of a segment that acknowledges `next`, scaled. */
  advertise(next: number): number {
    // tcp_v4_send_ack() cuts it to the 16 bits of the header.
    if (this.frozen >= 0) return (this.frozen >> this.scale) & MAX_UNSCALED;
    const current = this.left(next);
    let chosen = this.choose();
    if (chosen < current) chosen = ((current + (1 << this.scale) - 1) >> this.scale) << this.scale;
    this.window = chosen;
    this.advertisedAt = next;
    return Math.min(chosen, MAX_UNSCALED * 2 ** this.scale) >> this.scale;
  }

  /** `tcp_time_wait()`: nothing is read any more, and the window stays what it was when `next` was expected. */
  freeze(next: number): void {
    if (this.frozen < 0) this.frozen = this.left(next);
  }

  get isFrozen(): boolean {
    return this.frozen >= 0;
  }

  /** A segment with `length` bytes of data is held. */
  hold(length: number): void {
    this.memory += length + (this.memory === 0 ? OVERHEAD : 0);
  }

  /** Of `held` bytes the program read `count`. */
  release(count: number, held: number): void {
    this.memory = count >= held ? 0 : this.memory - Math.floor((this.memory * count) / held);
  }

  get isEmpty(): boolean {
    return this.memory === 0;
  }

  /** Is there memory for another segment of `length` bytes? */
  hasRoom(length: number): boolean {
    return this.memory + length + OVERHEAD <= this.buffer || this.memory === 0;
  }

  /** `tcp_measure_rcv_mss()`: a guess at the peer's segment size. True when the segment looks like the end of a write. */
  measure(length: number, header: number, pushed: boolean): boolean {
    const last = this.lastSegment;
    this.lastSegment = 0;
    if (length >= this.segment) {
      if (length !== this.segment) this.measureRatio(length);
      this.segment = Math.min(length, this.advertisedMss);
      return pushed;
    }
    const whole = length + header;
    if (whole >= DEFAULT_SEGMENT + 20 || (whole >= MIN_SEGMENT + 20 && !pushed)) {
      this.lastSegment = length;
      if (length === last) {
        this.segment = length;
        return false;
      }
    }
    return true;
  }

  /** Since Linux 6.7 the share of data in the memory of a segment is measured. */
  private measureRatio(length: number): void {
    const ratio = Math.max(1, Math.min(255, Math.floor((length * 256) / (length + OVERHEAD))));
    if (ratio === this.ratio) return;
    this.ratio = ratio;
    this.clamp = this.fullSpace;
    this.threshold = Math.max(Math.min(this.window, this.clamp), this.threshold);
    this.spaceRead = Math.min(this.spaceRead, this.clamp);
  }

  /** `tcp_grow_window()`: true when the window may grow for this segment. */
  grow(length: number): boolean {
    const room = Math.min(this.clamp, this.fromMemory(this.buffer - this.memory)) - this.threshold;
    if (room <= 0) return false;
    const truesize = length + OVERHEAD;
    let more = this.fromMemory(truesize) <= length ? 2 * this.advertisedMss : this.careful(length, truesize);
    if (more === 0) return false;
    more = Math.max(more, 2 * length);
    this.threshold += Math.min(room, more);
    return true;
  }

  /** `__tcp_grow_window()`. */
  private careful(length: number, truesize: number): number {
    let size = this.fromMemory(truesize) >> 1;
    let window = this.fromMemory(this.bufferMax) >> 1;
    while (this.threshold <= window) {
      if (size <= length) return 2 * this.segment;
      size >>= 1;
      window >>= 1;
    }
    return 0;
  }

  /** `tcp_rcv_rtt_measure()`: one window of data takes one round trip. */
  measureRtt(next: number, now: number): void {
    if (this.rttTime >= 0) {
      if (((next - this.rttSequence) | 0) < 0) return;
      const sample = Math.max(now - this.rttTime, 1000);
      if (this.rtt === 0 || sample < this.rtt) this.rtt = sample;
    }
    this.rttSequence = (next + this.window) | 0;
    this.rttTime = now;
  }

  /** A timestamp came back (`tcp_rcv_rtt_measure_ts()`). */
  sampleRtt(sample: number): void {
    const rtt = Math.max(sample, 1e6);
    this.rtt = this.rtt === 0 || rtt < this.rtt ? rtt : this.rtt - this.rtt / 8 + rtt / 8;
  }

  /** `tcp_rcv_space_adjust()`: the program read up to `copied`; twice what it reads in a round trip should fit. */
  adjust(copied: number, now: number): void {
    if (this.rtt === 0 || now - this.spaceTime < this.rtt) return;
    const read = (copied - this.spaceSequence) | 0;
    if (read > this.spaceRead) {
      let wanted = read * 2 + 16 * this.advertisedMss;
      wanted += (2 * wanted * (read - this.spaceRead)) / Math.max(this.spaceRead, 1);
      const buffer = Math.min(Math.ceil((wanted * 256) / this.ratio), this.bufferMax);
      if (buffer > this.buffer) {
        this.buffer = buffer;
        this.clamp = this.fullSpace;
      }
      this.spaceRead = read;
    }
    this.spaceSequence = copied;
    this.spaceTime = now;
  }

  /** `tcp_clamp_window()`: memory ran out; the buffer grows to what is held. */
  clampToMemory(): void {
    if (this.buffer < this.bufferMax) this.buffer = Math.min(Math.max(this.memory, this.buffer), this.bufferMax);
    if (this.memory > this.buffer) this.threshold = Math.min(this.clamp, 2 * this.advertisedMss);
  }
}

const roundDown = (value: number, step: number): number => (value > step ? value - (value % step) : value);
