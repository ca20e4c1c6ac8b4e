import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { attached, expectCanonical, pool, refusal } from "../one-rule.ts";

describe("the match quota", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m quota --quota 0x100", "-m quota --quota 256"],
      "-m quota ! --quota 0",
      "-m quota --quota 18446744073709551615",
    ]);
  });

  it("passes bytes until one packet is too many, and nothing afterwards", () => {
    const { ask } = attached(["-m quota --quota 100", "-m quota ! --quota 60", "-m quota --quota 0"]);
    const large = udpPacket(pool, {}, new Array(10).fill(0));
    expect(ask(large)).toEqual([true, false, false]);
    expect(ask(large)).toEqual([true, true, false]);
    expect(ask(large)).toEqual([false, true, false]);
    expect(ask(udpPacket(pool))).toEqual([false, true, false]);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m quota --quota 18446744073709551616")).toMatch(/^18 .* \| a number of bytes/);
    expect(refusal("-m quota")).toBe('4 "quota" | -m quota with --quota');
  });
});
