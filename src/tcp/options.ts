import type { SegmentOptions } from "./segment.ts";

const END = 0;
const NOP = 1;
const MSS = 2;
const WINDOW_SCALE = 3;
const SACK_PERMITTED = 4;
const SACK = 5;
const TIMESTAMPS = 8;

/** The largest shift that counts (RFC 7323, 2.3). */
export const MAX_WINDOW_SCALE = 14;

/** `tcp_parse_options()`: what is malformed is passed over. */
export function readOptions(options: SegmentOptions, view: DataView, at: number, end: number): void {
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === END) return;
    if (kind === NOP) {
      at++;
      continue;
    }
    if (at + 2 > end) return;
    const length = view.getUint8(at + 1);
    if (length < 2 || at + length > end) return;
    if (kind === TIMESTAMPS && length === 10) {
      options.timestamps = true;
      options.timestamp = view.getInt32(at + 2);
      options.echo = view.getInt32(at + 6);
    } else if (kind === SACK) readSack(options, view, at + 2, length - 2);
    else if (kind === MSS && length === 4) options.mss = view.getUint16(at + 2);
    else if (kind === WINDOW_SCALE && length === 3)
      options.windowScale = Math.min(view.getUint8(at + 2), MAX_WINDOW_SCALE);
    else if (kind === SACK_PERMITTED && length === 2) options.sackPermitted = true;
    at += length;
  }
}

function readSack(options: SegmentOptions, view: DataView, at: number, length: number): void {
  const count = Math.min(length >> 3, 4);
  if (length < 8 || (length & 7) !== 0) return;
  for (let i = 0; i < count * 2; i++) options.sacks[i] = view.getInt32(at + i * 4);
  options.sackCount = count;
}

/** How many bytes {@link writeOptions} will write. */
export function optionsLength(options: SegmentOptions): number {
  const { mss, windowScale, sackPermitted, timestamps, sackCount } = options;
  return (
    (mss !== 0 ? 4 : 0) +
    (timestamps ? 12 : sackPermitted ? 4 : 0) +
    (windowScale >= 0 ? 4 : 0) +
    (sackCount > 0 ? 4 + sackCount * 8 : 0)
  );
}

/** `tcp_options_write()`, in Linux's order and with its padding. */
export function writeOptions(options: SegmentOptions, view: DataView, at: number): void {
  if (options.mss !== 0) {
    view.setUint32(at, (MSS << 24) | (4 << 16) | options.mss);
    at += 4;
  }
  if (options.timestamps) {
    view.setUint16(at, options.sackPermitted ? (SACK_PERMITTED << 8) | 2 : (NOP << 8) | NOP);
    view.setUint16(at + 2, (TIMESTAMPS << 8) | 10);
    view.setInt32(at + 4, options.timestamp);
    view.setInt32(at + 8, options.echo);
    at += 12;
  } else if (options.sackPermitted) {
    view.setUint32(at, (NOP << 24) | (NOP << 16) | (SACK_PERMITTED << 8) | 2);
    at += 4;
  }
  if (options.windowScale >= 0) {
    view.setUint32(at, (NOP << 24) | (WINDOW_SCALE << 16) | (3 << 8) | options.windowScale);
    at += 4;
  }
  if (options.sackCount > 0) {
    view.setUint32(at, (NOP << 24) | (NOP << 16) | (SACK << 8) | (2 + options.sackCount * 8));
    for (let i = 0; i < options.sackCount * 2; i++) view.setInt32(at + 4 + i * 4, options.sacks[i]!);
  }
}
