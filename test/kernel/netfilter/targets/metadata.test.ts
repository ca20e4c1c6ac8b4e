import { describe, expect, it } from "vitest";
import { bytesOf, udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, type Place, pool, refusal, targetOf } from "../one-rule.ts";

const MANGLE: Place = { table: "mangle", chain: "FORWARD" };
const RAW: Place = { table: "raw", chain: "PREROUTING" };

describe("the target CLASSIFY", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([["-j CLASSIFY --set-class 1:ABC", "-j CLASSIFY --set-class 0001:0abc"]], MANGLE);
  });

  it("sets the packet's priority", () => {
    const packet = udpPacket(pool);
    expect(targetOf("-j CLASSIFY --set-class 1:10", MANGLE).apply(packet, contextOf())).toBe("CONTINUE");
    expect(packet.priority).toBe(0x0001_0010);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j CLASSIFY --set-class 1", MANGLE)).toMatch(/^25 "1" \| a class such as 1:10/);
    expect(refusal("-j CLASSIFY", MANGLE)).toBe('4 "CLASSIFY" | -j CLASSIFY with --set-class');
    expect(refusal("-j CLASSIFY --set-class 1:1")).toMatch(/^4 "CLASSIFY" \| CLASSIFY only in chains/);
  });
});

describe("the targets TRACE and CHECKSUM", () => {
  it("are printed as the kernel's tools print them", () => {
    expectCanonical(["-j TRACE"], RAW);
    expectCanonical(["-j CHECKSUM --checksum-fill"], MANGLE);
  });

  it.each<[string, Place]>([
    ["-j TRACE", RAW],
    ["-j CHECKSUM --checksum-fill", MANGLE],
  ])("leave the packet alone and go on: %s", (rule, place) => {
    const packet = udpPacket(pool);
    const before = bytesOf(packet);
    expect(targetOf(rule, place).apply(packet, contextOf())).toBe("CONTINUE");
    expect(bytesOf(packet)).toEqual(before);
  });

  it("refuse what iptables refuses", () => {
    expect(refusal("-j CHECKSUM", MANGLE)).toBe('4 "CHECKSUM" | -j CHECKSUM with --checksum-fill');
    expect(refusal("-j CHECKSUM --checksum-fill")).toBe('4 "CHECKSUM" | CHECKSUM only in table mangle');
  });
});
