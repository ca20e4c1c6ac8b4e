import { describe, expect, it } from "vitest";
import { icmpPacket, rawPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match icmp", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-p icmp --icmp-type echo-request", "-p icmp -m icmp --icmp-type 8"],
      ["-p icmp --icmp-type echo-req", "-p icmp -m icmp --icmp-type 8"],
      ["-p icmp --icmp-type TOS-host-redirect", "-p icmp -m icmp --icmp-type 5/3"],
      ["-p icmp --icmp-type 8/0:255", "-p icmp -m icmp --icmp-type 8"],
      ["-p icmp ! --icmp-type 255/4", "-p icmp -m icmp ! --icmp-type any"],
      "-p icmp -m icmp --icmp-type 3/4",
      "-p icmp -m icmp --icmp-type any",
    ]);
  });

  it.each([
    ["--icmp-type 3", true],
    ["--icmp-type 3/4", true],
    ["--icmp-type 3/3", false],
    ["--icmp-type 3/2:5", true],
    ["! --icmp-type 3", false],
    ["! --icmp-type 8", true],
    ["--icmp-type any", true],
    ["! --icmp-type any", false],
  ])("looks at type and code: %s", (options, expected) => {
    expect(matchOf(`-p icmp ${options}`).matches(icmpPacket(pool, { type: 3, code: 4 }), contextOf())).toBe(expected);
  });

  it("does not match later fragments and drops a message without type and code", () => {
    const context = contextOf();
    const match = matchOf("-p icmp --icmp-type any");
    expect(match.matches(rawPacket(pool, 1, [8, 0, 0, 0], { fragment: 1 }), context)).toBe(false);
    expect(context.hotdrop).toBe(false);
    expect(match.matches(rawPacket(pool, 1, [8, 0, 0]), context)).toBe(false);
    expect(context.hotdrop).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-p icmp -m icmp")).toBe('12 "icmp" | -m icmp with --icmp-type');
    expect(refusal("-p icmp --icmp-type 256")).toBe('21 "256" | an ICMP type (0-255)');
    expect(refusal("-p icmp --icmp-type 8/256")).toBe('23 "256" | an ICMP code (0-255)');
    expect(refusal("-p icmp --icmp-type nonsense")).toMatch(/^21 "nonsense" \| an ICMP type/);
    expect(refusal("-m icmp --icmp-type 8")).toBe('4 "icmp" | -p icmp in a rule with the match icmp');
  });
});
