import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

const ask = (tests: string, not = false): boolean =>
  matchOf(`-m u32 ${not ? "! " : ""}--u32 "${tests}"`).matches(
    udpPacket(pool, {}, [0x61, 0x62, 0x63, 0x64]),
    contextOf(),
  );

describe("the match u32", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ['-m u32 ! --u32 "6&0xFF=1:5,0x10"', '-m u32 ! --u32 "0x6&0xff=0x1:0x5,0x10"'],
      [
        '-m u32 --u32 "4 & 0x3FFF = 0 && 0>>22&0x3C@0>>24=0"',
        '-m u32 --u32 "0x4&0x3fff=0x0&&0x0>>0x16&0x3c@0x0>>0x18=0x0"',
      ],
      ['-m u32 --u32 "010=1:1"', '-m u32 --u32 "0x8=0x1"'],
      ['-m u32 --u32 "0<<2=5:3"', '-m u32 --u32 "0x0<<0x2=0x5:0x3"'],
    ]);
  });

  it.each([
    ["6&0xFF=0x11", true],
    ["6&0xFF=6", false],
    ["6&0xFF=1:5,10:20", true],
    ["0>>22&0x3C@0>>16=5000", true],
    ["0>>22&0x3C@8=0x61626364", true],
    ["0>>22&0x3C@9=0", false],
    ["12=0x0a000001 && 16=1,0x0a000002", true],
    ["12=0x0a000001 && 16=1", false],
    ["8<<8>>24=17", true],
    ["12@0=0", false],
    ["28=0x61626364", true],
    ["29=0:0xffffffff", false],
  ])("%s is %s", (tests, expected) => {
    expect(ask(tests)).toBe(expected);
    expect(ask(tests, true)).toBe(!expected);
  });

  it("refuses what iptables refuses", () => {
    for (const [tests, expected] of [
      ["0", "&, <<, >>, @ or ="],
      ["0=", "a number (0-4294967295)"],
      ["0=1,,2", "a number (0-4294967295)"],
      ["0=1&&", "a number (0-4294967295)"],
      ["0=1 2", "&& or the end"],
      ["0x100000000=1", "a number (0-4294967295)"],
      ["0=1,2,3,4,5,6,7,8,9,10,11", "at most 10 values"],
      ["0&1&1&1&1&1&1&1&1&1&1=1", "at most 10 numbers before ="],
    ])
      expect(refusal(`-m u32 --u32 ${JSON.stringify(tests)}`).split(" | ")[1], tests).toBe(expected);
  });
});
