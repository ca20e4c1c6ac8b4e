import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CapturedFrame } from "../../src/trace/capture.ts";
import { Names } from "../../src/trace/names.ts";
import { formatPcapng, readCapture, readPcapng } from "../../src/trace/pcapng.ts";
import { ascii, CaptureBuilder, damageOf, join, readUntilDamage } from "./pcap-bytes.ts";

const LITTLE = new CaptureBuilder(true);
const BIG = new CaptureBuilder(false);
const FRAME = ascii("a frame");
const INTERFACE = { name: null, linkType: 1, snapLength: 0, fcsLength: null };
const BARE = { direction: null, id: null, comments: [] };

/** The time of a packet with this timestamp on an interface with these options. */
function timeOf(builder: CaptureBuilder, timestamp: bigint, ...options: Uint8Array[]): bigint | null {
  const packet = builder.enhanced(0, timestamp, FRAME);
  const file = join(builder.section(), builder.description(1, 0, ...options), packet);
  const { packets, damage } = readUntilDamage(file);
  expect(damage).toBeNull();
  return packets[0]!.time;
}

describe.each([
  ["little-endian", LITTLE],
  ["big-endian", BIG],
])("reading %s pcapng", (_, b) => {
  it("reads interfaces, and packets with their options", () => {
    const name = b.option(2, Uint8Array.of(0x77, 0xc3, 0xa4, 0x2f, 0x65)); // "wä/e"
    const end = b.u32(0);
    const flags = (bits: number) => b.option(2, b.u32(bits));
    const file = join(
      b.section(b.option(4, ascii("by hand")), end),
      b.description(1, 99, name, end),
      b.description(113, 0),
      b.enhanced(1, 5n, FRAME, flags(0x0001_0001), b.option(1, ascii("one")), b.option(1, ascii("two")), end),
      b.enhanced(0, (3n << 32n) | 0xffff_fffen, ascii("xy"), b.option(5, b.u64(0xfedc_ba98_7654_3210n)), flags(2)),
      b.enhanced(0, 0n, ascii(""), flags(0), end, ascii("what stands behind the end of options is nothing")),
    );
    const eth = { name: "wä/e", linkType: 1, snapLength: 99, fcsLength: null };
    const cooked = { ...INTERFACE, linkType: 113 };
    expect(readUntilDamage(file)).toEqual({
      damage: null,
      packets: [
        {
          time: 5000n,
          originalLength: 7,
          bytes: FRAME,
          interface: cooked,
          direction: "in",
          id: null,
          comments: ["one", "two"],
        },
        {
          time: ((3n << 32n) | 0xffff_fffen) * 1000n,
          originalLength: 2,
          bytes: ascii("xy"),
          interface: eth,
          direction: "out",
          id: 0xfedc_ba98_7654_3210n,
          comments: [],
        },
        { ...BARE, time: 0n, originalLength: 0, bytes: ascii(""), interface: eth },
      ],
    });
  });

  it("scales timestamps by if_tsresol, decimal and binary, and moves them by if_tsoffset", () => {
    const resolution = (value: number) => b.option(9, Uint8Array.of(value));
    expect(timeOf(b, 1_234_567n)).toBe(1_234_567_000n);
    expect(timeOf(b, 2n, resolution(0))).toBe(2_000_000_000n);
    expect(timeOf(b, 1_700_000_000_123_456_789n, resolution(9))).toBe(1_700_000_000_123_456_789n);
    expect(timeOf(b, 1_234_567n, resolution(12))).toBe(1234n);
    expect(timeOf(b, 0xffff_ffff_ffff_ffffn, resolution(0x7f))).toBe(0n);
    expect(timeOf(b, 3n, resolution(0x81))).toBe(1_500_000_000n);
    expect(timeOf(b, 0xffff_ffff_ffff_ffffn, resolution(0xff))).toBe(0n);
    expect(timeOf(b, 1n, b.option(14, b.u64(60n)))).toBe(60_000_001_000n);
    expect(timeOf(b, 1n, resolution(9), b.option(14, b.u64(-1n)))).toBe(-999_999_999n);
  });

  it("cuts a simple packet at the snapshot length, and gives it no time", () => {
    const simple = b.block(3, b.u32(7), FRAME);
    const cut = b.block(3, b.u32(7), FRAME.slice(0, 5));
    const read = (...blocks: Uint8Array[]) => readUntilDamage(join(b.section(), ...blocks)).packets;
    const packet = { ...BARE, time: null, originalLength: 7 };
    expect(read(b.description(1, 0), simple)).toEqual([{ ...packet, bytes: FRAME, interface: INTERFACE }]);
    const on = { ...INTERFACE, snapLength: 5 };
    expect(read(b.description(1, 5), cut)).toEqual([{ ...packet, bytes: FRAME.slice(0, 5), interface: on }]);
  });

  it("reads the obsolete packet block, whose interface has 16 bits", () => {
    const packet = b.block(
      2,
      b.u16(0, 9),
      b.u32(0, 8, 5, 6),
      ascii("abcde\0\0\0"),
      b.option(2, b.u32(1)),
      b.option(5, b.u32(1)),
    );
    const { packets } = readUntilDamage(join(b.section(), b.description(1, 0), packet));
    const expected = { ...BARE, time: 8000n, originalLength: 6, bytes: ascii("abcde"), direction: "in" };
    expect(packets).toEqual([{ ...expected, interface: INTERFACE }]);
  });

  it("skips names, statistics, custom blocks and blocks of unknown type", () => {
    const others = [4, 5, 9, 0xbad, 0x4000_0bad, 0x8000_0001, 0xffff_ffff].map((type) => b.block(type, ascii("body")));
    const file = join(b.section(), ...others, b.description(1, 0), ...others, b.enhanced(0, 1n, FRAME), ...others);
    expect(readUntilDamage(file)).toMatchObject({ damage: null, packets: [{ bytes: FRAME }] });
  });

  it("starts anew with each section, in its own byte order", () => {
    const other = b === LITTLE ? BIG : LITTLE;
    const section = (c: CaptureBuilder, linkType: number) =>
      join(c.section(), c.description(linkType, 0), c.enhanced(0, 1n, FRAME));
    const { packets } = readCapture(join(section(b, 1), section(other, 2), other.section(), section(b, 3)), "f");
    expect([...packets].map((packet) => packet.interface.linkType)).toEqual([1, 2, 3]);
    expect([...packets]).toEqual([...packets]);
    expect(damageOf(join(section(b, 1), other.section(), other.enhanced(0, 1n, FRAME)))).toMatch(
      "expected one of the 0 interfaces that the section has described so far",
    );
  });

  const small = join(
    b.section(b.option(4, ascii("by hand")), b.u32(0)),
    b.description(1, 0, b.option(2, ascii("eth0")), b.option(9, Uint8Array.of(9)), b.option(14, b.u64(1n)), b.u32(0)),
    b.enhanced(0, 1n, FRAME, b.option(1, ascii("why")), b.option(2, b.u32(1)), b.option(5, b.u64(1n)), b.u32(0)),
    b.block(3, b.u32(7), FRAME),
    b.block(2, b.u16(0, 0), b.u32(0, 1, 7, 7), join(FRAME, ascii("\0")), b.option(2, b.u32(1)), b.u32(0)),
    b.block(0xbad, ascii("unknown")),
  );

  it("gives the packets before the place where a file was cut, then one InputError that names the offset", () => {
    const boundaries: number[] = [];
    const view = new DataView(small.buffer);
    for (let at = 0; at < small.length; at += view.getUint32(at + 4, b.littleEndian)) boundaries.push(at);
    for (let length = 0; length < small.length; length++) {
      const { packets, damage } = readUntilDamage(small.slice(0, length));
      const blocks = boundaries.filter((boundary) => boundary <= length).length - 1;
      expect(packets).toHaveLength(Math.min(Math.max(blocks - 2, 0), 3));
      if (length > 0 && boundaries.includes(length)) expect(damage).toBeNull();
      else {
        expect(damage!.place).toMatchObject({ file: "some.pcap", line: 1 });
        expect(damage!.found).toContain(`at offset ${damage!.place.column - 1}`);
      }
    }
    expect(readUntilDamage(small)).toMatchObject({ damage: null, packets: { length: 3 } });
  });

  it("throws nothing but an InputError, whatever words are changed", () => {
    const edge = fc.constantFrom(0, 1, 2, 3, 4, 6, 7, 8, 11, 12, 16, 0xffff, 0x7fff_ffff, 0xffff_fffc, 0xffff_ffff);
    const change = fc.tuple(fc.nat(small.length / 4 - 1), fc.oneof(edge, fc.nat(0xffff_ffff), fc.nat(small.length)));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), fc.boolean(), (changes, littleEndian) => {
        const changed = small.slice();
        const view = new DataView(changed.buffer);
        for (const [word, value] of changes) view.setUint32(4 * word, value, littleEndian);
        expect(readUntilDamage(changed).packets.length).toBeLessThanOrEqual(small.length / 12);
      }),
      { numRuns: 3000 },
    );
  });

  it("throws nothing but an InputError on arbitrary blocks behind a section header", () => {
    const block = fc.tuple(fc.constantFrom(1, 2, 3, 4, 5, 6, 0x0a0d0d0a), fc.array(fc.nat(40), { maxLength: 12 }));
    fc.assert(
      fc.property(fc.array(block, { maxLength: 6 }), (blocks) => {
        readUntilDamage(join(b.section(), ...blocks.map(([type, words]) => b.block(type, b.u32(...words)))));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a damaged pcapng file", () => {
  const b = LITTLE;
  const start = join(b.section(), b.description(1, 0));
  const behind = (...blocks: Uint8Array[]) => damageOf(join(start, ...blocks));
  const set = (block: Uint8Array, at: number, value: number) => {
    new DataView(block.buffer).setUint32(at, value, true);
    return block;
  };
  const at = start.length;

  it("is refused for block lengths that cannot be", () => {
    const block = () => b.enhanced(0, 1n, FRAME);
    expect(behind(set(block(), 4, 0))).toMatch(
      `found a block length of 0 at offset ${at + 4}, expected a multiple of 4 from 12 on`,
    );
    expect(behind(set(block(), 4, 41))).toMatch("found a block length of 41");
    expect(behind(set(block(), 4, 44))).toMatch(`found only 40 bytes at offset ${at}, expected 44 bytes of block`);
    expect(behind(set(block(), 4, 0xffff_fffc))).toMatch("expected 4294967292 bytes of block");
    expect(behind(set(block(), 36, 36))).toMatch(
      `found a block length of 36 at offset ${at + 36}, expected 40 again, as at the block's begin`,
    );
  });

  it("is refused for packets that do not fit their block", () => {
    expect(behind(set(b.enhanced(0, 1n, FRAME), 20, 9))).toMatch(
      `found only 8 bytes at offset ${at + 28}, expected 12 bytes of packet data and padding`,
    );
    expect(behind(set(b.enhanced(0, 1n, FRAME), 20, 0xffff_ffff))).toMatch(
      `found a captured length of 4294967295 at offset ${at + 20}, expected at most 262144 bytes`,
    );
    expect(behind(b.block(6, b.u32(0)))).toMatch(/found only 4 bytes .* expected 20 bytes of packet block/);
    expect(behind(b.block(3, b.u32(9), FRAME))).toMatch("expected 12 bytes of packet data and padding");
    expect(behind(b.block(3))).toMatch("found only 0 bytes");
    expect(behind(b.enhanced(1, 1n, FRAME))).toMatch(
      `found a packet of interface 1 at offset ${at + 8}, expected one of the 1 interfaces`,
    );
  });

  it("is refused for options that do not fit their block or their kind", () => {
    const long = b.u16(1, 5);
    expect(behind(b.enhanced(0, 1n, FRAME, long, ascii("four")))).toMatch(
      `found only 4 bytes at offset ${at + 40}, expected 8 bytes of option value and padding`,
    );
    expect(behind(b.enhanced(0, 1n, FRAME, b.option(2, ascii("x"))))).toMatch(
      "found epb_flags of length 1 at offset 86, expected length 4",
    );
    expect(behind(b.enhanced(0, 1n, FRAME, b.option(5, b.u32(1))))).toMatch("epb_packetid of length 4");
    expect(behind(b.description(1, 0, b.option(9, ascii("xy"))))).toMatch("if_tsresol of length 2");
    expect(behind(b.description(1, 0, b.option(14, b.u32(1))))).toMatch("if_tsoffset of length 4");
    expect(behind(b.description(1, 0, b.u16(2, 0xffff)))).toMatch("expected 65536 bytes of option value and padding");
  });

  it("is refused at once when it does not begin with a section header of a known version", () => {
    const refusal = (bytes: Uint8Array) => {
      expect(() => readPcapng(bytes, "some.pcap")).toThrow("some.pcap:1:");
      return damageOf(bytes, readPcapng);
    };
    expect(refusal(b.description(1, 0))).toMatch("found the magic 01 00 00 00 at offset 0");
    expect(refusal(b.block(0x0a0d0d0a))).toMatch("found the byte order magic 0xc000000 at offset 8");
    expect(refusal(b.block(0x0a0d0d0a, b.u32(0x1a2b3c4d)))).toMatch("expected 16 bytes of section header");
    expect(refusal(set(b.section(), 12, 2))).toMatch("found pcapng version 2.0 at offset 12, expected version 1.0");
    expect(damageOf(set(b.section(), 12, 0x2_0001))).toBe("nothing is wrong");
  });

  it("keeps what is ASCII of a text that is no UTF-8", () => {
    const name = b.option(2, Uint8Array.of(0x65, 0xff, 0x30));
    const { packets } = readUntilDamage(join(b.section(), b.description(1, 0, name), b.enhanced(0, 1n, FRAME)));
    expect(packets[0]!.interface.name).toBe("e\ufffd0");
  });
});

describe("writing pcapng", () => {
  const frame = fc.record({
    time: fc.oneof(fc.nat(), fc.maxSafeNat()),
    packet: fc.nat(),
    device: fc.nat(3),
    direction: fc.constantFrom("in" as const, "out" as const),
    type: fc.constantFrom("host", "broadcast", "multicast", "otherhost", "outgoing"),
    bytes: fc.uint8Array({ maxLength: 100 }),
  });
  const text = fc.string({ unit: "grapheme", maxLength: 20 });

  it("is undone by reading", () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 60 }), fc.array(text, { minLength: 8, maxLength: 8 }), (list, words) => {
        const names = new Names();
        names.text("something else");
        const places = [0, 2, 4, 6].map((i) =>
          names.add({ kind: "device", namespace: words[i]!, device: words[i + 1]! }),
        );
        const frames = list.map(({ device, ...rest }): CapturedFrame => ({ ...rest, place: places[device]! }));
        const file = formatPcapng(frames, names);
        const { packets, damage } = readUntilDamage(file);
        expect(damage).toBeNull();
        const expected = list.map(({ time, packet, device, direction, bytes }) => ({
          time: BigInt(time),
          originalLength: bytes.length,
          bytes,
          interface: { ...INTERFACE, name: `${words[2 * device]}/${words[2 * device + 1]}` },
          direction,
          id: BigInt(packet),
          comments: [`hopscope packet ${packet}`],
        }));
        expect(packets).toEqual(expected);
        const used = new Set(list.map(({ device }) => device));
        expect(new Set(packets.map((packet) => packet.interface)).size).toBe(used.size);
        expect(formatPcapng(frames, names)).toEqual(file);
      }),
    );
  });

  it("gives a section header alone for no frames", () => {
    expect(readUntilDamage(formatPcapng([], new Names()))).toEqual({ packets: [], damage: null });
  });

  it("refuses a frame that no device saw, which cannot be", () => {
    const names = new Names();
    const place = names.add({ kind: "namespace", namespace: "web" });
    const frame: CapturedFrame = { time: 0, packet: 1, place, direction: "in", type: "host", bytes: FRAME };
    expect(() => formatPcapng([frame], names)).toThrow("no device");
  });
});
