import { describe, expect, it } from "vitest";
import { parseRules } from "../../../../src/kernel/netfilter/rule-text.ts";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match socket", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      [
        "-m socket --nowildcard --restore-skmark --transparent",
        "-m socket --transparent --nowildcard --restore-skmark",
      ],
    ]);
    const [table] = parseRules("*filter\n-A INPUT -m socket --nowildcard\nCOMMIT\n", "f", { lenient: true });
    expect(table!.chains.get("INPUT")!.rules[0]!.text).toBe("-m socket --nowildcard");
  });

  it("finds no transparent socket, for no program has one", () => {
    expect(matchOf("-m socket --transparent").matches(udpPacket(pool), contextOf())).toBe(false);
  });

  it("refuses what iptables refuses and what is not modelled", () => {
    expect(refusal("-m socket")).toBe('4 "socket" | -m socket with --transparent');
    expect(refusal("-m socket --transparent", { chain: "FORWARD" })).toMatch(
      / \| socket only in chains that are reached from PREROUTING, INPUT$/,
    );
  });
});
