import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAGIC_MICROSECONDS, MAGIC_NANOSECONDS, readPcap } from "../../src/trace/pcap.ts";
import { readCapture } from "../../src/trace/pcapng.ts";
import { ascii, CaptureBuilder, damageOf, join, readUntilDamage } from "./pcap-bytes.ts";

const LITTLE = new CaptureBuilder(true);
const ORDERS = [LITTLE, new CaptureBuilder(false)];

const record = fc.record({
  seconds: fc.nat(0xffff_ffff),
  fraction: fc.nat(999_999),
  bytes: fc.uint8Array({ maxLength: 70 }),
  originalLength: fc.nat(0xffff_ffff),
});

describe("reading classic pcap", () => {
  it("finds what was put in, in both byte orders and both resolutions", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ORDERS),
        fc.constantFrom(MAGIC_MICROSECONDS, MAGIC_NANOSECONDS),
        fc.nat(0xffff_ffff),
        fc.nat(0xffff),
        fc.array(record, { maxLength: 5 }),
        (builder, magic, snapLength, linkType, records) => {
          const parts = records.map((r) => builder.record(r.seconds, r.fraction, r.bytes, r.originalLength));
          const { packets, damage } = readUntilDamage(builder.pcap(magic, snapLength, linkType, ...parts), readPcap);
          expect(damage).toBeNull();
          const scale = magic === MAGIC_NANOSECONDS ? 1n : 1000n;
          const on = { name: null, linkType, snapLength, fcsLength: null };
          const expected = records.map(({ seconds, fraction, bytes, originalLength }) => {
            const time = BigInt(seconds) * 1_000_000_000n + BigInt(fraction) * scale;
            return { time, originalLength, bytes, interface: on, direction: null, id: null, comments: [] };
          });
          expect(packets).toEqual(expected);
          for (const packet of packets) expect(packet.interface).toBe(packets[0]!.interface);
        },
      ),
    );
  });

  it("reads the length of the frame check sequence beside the link type", () => {
    const packet = LITTLE.record(0, 0, ascii("x"));
    const read = (network: number) =>
      readUntilDamage(LITTLE.pcap(MAGIC_MICROSECONDS, 0, network, packet)).packets[0]!.interface;
    expect(read(0x2400_0001)).toMatchObject({ linkType: 1, fcsLength: 4 });
    expect(read(0x0400_0001)).toMatchObject({ linkType: 1, fcsLength: 0 });
    expect(read(0xf400_0069)).toMatchObject({ linkType: 0x69, fcsLength: 30 });
    // Without the bit "f" the four bits mean nothing, nor do the reserved ones.
    expect(read(0x33ff_0001)).toMatchObject({ linkType: 1, fcsLength: null });
  });

  it("carries a fraction of more than a second, and keeps a record longer than the snapshot length", () => {
    const bytes = ascii("longer");
    const { packets } = readUntilDamage(LITTLE.pcap(MAGIC_MICROSECONDS, 4, 1, LITTLE.record(7, 2_500_000, bytes, 3)));
    expect(packets).toMatchObject([{ time: 9_500_000_000n, bytes, originalLength: 3 }]);
  });

  it("reads a file that lies in the middle of a larger buffer, without copying", () => {
    const file = LITTLE.pcap(MAGIC_MICROSECONDS, 0, 1, LITTLE.record(1, 2, ascii("frame")));
    const buffer = join(new Uint8Array(7), file, new Uint8Array(9));
    const { packets } = readUntilDamage(buffer.subarray(7, 7 + file.length));
    expect(packets).toHaveLength(1);
    expect(packets[0]!.bytes).toEqual(ascii("frame"));
    expect(packets[0]!.bytes.buffer).toBe(buffer.buffer);
  });

  it("gives the same packets each time it is iterated", () => {
    const record = ORDERS[1]!.record(1, 2, ascii("x"));
    const { packets } = readCapture(ORDERS[1]!.pcap(MAGIC_MICROSECONDS, 0, 1, record, record), "f");
    expect([...packets]).toHaveLength(2);
    expect([...packets]).toEqual([...packets]);
  });
});

describe("a damaged pcap file", () => {
  const first = LITTLE.record(1, 0, ascii("whole"));
  const file = LITTLE.pcap(MAGIC_NANOSECONDS, 65_535, 1, first, LITTLE.record(2, 0, ascii("second frame")));
  const boundaries = [24, 24 + first.length, file.length];

  it("gives the packets before the place where it was cut, then one InputError that names the offset", () => {
    for (let length = 0; length <= file.length; length++) {
      const { packets, damage } = readUntilDamage(file.slice(0, length));
      const last = Math.max(...boundaries.filter((boundary) => boundary <= length), 0);
      expect(packets).toHaveLength(Math.max(boundaries.indexOf(last), 0));
      if (boundaries.includes(length)) expect(damage).toBeNull();
      else {
        expect(damage!.place).toMatchObject({ file: "some.pcap", line: 1 });
        expect(damage!.found).toContain(`at offset ${damage!.place.column - 1}`);
      }
    }
  });

  it("says what is missing", () => {
    expect(damageOf(file.slice(0, 20))).toBe(
      "some.pcap:1:1: found only 20 bytes at offset 0, expected 24 bytes of pcap file header",
    );
    expect(damageOf(file.slice(0, 25))).toBe(
      "some.pcap:1:25: found only 1 byte at offset 24, expected 16 bytes of packet record header",
    );
    expect(damageOf(file.slice(0, 43))).toBe(
      "some.pcap:1:41: found only 3 bytes at offset 40, expected 5 bytes of packet data",
    );
  });

  it("is refused for a captured length that no capture program writes", () => {
    const claim = (length: number, linkType: number) =>
      damageOf(LITTLE.pcap(MAGIC_MICROSECONDS, 0, linkType, LITTLE.u32(0, 0, length, length), new Uint8Array(300_000)));
    expect(claim(262_145, 1)).toMatch("found a captured length of 262145 at offset 32, expected at most 262144 bytes");
    expect(claim(0xffff_ffff, 1)).toMatch("found a captured length of 4294967295 at offset 32");
    // USB captures may be longer.
    expect(claim(0xffff_ffff, 249)).toMatch("expected at most 134217728 bytes");
    expect(claim(300_000, 249)).toBe("nothing is wrong");
  });

  it("is refused when it is no pcap 2.4", () => {
    const old = LITTLE.pcap(MAGIC_MICROSECONDS, 0, 1);
    old[6] = 2;
    expect(damageOf(old)).toMatch("found pcap version 2.2 at offset 4, expected version 2.4");
    const gzip = join(Uint8Array.of(0x1f, 0x8b, 8, 0), new Uint8Array(30));
    expect(damageOf(gzip)).toMatch("found the magic 1f 8b 08 00 at offset 0, expected that of a pcap or pcapng file");
    expect(damageOf(gzip, readPcap)).toMatch("expected that of a pcap file");
    expect(damageOf(new Uint8Array(0))).toMatch("found only 0 bytes at offset 0");
  });

  it("never throws anything else, whatever bytes are changed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const changed = file.slice();
          for (const [at, byte] of changes) changed[at] = byte;
          expect(readUntilDamage(changed).packets.length).toBeLessThanOrEqual((file.length - 24) / 16);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
