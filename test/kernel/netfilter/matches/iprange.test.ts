import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match iprange", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m iprange --src-range 1.1.1.1", "-m iprange --src-range 1.1.1.1-1.1.1.1"],
      "-m iprange --src-range 1.1.1.1-1.1.1.9 ! --dst-range 2.2.2.2-2.2.2.3",
    ]);
  });

  it("compares addresses as unsigned numbers", () => {
    const packet = udpPacket(pool, { source: "200.0.0.1", destination: "10.0.0.5" });
    expect(matchOf("-m iprange --src-range 100.0.0.0-201.0.0.0").matches(packet, contextOf())).toBe(true);
    expect(matchOf("-m iprange ! --src-range 100.0.0.0-201.0.0.0").matches(packet, contextOf())).toBe(false);
    expect(matchOf("-m iprange --dst-range 10.0.0.6-10.0.0.9").matches(packet, contextOf())).toBe(false);
    expect(matchOf("-m iprange --src-range 200.0.0.1 ! --dst-range 10.0.0.6").matches(packet, contextOf())).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m iprange")).toBe('4 "iprange" | -m iprange with --src-range or --dst-range');
    expect(refusal("-m iprange --src-range 1.1.1.1-1.1.1.300")).toBe('32 "1.1.1.300" | an IPv4 address');
    expect(refusal("-m iprange --src-range 1.1.1.1-")).toBe('32 "" | an IPv4 address');
  });
});
