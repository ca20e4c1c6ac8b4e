import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match ttl", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m ttl --ttl 5", "-m ttl --ttl-eq 5"],
      "-m ttl ! --ttl-eq 255",
      "-m ttl --ttl-lt 5",
      "-m ttl --ttl-gt 0",
    ]);
  });

  it.each([
    ["--ttl-eq 64", true],
    ["--ttl-eq 63", false],
    ["! --ttl-eq 63", true],
    ["--ttl-lt 65", true],
    ["--ttl-lt 64", false],
    ["--ttl-gt 63", true],
    ["--ttl-gt 64", false],
  ])("compares a TTL of 64: %s", (options, expected) => {
    expect(matchOf(`-m ttl ${options}`).matches(udpPacket(pool), contextOf())).toBe(expected);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m ttl --ttl-eq 256")).toBe('17 "256" | a TTL (0-255)');
    expect(refusal("-m ttl ! --ttl-gt 5")).toBe('10 "--ttl-gt" | an option that can be inverted');
    expect(refusal("-m ttl")).toBe('4 "ttl" | -m ttl with --ttl-eq, --ttl-lt or --ttl-gt');
  });
});
