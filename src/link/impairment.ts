import { FRAME, NETWORK, type Packet } from "../packet/packet.ts";
import type { Random } from "../sim/random.ts";
import type { Timer } from "../sim/scheduler.ts";
import { STEP, wordNumber } from "../trace/step.ts";
import type { Device } from "./device.ts";

/** What a cable does to frames in one direction, as `tc qdisc ... netem` has it. Times in nanoseconds, chances 0 to 1. */
export interface ImpairmentOptions {
  readonly delay?: number;
  /** Added to the delay, evenly spread over plus and minus this much. */
  readonly jitter?: number;
  readonly loss?: number;
  readonly duplicate?: number;
  /** Chance that a frame is sent at once, before those that wait out the delay. */
  readonly reorder?: number;
  /** Chance that one random bit is flipped. */
  readonly corrupt?: number;
}

const WORD = {
  delayed: wordNumber("impairment", "delayed"),
  duplicated: wordNumber("impairment", "duplicated"),
  reordered: wordNumber("impairment", "reordered"),
  corrupted: wordNumber("impairment", "corrupted"),
};

/** Stands between a cable's two ends. */
export class Impairment {
  private readonly waiting: { readonly at: number; readonly packet: Packet }[] = [];
  private readonly timer: Timer;

  constructor(
    private readonly options: ImpairmentOptions,
    /** The end that frames arrive at. */
    private readonly to: Device,
    private readonly random: Random,
  ) {
    this.timer = to.fabric.scheduler.timer(() => this.arrive());
  }

  /** Takes ownership. */
  carry(packet: Packet, place: number): void {
    const { options, random } = this;
    const fabric = this.to.fabric;
    if (random.chance(options.loss ?? 0)) {
      fabric.drop(packet, place, "LINK_LOSS");
      return;
    }
    if (random.chance(options.corrupt ?? 0)) {
      const bit = random.below((packet.end - NETWORK) * 8);
      packet.bytes[NETWORK + (bit >> 3)]! ^= 1 << (bit & 7);
      fabric.trace?.step(STEP.impairment, packet.id, place, WORD.corrupted, 0);
      fabric.trace?.headers(packet.id, place, packet.view, FRAME, packet.end);
    }
    if (random.chance(options.duplicate ?? 0)) {
      const copy = fabric.clone(packet, place);
      fabric.trace?.step(STEP.impairment, copy.id, place, WORD.duplicated, 0);
      this.delay(copy, place);
    }
    this.delay(packet, place);
  }

  private delay(packet: Packet, place: number): void {
    const { options, random } = this;
    const { scheduler, trace } = this.to.fabric;
    let delay = options.delay ?? 0;
    if (options.jitter) delay += Math.round((random.unit() * 2 - 1) * options.jitter);
    if (delay > 0 && random.chance(options.reorder ?? 0)) {
      trace?.step(STEP.impairment, packet.id, place, WORD.reordered, 0);
      delay = 0;
    }
    if (delay <= 0) {
      scheduler.defer(this.to, packet);
      return;
    }
    trace?.step(STEP.impairment, packet.id, place, WORD.delayed, Math.min(delay, 0x7fffffff));
    const at = scheduler.now + delay;
    let slot = this.waiting.length;
    while (slot > 0 && this.waiting[slot - 1]!.at > at) slot--;
    this.waiting.splice(slot, 0, { at, packet });
    this.timer.arm(this.waiting[0]!.at);
  }

  private arrive(): void {
    const { scheduler } = this.to.fabric;
    while (this.waiting.length > 0 && this.waiting[0]!.at <= scheduler.now)
      scheduler.defer(this.to, this.waiting.shift()!.packet);
    if (this.waiting.length > 0) this.timer.arm(this.waiting[0]!.at);
  }
}
