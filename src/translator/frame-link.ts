/**
 * The cable to a real guest: whole Ethernet frames as bytes, without a frame check sequence. Bytes are borrowed both ways,
 * valid until the call returns.
 */
export interface FrameLink {
  onFrame: ((frame: Uint8Array) => void) | null;
  /** False when the link could not take the frame, which is lost then. */
  send(frame: Uint8Array): boolean;
  /** Bytes of network payload. */
  readonly mtu: number;
  close(): void;
}
