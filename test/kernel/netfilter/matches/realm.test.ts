import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match realm", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m realm --realm 256", "-m realm --realm 0x100"],
      ["-m realm --realm 0", "-m realm --realm cosmos"],
      ["-m realm ! --realm cosmos/255", "-m realm ! --realm 0x0/0xff"],
    ]);
  });

  it("finds no route in a realm", () => {
    const asks = (rule: string) => matchOf(`-m realm ${rule}`).matches(udpPacket(pool), contextOf());
    expect(["--realm 5", "! --realm 5", "--realm 0", "! --realm 0"].map(asks)).toEqual([false, true, true, false]);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m realm")).toBe('4 "realm" | -m realm with --realm');
    expect(refusal("-m realm --realm inr.ac")).toMatch(/^18 "inr.ac" \| a realm/);
    expect(refusal("-m realm --realm 1/x")).toMatch(/^20 "x" \| a mask/);
    expect(refusal("-m realm --realm 1", { table: "mangle", chain: "PREROUTING" })).toMatch(/^4 "realm"/);
  });
});
