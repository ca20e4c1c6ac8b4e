import { describe, expect, it } from "vitest";
import { bytesOf, udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, pool, refusal, targetOf } from "../one-rule.ts";

const MANGLE = { table: "mangle", chain: "PREROUTING" } as const;

describe("the target TPROXY", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(
      [
        ["-p tcp -j TPROXY --on-port 80", "-p tcp -j TPROXY --on-port 80 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0"],
        [
          "-p tcp -j TPROXY --on-port 80 --tproxy-mark 5",
          "-p tcp -j TPROXY --on-port 80 --on-ip 0.0.0.0 --tproxy-mark 0x5/0xffffffff",
        ],
        "-p udp -j TPROXY --on-port 12345 --on-ip 10.0.0.1 --tproxy-mark 0x23/0xff",
      ],
      MANGLE,
    );
  });

  // Measured on Linux 6.18 with a socket on the port that is not transparent.
  it("drops, for no program has a transparent socket", () => {
    const packet = udpPacket(pool);
    const before = bytesOf(packet);
    expect(
      targetOf("-p udp -j TPROXY --on-port 53 --tproxy-mark 1", MANGLE).apply(packet, contextOf("prerouting")),
    ).toBe("DROP");
    expect([packet.mark, bytesOf(packet)]).toEqual([0, before]);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j TPROXY --on-port 1", MANGLE)).toMatch(
      /^4 "TPROXY" \| TPROXY only in a rule with -p tcp or -p udp$/,
    );
    expect(refusal("-p tcp -j TPROXY --on-ip 1.1.1.1", MANGLE)).toMatch(/with --on-port$/);
    expect(refusal("-p tcp -j TPROXY --on-port 80")).toBe('11 "TPROXY" | TPROXY only in table mangle');
    expect(refusal("-p tcp -j TPROXY --on-port 80", { table: "mangle", chain: "INPUT" })).toMatch(
      /reached from PREROUTING$/,
    );
  });
});
