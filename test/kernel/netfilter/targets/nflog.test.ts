import { describe, expect, it } from "vitest";
import { bytesOf, udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, pool, refusal, targetOf } from "../one-rule.ts";

describe("the target NFLOG", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      "-j NFLOG",
      [
        '-j NFLOG --nflog-threshold 5 --nflog-group 3 --nflog-size 10 --nflog-prefix "a b"',
        '-j NFLOG --nflog-prefix "a b" --nflog-group 3 --nflog-size 10 --nflog-threshold 5',
      ],
      ["-j NFLOG --nflog-group 0 --nflog-threshold 0", "-j NFLOG"],
      ["-j NFLOG --nflog-range 7", "-j NFLOG"],
      "-j NFLOG --nflog-size 0",
    ]);
  });

  it("leaves the packet alone and goes on", () => {
    const packet = udpPacket(pool);
    const before = bytesOf(packet);
    expect(targetOf("-j NFLOG").apply(packet, contextOf())).toBe("CONTINUE");
    expect(bytesOf(packet)).toEqual(before);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j NFLOG --nflog-group 65536")).toBe('24 "65536" | a group (0-65535)');
    expect(refusal("-j NFLOG --nflog-size 4294967296")).toMatch(/^23 .* \| a number of bytes/);
    expect(refusal("-j NFLOG --nflog-threshold 65536")).toMatch(/^28 .* \| a number of packets/);
    expect(refusal('-j NFLOG --nflog-prefix ""')).toMatch(/^25 "" \| a prefix/);
  });
});
