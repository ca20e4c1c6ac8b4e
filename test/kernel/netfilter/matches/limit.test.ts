import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

const SECOND = 1_000_000_000;

describe("the match limit", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m limit", "-m limit --limit 3/hour"],
      ["-m limit --limit 5", "-m limit --limit 5/sec"],
      ["-m limit --limit 5/m --limit-burst 5", "-m limit --limit 5/min"],
      ["-m limit --limit 120/minute", "-m limit --limit 2/sec"],
      ["-m limit --limit 7777/min", "-m limit --limit 129/sec"],
      ["-m limit --limit 24/day", "-m limit --limit 1/hour"],
      ["-m limit --limit 6000/hour", "-m limit --limit 100/min"],
      ["-m limit --limit 3/sec --limit-burst 0", "-m limit --limit 3/sec"],
      "-m limit --limit 90/min",
      "-m limit --limit 25/day",
      "-m limit --limit 3601/hour",
      "-m limit --limit 7/sec --limit-burst 6",
    ]);
  });

  it("lets a burst through and then the rate", () => {
    const scheduler = { now: 0 };
    const context = contextOf("input", { fabric: { trace: null, scheduler } });
    const match = matchOf("-m limit --limit 2/sec --limit-burst 3");
    const packet = udpPacket(pool);
    const next = (): boolean => match.matches(packet, context);
    expect([next(), next(), next(), next()]).toEqual([true, true, true, false]);
    scheduler.now = SECOND / 2 - 1;
    expect(next()).toBe(false);
    scheduler.now = SECOND / 2;
    expect([next(), next()]).toEqual([true, false]);
    scheduler.now = 100 * SECOND;
    expect([next(), next(), next(), next()]).toEqual([true, true, true, false]);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m limit --limit 10001/sec")).toBe('18 "10001/sec" | a rate of at most 10000/second');
    expect(refusal("-m limit --limit 0/sec")).toMatch(/^18 "0\/sec" \| a rate such as/);
    expect(refusal("-m limit --limit 5/secs")).toMatch(/^18 "5\/secs" \| a rate such as/);
    expect(refusal("-m limit --limit 5/")).toMatch(/^18 "5\/" \| a rate such as/);
    expect(refusal("-m limit ! --limit 3/sec")).toBe('12 "--limit" | an option that can be inverted');
    expect(refusal("-m limit --limit-burst 10001")).toBe('24 "10001" | a number of packets (0-10000)');
  });
});
