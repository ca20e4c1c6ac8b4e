/** One frame as a tap saw it (`AF_PACKET`): bytes are a copy. */
export interface CapturedFrame {
  /** Virtual nanoseconds. */
  readonly time: number;
  readonly packet: number;
  /** The device's number in the trace's names. */
  readonly place: number;
  readonly direction: "in" | "out";
  /** Whom the destination MAC address means (`sll_pkttype`); only `in` frames have one. */
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** The frames of the devices that are listened to, in the order the taps see them. */
export class Capture {
  readonly frames: CapturedFrame[] = [];
  /** Told of each frame at once. */
  readonly listeners = new Set<(frame: CapturedFrame) => void>();

  /** `shares`: as a packet socket shows them, which is read later; otherwise as tcpdump does, whose ring holds copies. */
  constructor(readonly shares = false) {}

  add(frame: CapturedFrame): void {
    this.frames.push(frame);
    for (const listener of this.listeners) listener(frame);
  }
}
