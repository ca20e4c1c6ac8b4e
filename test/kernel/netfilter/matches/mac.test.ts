import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, device, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match mac", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m mac --mac-source 02:0a:0B:00:00:01", "-m mac --mac-source 02:0a:0b:00:00:01"],
      ["-m mac ! --mac-source 2:a:b:0:0:1", "-m mac ! --mac-source 02:0a:0b:00:00:01"],
    ]);
  });

  it("looks at the frame's sender", () => {
    const context = contextOf();
    context.in = device("eth0", 1);
    const packet = udpPacket(pool);
    expect(matchOf("-m mac --mac-source 02:00:00:00:00:01").matches(packet, context)).toBe(true);
    expect(matchOf("-m mac --mac-source 02:00:00:00:00:02").matches(packet, context)).toBe(false);
    expect(matchOf("-m mac ! --mac-source 02:00:00:00:00:02").matches(packet, context)).toBe(true);
  });

  it("does not match what came in by no device, not even inverted", () => {
    expect(matchOf("-m mac ! --mac-source 02:00:00:00:00:02").matches(udpPacket(pool), contextOf())).toBe(false);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m mac --mac-source 42:01:02:03:04")).toMatch(/^21 .* \| a MAC address/);
    expect(refusal("-m mac --mac-source 42:01:02:03:04:05:06")).toMatch(/^21 .* \| a MAC address/);
    expect(refusal("-m mac --mac-source 42:01:02:03:04:05", { chain: "OUTPUT" })).toMatch(
      /^4 "mac" \| mac only in chains/,
    );
  });
});
