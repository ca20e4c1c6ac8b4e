import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match policy", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m policy --dir in", "-m policy --dir in --pol ipsec"],
      ["-m policy --dir in --pol none --reqid 1", "-m policy --dir in --pol none"],
      ["-m policy --dir in --pol ipsec --spi 0x10 --reqid 5", "-m policy --dir in --pol ipsec --reqid 5 --spi 0x10"],
      "-m policy --dir in --pol ipsec --strict ! --proto esp --next --proto ah",
      "-m policy --dir in --pol ipsec --strict --reqid 1 --spi 0x1 --proto esp --mode tunnel --tunnel-dst 10.0.0.0/8 --tunnel-src 10.0.0.0/8 --next --reqid 2",
    ]);
  });

  it("holds for none, for there is no IPsec", () => {
    expect(matchOf("-m policy --dir in --pol none").matches(udpPacket(pool), contextOf())).toBe(true);
    expect(matchOf("-m policy --dir in --pol ipsec").matches(udpPacket(pool), contextOf())).toBe(false);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m policy --pol none")).toBe('4 "policy" | -m policy with --dir');
    expect(refusal("-m policy --dir out --pol none")).toMatch(/^17 "out" \| out only in chains/);
    expect(refusal("-m policy --dir in --pol ipsec --strict")).toMatch(
      /with an element such as --proto esp for --strict$/,
    );
    expect(refusal("-m policy --dir in --pol ipsec --next --proto ah")).toBe('32 "--next" | --strict before --next');
    expect(refusal("-m policy --dir in --pol ipsec --proto tcp")).toBe('40 "tcp" | ah, esp or ipcomp');
    expect(refusal("-m policy --dir in --pol ipsec --tunnel-src 10.0.0.1")).toMatch(
      /--mode tunnel beside --tunnel-src$/,
    );
    expect(refusal("-m policy --dir in --reqid 1 --reqid 2")).toMatch(/ \| --reqid once before --next$/);
  });
});
