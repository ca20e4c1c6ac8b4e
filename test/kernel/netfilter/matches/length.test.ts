import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match length", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m length --length 10:", "-m length --length 10:65535"],
      ["-m length --length 4:4", "-m length --length 4"],
      ["-m length --length 0x10", "-m length --length 16"],
      "-m length ! --length 0:65535",
    ]);
  });

  it("compares the whole packet without its Ethernet header", () => {
    const packet = udpPacket(pool, {}, [1, 2, 3]);
    expect(matchOf("-m length --length 31").matches(packet, contextOf())).toBe(true);
    expect(matchOf("-m length --length 32:40").matches(packet, contextOf())).toBe(false);
    expect(matchOf("-m length ! --length 32:40").matches(packet, contextOf())).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m length --length 0:65536")).toBe('22 "65536" | a length in bytes (0-65535)');
    expect(refusal("-m length --length 4:3")).toMatch(/^20 "4:3"/);
    expect(refusal("-m length")).toBe('4 "length" | -m length with --length');
  });
});
