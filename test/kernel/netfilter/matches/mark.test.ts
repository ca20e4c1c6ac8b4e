import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match mark", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m mark --mark 10", "-m mark --mark 0xa"],
      ["-m mark --mark 010", "-m mark --mark 0x8"],
      ["-m mark --mark 0xff/0x0f", "-m mark --mark 0xff/0xf"],
      ["-m mark --mark 4294967295/0xffffffff", "-m mark --mark 0xffffffff"],
      "-m mark ! --mark 0x10/0x0",
    ]);
  });

  it("compares the bits of the mask", () => {
    const packet = udpPacket(pool);
    packet.mark = 0x8000_0012 | 0;
    expect(matchOf("-m mark --mark 0x2/0xf").matches(packet, contextOf())).toBe(true);
    expect(matchOf("-m mark --mark 0x2").matches(packet, contextOf())).toBe(false);
    expect(matchOf("-m mark ! --mark 0x2").matches(packet, contextOf())).toBe(true);
    expect(matchOf("-m mark --mark 0x80000012").matches(packet, contextOf())).toBe(true);
    expect(matchOf("-m mark --mark 0x80000000/0x80000000").matches(packet, contextOf())).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m mark --mark 4294967296")).toBe('16 "4294967296" | a mark (0-4294967295)');
    expect(refusal("-m mark --mark 0xff/0xfg")).toBe('21 "0xfg" | a mask (0-4294967295)');
    expect(refusal("-m mark")).toBe('4 "mark" | -m mark with --mark');
  });
});
