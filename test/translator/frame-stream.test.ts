import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameReader, formatFrame, QEMU_STREAM, VMNET_STREAM } from "../../src/translator/frame-stream.ts";

const FORMATS = [
  ["QEMU", QEMU_STREAM],
  ["VMNET", VMNET_STREAM],
] as const;

const frames = fc.array(fc.uint8Array({ minLength: 14, maxLength: 300 }), { maxLength: 8 });

/** What a reader makes of chunks. */
function read(format: typeof QEMU_STREAM, chunks: Iterable<Uint8Array>) {
  const got: number[][] = [];
  const reader = new FrameReader(format, (frame) => got.push([...frame]));
  for (const chunk of chunks) reader.push(chunk);
  return { got, fault: reader.fault };
}

const joined = (parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));

describe.each(FORMATS)("a stream of frames as %s has it", (_name, format) => {
  it("comes back as the same frames, split at every byte", () => {
    fc.assert(
      fc.property(frames, (sent) => {
        const stream = joined(sent.map((frame) => formatFrame(format, frame)));
        const bytes = Array.from(stream, (byte) => Uint8Array.of(byte));
        expect(read(format, bytes)).toEqual({ got: sent.map((frame) => [...frame]), fault: null });
        for (const at of stream.keys()) {
          if (at % 7 !== 0) continue;
          const halves = [stream.subarray(0, at), stream.subarray(at)];
          expect(read(format, halves).got).toEqual(sent.map((frame) => [...frame]));
        }
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it("comes back as the same frames, split anywhere", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(400)), (sent, sizes) => {
        const stream = joined(sent.map((frame) => formatFrame(format, frame)));
        const chunks: Uint8Array[] = [];
        let at = 0;
        for (const size of sizes) {
          chunks.push(stream.subarray(at, at + size));
          at = Math.min(stream.length, at + size);
        }
        chunks.push(stream.subarray(at));
        expect(read(format, chunks)).toEqual({ got: sent.map((frame) => [...frame]), fault: null });
      }),
    );
  });

  it("is refused with a reason where a length cannot be a frame's, and nothing is read behind it", () => {
    const good = formatFrame(format, new Uint8Array(20).fill(7));
    const runt = format.header === 4 ? [0, 0, 0, 13] : [13, 0];
    const { got, fault } = read(format, [joined([good, Uint8Array.from(runt), good])]);
    expect(got).toHaveLength(1);
    expect(fault).toBe("a frame of 13 bytes is shorter than an Ethernet header");
  });

  it("never crashes on garbage: it ends in frames or a reason", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (chunks) => {
        const { got, fault } = read(format, chunks);
        for (const frame of got) expect(frame.length).toBeGreaterThanOrEqual(14);
        expect(fault === null || fault.startsWith("a frame of ")).toBe(true);
      }),
      { numRuns: 2000 },
    );
  }, 60_000);

  it("holds no frame that is too short or too long", () => {
    expect(() => formatFrame(format, new Uint8Array(13))).toThrow(RangeError);
    expect(() => formatFrame(format, new Uint8Array(format.longest + 1))).toThrow(RangeError);
  });
});

it("hangs up above 128 KiB, as gvproxy does", () => {
  expect(read(QEMU_STREAM, [Uint8Array.of(0, 2, 0, 1)]).fault).toBe("a frame of 131073 bytes is longer than 131072");
  expect(read(QEMU_STREAM, [Uint8Array.of(0xff), Uint8Array.of(0xff, 0xff, 0xff)]).fault).toContain("4294967295");
});
