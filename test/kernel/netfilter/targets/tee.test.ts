import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, device, expectCanonical, pool, refusal, targetOf } from "../one-rule.ts";

describe("the target TEE", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      "-j TEE --gateway 10.0.0.1",
      ["-j TEE --oif eth0 --gateway 1.1.1.1", "-j TEE --gateway 1.1.1.1 --oif eth0"],
    ]);
  });

  it("asks for a copy and goes on", () => {
    const asked: unknown[] = [];
    const net = {
      duplicate: (...what: unknown[]) => asked.push(what),
      device: (name: string) => (name === "eth0" ? device("eth0", 7) : null),
    };
    const packet = udpPacket(pool);
    const context = contextOf("input", net);
    for (const oif of ["", " --oif eth0", " --oif eth9"])
      expect(targetOf(`-j TEE --gateway 0.0.1.1${oif}`).apply(packet, context)).toBe("CONTINUE");
    expect(asked).toEqual([0, 7, 0].map((index) => [packet, "input", 257, index]));
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j TEE")).toBe('4 "TEE" | -j TEE with --gateway');
    expect(refusal("-j TEE --gateway 0.0.0.0")).toBe('18 "0.0.0.0" | an address other than 0.0.0.0');
    expect(refusal("-j TEE ! --gateway 1.1.1.1")).toBe('10 "--gateway" | an option that can be inverted');
  });
});
