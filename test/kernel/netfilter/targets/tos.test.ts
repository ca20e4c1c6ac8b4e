import { describe, expect, it } from "vitest";
import { NETWORK } from "../../../../src/packet/packet.ts";
import { tos } from "../../../../src/wire/ipv4.ts";
import { isIntact, tcpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, pool, refusal, targetOf } from "../one-rule.ts";

const MANGLE = { table: "mangle", chain: "FORWARD" } as const;

describe("the target TOS", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(
      [
        ["-j TOS --set-tos 0x1f", "-j TOS --set-tos 0x1f/0xff"],
        ["-j TOS --set-tos 16/63", "-j TOS --set-tos 0x10/0x3f"],
        ["-j TOS --set-tos Minimize-Delay", "-j TOS --set-tos 0x10/0x3f"],
        ["-j TOS --and-tos 0x12", "-j TOS --set-tos 0x00/0xed"],
        ["-j TOS --or-tos 0x12", "-j TOS --set-tos 0x12/0x12"],
        ["-j TOS --xor-tos 0x12", "-j TOS --set-tos 0x12/0x00"],
      ],
      MANGLE,
    );
  });

  it.each([
    ["--set-tos 0x10", 0x10],
    ["--set-tos Minimize-Delay", 0xd0],
    ["--and-tos 0x12", 0x02],
    ["--or-tos 0x10", 0xd2],
    ["--xor-tos 0xff", 0x3d],
  ])("makes of TOS 0xc2 by %s and keeps the checksum right", (options, expected) => {
    const packet = tcpPacket(pool, { tos: 0xc2 });
    expect(targetOf(`-j TOS ${options}`, MANGLE).apply(packet, contextOf())).toBe("CONTINUE");
    expect(tos(packet.view, NETWORK)).toBe(expected);
    expect(isIntact(packet)).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j TOS --set-tos 256", MANGLE)).toBe('18 "256" | a TOS byte (0-255)');
    expect(refusal("-j TOS --set-tos Minimize", MANGLE)).toMatch(/^18 "Minimize" \| a TOS byte/);
    expect(refusal("-j TOS --and-tos 0x12 --or-tos 1", MANGLE)).toBe('23 "--or-tos" | no --or-tos beside --and-tos');
    expect(refusal("-j TOS", MANGLE)).toMatch(/^4 "TOS" \| -j TOS with --set-tos/);
  });
});
