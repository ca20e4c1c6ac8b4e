import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match comment", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ['-m comment --comment "a"', "-m comment --comment a"],
      ["-m comment --comment a.b", '-m comment --comment "a.b"'],
      ["-m comment --comment !", '-m comment --comment "!"'],
      ["-m comment --comment a\\b", '-m comment --comment "a\\\\b"'],
      ['-m comment --comment "hello \\"world\' x"', '-m comment --comment "hello \\"world\\\' x"'],
      "-m comment --comment x -m comment --comment y",
      '-m comment --comment ""',
      '-m comment --comment "-j DROP"',
    ]);
  });

  it("always matches", () => {
    expect(matchOf("-m comment --comment x").matches(udpPacket(pool), contextOf())).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m comment -j ACCEPT")).toBe('4 "comment" | -m comment with --comment');
    expect(refusal("-m comment --comment")).toBe("21 the end of the line | a value for --comment");
    expect(refusal("-m comment ! --comment a")).toBe('14 "--comment" | an option that can be inverted');
    expect(refusal(`-m comment --comment ${"x".repeat(256)}`)).toMatch(/a comment of at most 255 characters$/);
  });
});
