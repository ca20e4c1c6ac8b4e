import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checksum, fold, pseudoSum, replace16, replace32, sumBytes } from "../../src/wire/checksum.ts";

/** RFC 1071 as its section 4.1 tells it: 16-bit words, end-around carry at once, complement. */
function reference(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return ~sum & 0xffff;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const word16 = fc.integer({ min: 0, max: 0xffff });
const word32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

describe("the full checksum", () => {
  it("is that of RFC 1071 section 3's example", () => {
    const view = viewOf(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7));
    expect(fold(sumBytes(view, 0, 8))).toBe(0xddf2);
    expect(checksum(view, 0, 8)).toBe(0x220d);
  });

  it("agrees with word-by-word addition for any bytes, odd lengths too", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(checksum(viewOf(bytes), 0, bytes.length)).toBe(reference(bytes));
      }),
    );
  });

  it("does not overflow on the longest datagram of the largest words", () => {
    const bytes = new Uint8Array(65_535).fill(0xff);
    expect(checksum(viewOf(bytes), 0, bytes.length)).toBe(reference(bytes));
    const most = pseudoSum(-1, -1, 255, 65_535);
    expect(fold(sumBytes(viewOf(bytes), 0, bytes.length, most))).toBe(
      ~reference(Uint8Array.from([...bytes, 0, ...new Uint8Array(8).fill(255), 0, 255, 255, 255])) & 0xffff,
    );
  });

  it("starts where it is told and reads no byte behind its length", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.uint8Array({ maxLength: 9 }),
        fc.uint8Array({ maxLength: 9 }),
        (data, front, back) => {
          const bytes = Uint8Array.from([...front, ...data, ...back]);
          expect(checksum(viewOf(bytes), front.length, data.length)).toBe(reference(data));
        },
      ),
    );
  });

  it("can be summed in parts of even length", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat({ max: 50 }), (bytes, half) => {
        const split = Math.min(half * 2, bytes.length & ~1);
        const first = sumBytes(viewOf(bytes), 0, split);
        expect(fold(sumBytes(viewOf(bytes), split, bytes.length - split, first))).toBe(
          fold(sumBytes(viewOf(bytes), 0, bytes.length)),
        );
      }),
    );
  });

  it("makes data verify to all ones once it stands in its field", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 101 }), (bytes) => {
        const view = viewOf(bytes);
        bytes[0] = 0x45;
        view.setUint16(2, 0);
        view.setUint16(2, checksum(view, 0, bytes.length));
        expect(fold(sumBytes(view, 0, bytes.length))).toBe(0xffff);
      }),
    );
  });

  it("takes the pseudo header as the twelve bytes that it stands for", () => {
    fc.assert(
      fc.property(word32, word32, fc.nat({ max: 255 }), word16, (source, destination, protocol, length) => {
        const bytes = new Uint8Array(12);
        const view = viewOf(bytes);
        view.setInt32(0, source);
        view.setInt32(4, destination);
        view.setUint8(9, protocol);
        view.setUint16(10, length);
        expect(fold(pseudoSum(source, destination, protocol, length))).toBe(fold(sumBytes(view, 0, 12)));
      }),
    );
  });
});

describe("the incremental checksum", () => {
  it("is that of RFC 1624 section 4's example, where RFC 1141 would give 0xffff", () => {
    expect(replace16(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
  });

  /** Non-zero beside the word, as every real header is: all-zero data has two checksums. */
  const data = fc.array(word16, { minLength: 2, maxLength: 20 }).map((words) => [0x4500, ...words]);

  function full(words: readonly number[]): number {
    const view = new DataView(new ArrayBuffer(words.length * 2));
    for (const [i, word] of words.entries()) view.setUint16(i * 2, word);
    return checksum(view, 0, words.length * 2);
  }

  it("equals the full one after any 16-bit word changed", () => {
    fc.assert(
      fc.property(data, fc.nat(), word16, (words, pick, after) => {
        const at = 1 + (pick % (words.length - 1));
        expect(replace16(full(words), words[at]!, after)).toBe(
          full([...words.slice(0, at), after, ...words.slice(at + 1)]),
        );
      }),
    );
  });

  it("equals the full one after any 32-bit word changed, signed or not", () => {
    fc.assert(
      fc.property(data, fc.nat(), word32, fc.boolean(), (words, pick, after, unsigned) => {
        const at = 1 + (pick % (words.length - 2));
        const before = (words[at]! << 16) | words[at + 1]!;
        const changed = [...words.slice(0, at), after >>> 16, after & 0xffff, ...words.slice(at + 2)];
        const field = unsigned
          ? replace32(full(words), before >>> 0, after >>> 0)
          : replace32(full(words), before, after);
        expect(field).toBe(full(changed));
      }),
    );
  });

  it("leaves the field alone when nothing changes", () => {
    fc.assert(
      fc.property(data, fc.nat(), (words, pick) => {
        const at = pick % (words.length - 1);
        const field = full(words);
        expect(replace16(field, words[at]!, words[at]!)).toBe(field);
        const word = (words[at]! << 16) | words[at + 1]!;
        expect(replace32(field, word, word)).toBe(field);
      }),
    );
  });

  it("is undone by the reverse change", () => {
    fc.assert(
      fc.property(data, word32, (words, after) => {
        const before = (words[0]! << 16) | words[1]!;
        const field = full(words);
        expect(replace32(replace32(field, before, after), after, before)).toBe(field);
      }),
    );
  });

  it("takes a 32-bit word as its two halves", () => {
    fc.assert(
      fc.property(data, word32, word32, (words, before, after) => {
        const halves = replace16(replace16(full(words), before >>> 16, after >>> 16), before & 0xffff, after & 0xffff);
        const whole = replace32(full(words), before, after);
        expect(whole % 0xffff).toBe(halves % 0xffff);
      }),
    );
  });
});
