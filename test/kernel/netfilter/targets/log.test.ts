import { describe, expect, it } from "vitest";
import { bytesOf, udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, pool, refusal, targetOf } from "../one-rule.ts";

describe("the target LOG", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      [
        '-j LOG --log-uid --log-prefix "a b" --log-level info --log-ip-options --log-macdecode --log-tcp-options --log-tcp-sequence',
        '-j LOG --log-prefix "a b" --log-level 6 --log-tcp-sequence --log-tcp-options --log-ip-options --log-uid --log-macdecode',
      ],
      ["-j LOG --log-level warning --log-prefix abc", "-j LOG --log-prefix abc"],
      [`-j LOG --log-prefix ${"a".repeat(36)}`, `-j LOG --log-prefix ${"a".repeat(29)}`],
      ["-j LOG --log-level panic", "-j LOG --log-level 0"],
      "-j LOG",
    ]);
  });

  it("leaves the packet alone and goes on", () => {
    const packet = udpPacket(pool);
    const before = bytesOf(packet);
    expect(targetOf("-j LOG").apply(packet, contextOf())).toBe("CONTINUE");
    expect(bytesOf(packet)).toEqual(before);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j LOG --log-level bad")).toMatch(/^20 "bad" \| a log level/);
    expect(refusal("-j LOG --log-level 9")).toMatch(/^20 "9" \| a log level/);
    expect(refusal('-j LOG --log-prefix ""')).toBe('21 "" | a prefix of 1 to 29 characters');
  });
});
