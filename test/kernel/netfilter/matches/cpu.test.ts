import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match cpu", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([["-m cpu --cpu 0x3", "-m cpu --cpu 3"], "-m cpu ! --cpu 4294967295"]);
  });

  it("knows one processor", () => {
    expect(matchOf("-m cpu --cpu 0").matches(udpPacket(pool), contextOf())).toBe(true);
    expect(matchOf("-m cpu --cpu 1").matches(udpPacket(pool), contextOf())).toBe(false);
    expect(matchOf("-m cpu ! --cpu 1").matches(udpPacket(pool), contextOf())).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m cpu --cpu 4294967296")).toBe('14 "4294967296" | a processor (0-4294967295)');
    expect(refusal("-m cpu")).toBe('4 "cpu" | -m cpu with --cpu');
  });
});
