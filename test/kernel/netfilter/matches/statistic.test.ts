import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { attached, expectCanonical, pool, refusal } from "../one-rule.ts";

const packet = udpPacket(pool);
const count = (rule: string, packets: number): string => {
  const { ask } = attached([rule]);
  return Array.from({ length: packets }, () => (ask(packet)[0] ? "x" : ".")).join("");
};

describe("the match statistic", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m statistic --mode random --probability 0.3", "-m statistic --mode random --probability 0.29999999981"],
      ["-m statistic --mode random --probability 1", "-m statistic --mode random --probability 1.00000000000"],
      ["-m statistic --mode random --probability 1e-3", "-m statistic --mode random --probability 0.00100000016"],
      ["-m statistic --mode random ! --probability .5", "-m statistic --mode random ! --probability 0.50000000000"],
      ["-m statistic --mode nth --every 0x10 --packet 3", "-m statistic --mode nth --every 16 --packet 3"],
      "-m statistic --mode nth ! --every 5 --packet 2",
    ]);
  });

  // Measured on Linux 6.18.
  it.each([
    ["--every 3 --packet 0", "x..x..x"],
    ["--every 3 --packet 1", ".x..x.."],
    ["--every 3 --packet 2", "..x..x."],
    ["! --every 2 --packet 0", ".x.x.x."],
    ["--every 1 --packet 0", "xxxxxxx"],
  ])("counts with --mode nth %s", (options, expected) => {
    expect(count(`-m statistic --mode nth ${options}`, 7)).toBe(expected);
  });

  it("throws dice with --mode random", () => {
    expect(count("-m statistic --mode random --probability 0", 50)).not.toContain("x");
    expect(count("-m statistic --mode random --probability 1", 50)).not.toContain(".");
    expect(count("-m statistic --mode random ! --probability 1", 50)).not.toContain("x");
    const hits = count("-m statistic --mode random --probability 0.25", 4000).replaceAll(".", "").length;
    expect(hits).toBeGreaterThan(900);
    expect(hits).toBeLessThan(1100);
  });

  it("gives each rule dice of its own, the same in each run", () => {
    const rule = "-m statistic --mode random --probability 0.5";
    const rolls = () => {
      const { ask } = attached([rule, rule]);
      return Array.from({ length: 64 }, () => ask(packet));
    };
    expect(rolls()).toEqual(rolls());
    expect(rolls().some(([a, b]) => a !== b)).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m statistic --probability 1")).toBe('4 "statistic" | -m statistic with --mode');
    expect(refusal("-m statistic --mode random")).toBe('4 "statistic" | -m statistic with --probability');
    expect(refusal("-m statistic --mode random --probability 1.1")).toBe('42 "1.1" | a probability (0-1)');
    expect(refusal("-m statistic --mode nth --every 5")).toBe('4 "statistic" | -m statistic with --packet');
    expect(refusal("-m statistic --mode nth --every 5 --packet 5")).toBe('44 "5" | a packet below --every (0-4)');
    expect(refusal("-m statistic --mode wrong --every 5")).toBe('21 "wrong" | random or nth');
  });
});
