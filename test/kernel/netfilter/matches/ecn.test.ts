import { describe, expect, it } from "vitest";
import * as tcp from "../../../../src/wire/tcp.ts";
import { tcpPacket, udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match ecn", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      "-m ecn ! --ecn-ip-ect 0",
      [
        "-p tcp -m ecn --ecn-ip-ect 0x2 ! --ecn-tcp-cwr --ecn-tcp-ece",
        "-p tcp -m ecn --ecn-tcp-ece ! --ecn-tcp-cwr --ecn-ip-ect 2",
      ],
    ]);
  });

  it("compares the two bits of the IP header", () => {
    const asks = (rule: string, tos: number) =>
      matchOf(`-m ecn ${rule}`).matches(udpPacket(pool, { tos }), contextOf());
    expect([0, 1, 2, 3, 18].map((tos) => asks("--ecn-ip-ect 2", tos))).toEqual([false, false, true, false, true]);
    expect([0, 2].map((tos) => asks("! --ecn-ip-ect 2", tos))).toEqual([true, false]);
  });

  it("asks for all bits of the TCP header that are named", () => {
    const asks = (rule: string, flags: number) =>
      matchOf(`-p tcp -m ecn ${rule}`).matches(tcpPacket(pool, { flags }), contextOf());
    const both = tcp.SYN | tcp.ECE | tcp.CWR;
    expect([tcp.SYN, tcp.ECE, both].map((flags) => asks("--ecn-tcp-ece", flags))).toEqual([false, true, true]);
    expect([tcp.SYN, tcp.ECE, both].map((flags) => asks("--ecn-tcp-ece ! --ecn-tcp-cwr", flags))).toEqual([
      false,
      true,
      false,
    ]);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m ecn")).toBe('4 "ecn" | -m ecn with one of its options');
    expect(refusal("-p udp -m ecn --ecn-tcp-cwr")).toMatch(/^11 "ecn" \| -p tcp in a rule/);
    expect(refusal("-m ecn --ecn-ip-ect 4")).toBe('21 "4" | an ECN field (0-3)');
  });
});
