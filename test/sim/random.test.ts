import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../../src/sim/random.ts";

const seed = fc.integer({ min: 0, max: 0xffffffff });
const draw = (random: Random, count = 16): number[] => Array.from({ length: count }, () => random.next());

describe("a stream", () => {
  it("is the same for the same seed, for ever", () => {
    expect(draw(new Random(1), 4)).toEqual([2026836953, 2133780654, -1558273854, 1965412021]);
    expect(draw(new Random(1).fork("mac/web1"), 2)).toEqual([-1947788909, 473498486]);
  });

  it("repeats itself from the same seed and differs from another's", () => {
    fc.assert(
      fc.property(seed, seed, (a, b) => {
        expect(draw(new Random(a))).toEqual(draw(new Random(a)));
        if (a !== b) expect(draw(new Random(a))).not.toEqual(draw(new Random(b)));
      }),
    );
  });

  it("gives signed 32-bit integers", () => {
    fc.assert(fc.property(seed, (s) => draw(new Random(s)).every((value) => value === (value | 0))));
  });

  it("uses both halves of the range and every bit", () => {
    const values = draw(new Random(7), 4096);
    for (let bit = 0; bit < 32; bit++) {
      const set = values.filter((value) => (value >>> bit) & 1).length;
      expect(set / values.length).toBeGreaterThan(0.45);
      expect(set / values.length).toBeLessThan(0.55);
    }
  });
});

describe("a fork", () => {
  it("depends on the seed and the label alone, not on what was drawn or forked before", () => {
    fc.assert(
      fc.property(
        seed,
        fc.string(),
        fc.nat({ max: 20 }),
        fc.array(fc.string(), { maxLength: 5 }),
        (s, label, drawn, others) => {
          const used = new Random(s);
          draw(used, drawn);
          for (const other of others) draw(used.fork(other), 3);
          expect(draw(used.fork(label))).toEqual(draw(new Random(s).fork(label)));
        },
      ),
    );
  });

  it("does not disturb the stream that it was forked from", () => {
    fc.assert(
      fc.property(seed, fc.string(), (s, label) => {
        const random = new Random(s);
        draw(random.fork(label));
        expect(draw(random)).toEqual(draw(new Random(s)));
      }),
    );
  });

  it("differs by label, by seed and from its parent", () => {
    fc.assert(
      fc.property(seed, seed, fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (a, b, one, two) => {
        const stream = draw(new Random(a).fork(one));
        expect(stream).not.toEqual(draw(new Random(a)));
        if (one !== two) expect(stream).not.toEqual(draw(new Random(a).fork(two)));
        if (a !== b) expect(stream).not.toEqual(draw(new Random(b).fork(one)));
      }),
    );
  });

  it("gives neighbours in a naming scheme unrelated streams", () => {
    const firsts = new Set<number>();
    for (let host = 0; host < 2000; host++) firsts.add(new Random(1).fork(`mac/web${host}`).next());
    expect(firsts.size).toBe(2000);
  });

  it("of a fork is not the fork of the joined labels", () => {
    const random = new Random(1);
    expect(draw(random.fork("a").fork("b"))).not.toEqual(draw(random.fork("ab")));
    expect(draw(random.fork("a").fork("b"))).not.toEqual(draw(random.fork("b").fork("a")));
  });
});

describe("below", () => {
  it("stays under its bound, whatever the bound", () => {
    fc.assert(
      fc.property(seed, fc.integer({ min: 1, max: 2 ** 32 }), (s, n) => {
        const random = new Random(s);
        for (let i = 0; i < 50; i++) {
          const value = random.below(n);
          expect(Number.isInteger(value) && value >= 0 && value < n).toBe(true);
        }
      }),
    );
  });

  it("reaches every value about equally often", () => {
    const random = new Random(3);
    const counts = new Array(10).fill(0);
    for (let i = 0; i < 10_000; i++) counts[random.below(10)]++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe("chance", () => {
  it("is certain at 1, impossible at 0, and draws nothing for either", () => {
    const random = new Random(5);
    for (let i = 0; i < 100; i++) {
      expect(random.chance(0)).toBe(false);
      expect(random.chance(1)).toBe(true);
    }
    expect(random.next()).toBe(new Random(5).next());
  });

  it("comes true as often as asked", () => {
    const random = new Random(11);
    let hits = 0;
    for (let i = 0; i < 10_000; i++) if (random.chance(0.2)) hits++;
    expect(Math.abs(hits - 2000)).toBeLessThan(200);
  });

  it("draws units in [0, 1)", () => {
    fc.assert(
      fc.property(seed, (s) => {
        const value = new Random(s).unit();
        expect(value >= 0 && value < 1).toBe(true);
      }),
    );
  });
});
