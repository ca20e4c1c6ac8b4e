import { describe, expect, it } from "vitest";
import { formatTime, wrap } from "../../src/trace/story-line.ts";

describe("times", () => {
  it.each([
    [0, "0"],
    [7, "7 ns"],
    [1_500, "1.5 µs"],
    [1_000_000, "1 ms"],
    [100_000_000, "100 ms"],
    [3_000_000_000, "3 s"],
    [3_000_000_001, "3.000000001 s"],
    [250_000_000_000, "250 s"],
  ])("prints %d nanoseconds as %s", (nanoseconds, text) => {
    expect(formatTime(nanoseconds)).toBe(text);
  });
});

describe("wrapping", () => {
  it("leaves alone what fits", () => {
    expect(wrap("one two", 7, 2)).toEqual(["one two"]);
  });

  it("hangs what follows", () => {
    expect(wrap("one two three four", 9, 2)).toEqual(["one two", "  three", "  four"]);
  });

  it("breaks first between what is said and a rule's own text", () => {
    expect(wrap("filter rule 4  -i docker0 -j ACCEPT", 26, 2)).toEqual(["filter rule 4", "  -i docker0 -j ACCEPT"]);
  });

  it("cuts a word that no line can hold", () => {
    expect(wrap("x".repeat(25), 10, 2)).toEqual(["xxxxxxxxxx", "  xxxxxxxx", "  xxxxxxx"]);
  });
});
