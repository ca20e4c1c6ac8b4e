import { describe, expect, it } from "vitest";
import { NETWORK } from "../../../../src/packet/packet.ts";
import { tos } from "../../../../src/wire/ipv4.ts";
import { isIntact, tcpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, pool, refusal, targetOf } from "../one-rule.ts";

const MANGLE = { table: "mangle", chain: "FORWARD" } as const;

describe("the target DSCP", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(
      [
        ["-j DSCP --set-dscp 10", "-j DSCP --set-dscp 0x0a"],
        ["-j DSCP --set-dscp-class AF11", "-j DSCP --set-dscp 0x0a"],
        ["-j DSCP --set-dscp-class af43", "-j DSCP --set-dscp 0x26"],
        ["-j DSCP --set-dscp-class CS3", "-j DSCP --set-dscp 0x18"],
        ["-j DSCP --set-dscp-class EF", "-j DSCP --set-dscp 0x2e"],
        ["-j DSCP --set-dscp-class BE", "-j DSCP --set-dscp 0x00"],
      ],
      MANGLE,
    );
  });

  it("sets the upper six bits, keeps the two of ECN and the checksum right", () => {
    const packet = tcpPacket(pool, { tos: 0x13 });
    expect(targetOf("-j DSCP --set-dscp-class EF", MANGLE).apply(packet, contextOf())).toBe("CONTINUE");
    expect(tos(packet.view, NETWORK)).toBe(0xbb);
    expect(isIntact(packet)).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j DSCP --set-dscp 0x40", MANGLE)).toBe('20 "0x40" | a DSCP value (0-63)');
    expect(refusal("-j DSCP --set-dscp-class LE", MANGLE)).toMatch(/^26 "LE" \| a class/);
    expect(refusal("-j DSCP --set-dscp 1 --set-dscp-class CS0", MANGLE)).toMatch(/^22 "--set-dscp-class" \| no/);
    expect(refusal("-j DSCP", MANGLE)).toBe('4 "DSCP" | -j DSCP with --set-dscp or --set-dscp-class');
  });
});
