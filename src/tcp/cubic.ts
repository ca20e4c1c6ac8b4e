import type { Congestion, CongestionControl } from "./congestion.ts";

/** Packets a second cubed. */
const C = 0.4;
const BETA = 717 / 1024;

/** CUBIC (RFC 9438) with fast convergence and its Reno-friendly region. Unlike Linux, without HyStart. */
export class Cubic implements CongestionControl {
  readonly name = "cubic";
  private lastMax = 0;
  /** When this epoch began, virtual nanoseconds; -1 for none. */
  private epoch = -1;
  private origin = 0;
  /** Seconds from the epoch to the plateau. */
  private plateau = 0;
  private acked = 0;
  /** What Reno would have. */
  private friendly = 0;

  threshold(window: Congestion): number {
    this.epoch = -1;
    const { window: packets } = window;
    this.lastMax = packets < this.lastMax ? (packets * (1 + BETA)) / 2 : packets;
    return Math.max(Math.floor(packets * BETA), 2);
  }

  avoid(window: Congestion, acked: number, now: number): void {
    window.additive(this.perPacket(window, acked, now), acked);
  }

  reset(): void {
    this.lastMax = 0;
    this.epoch = -1;
  }

  /** `bictcp_update()`: acknowledgements for one packet of growth. */
  private perPacket(window: Congestion, acked: number, now: number): number {
    const packets = window.window;
    this.acked += acked;
    if (this.epoch < 0) {
      this.epoch = now;
      this.acked = acked;
      this.friendly = packets;
      this.plateau = this.lastMax <= packets ? 0 : Math.cbrt((this.lastMax - packets) / C);
      this.origin = Math.max(this.lastMax, packets);
    }
    const at = (now - this.epoch + window.rtt) / 1e9 - this.plateau;
    const target = this.origin + C * at * at * at;
    let per = target > packets ? packets / (target - packets) : 100 * packets;
    if (this.lastMax === 0) per = Math.min(per, 20);
    this.friendly += (this.acked * 3 * (1 - BETA)) / (1 + BETA) / packets;
    this.acked = 0;
    if (this.friendly > packets) per = Math.min(per, packets / (this.friendly - packets));
    return Math.max(Math.floor(per), 2);
  }
}
