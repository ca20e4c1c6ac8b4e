import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match helper", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      "-m helper ! --helper ftp-2121",
      [`-m helper --helper ${"a".repeat(40)}`, `-m helper --helper ${"a".repeat(29)}`],
    ]);
  });

  it("never holds, for no connection has a helper, and always does inverted", () => {
    expect(matchOf("-m helper --helper ftp").matches(udpPacket(pool), contextOf())).toBe(false);
    expect(matchOf("-m helper ! --helper ftp").matches(udpPacket(pool), contextOf())).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m helper")).toBe('4 "helper" | -m helper with --helper');
  });
});
