import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

const ask = (options: string, tos: number): boolean =>
  matchOf(`-m ${options}`).matches(udpPacket(pool, { tos }), contextOf());

describe("the matches tos and dscp", () => {
  it("are printed as the kernel's tools print them", () => {
    expectCanonical([
      ["-m tos --tos Minimize-Delay", "-m tos --tos 0x10/0x3f"],
      ["-m tos ! --tos 16", "-m tos ! --tos 0x10/0xff"],
      "-m tos --tos 0x0f/0x0f",
      ["-m dscp --dscp 10", "-m dscp --dscp 0x0a"],
      ["-m dscp ! --dscp-class af21", "-m dscp ! --dscp 0x12"],
    ]);
  });

  it("look at the byte in the header", () => {
    expect(ask("tos --tos 0x10", 0x10)).toBe(true);
    expect(ask("tos --tos 0x10", 0x11)).toBe(false);
    expect(ask("tos ! --tos 0x10", 0x11)).toBe(true);
    expect(ask("tos --tos Minimize-Delay", 0xd0)).toBe(true);
    expect(ask("dscp --dscp-class EF", 0xba)).toBe(true);
    expect(ask("dscp --dscp 0x2e", 0xb4)).toBe(false);
    expect(ask("dscp ! --dscp 0x2e", 0xb4)).toBe(true);
  });

  it("refuse what iptables refuses", () => {
    expect(refusal("-m tos --tos wrong")).toMatch(/^14 "wrong" \| a TOS byte/);
    expect(refusal("-m tos --tos 0x100")).toMatch(/^14 "0x100" \| a TOS byte/);
    expect(refusal("-m tos")).toBe('4 "tos" | -m tos with --tos');
    expect(refusal("-m dscp --dscp 0x40")).toBe('16 "0x40" | a DSCP value (0-63)');
    expect(refusal("-m dscp --dscp-class 8")).toMatch(/^22 "8" \| a class/);
    expect(refusal("-m dscp --dscp 0x3f --dscp-class CS0")).toBe('21 "--dscp-class" | no --dscp-class beside --dscp');
  });
});
