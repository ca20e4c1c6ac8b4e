import { describe, expect, it } from "vitest";
import { rawPacket, udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match udp", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-p udp --dport domain", "-p udp -m udp --dport 53"],
      ["-p 17 -m udp --sport 4:4", "-p udp -m udp --sport 4"],
      "-p udp -m udp ! --sport 1 --dport 0",
      "-p udp -m udp",
    ]);
  });

  it("looks at both ports", () => {
    const packet = udpPacket(pool);
    expect(matchOf("-p udp --sport 5000 --dport 50:60").matches(packet, contextOf())).toBe(true);
    expect(matchOf("-p udp --sport 5000 --dport 54:60").matches(packet, contextOf())).toBe(false);
    expect(matchOf("-p udp ! --sport 5001").matches(packet, contextOf())).toBe(true);
  });

  it("does not match later fragments and drops a datagram without a whole header", () => {
    const context = contextOf();
    const match = matchOf("-p udp -m udp");
    expect(match.matches(rawPacket(pool, 17, new Array(16).fill(0), { fragment: 1 }), context)).toBe(false);
    expect(context.hotdrop).toBe(false);
    expect(match.matches(rawPacket(pool, 17, new Array(7).fill(0)), context)).toBe(false);
    expect(context.hotdrop).toBe(true);
  });

  // Measured on Linux 6.18 with iptables-nft 1.8.9: ports are loads of bytes.
  it.each(["--dport 80", "! --dport 81", "--sport 9 --dport 80"])(
    "looks only at the bytes that it needs: %s",
    (options) => {
      const match = matchOf(`-p udp ${options}`);
      const context = contextOf();
      expect(match.matches(rawPacket(pool, 17, [0, 9, 0, 80]), context)).toBe(true);
      expect(match.matches(rawPacket(pool, 17, [0, 9, 0, 80], { fragment: 2 }), context)).toBe(true);
      expect(match.matches(rawPacket(pool, 17, [0, 9, 0]), context)).toBe(false);
      expect(context.hotdrop).toBe(false);
    },
  );

  it("needs -p udp", () => {
    expect(refusal("-p tcp -m udp --dport 5")).toBe('11 "udp" | -p udp in a rule with the match udp');
  });
});
