import { describe, expect, it } from "vitest";
import { expectCanonical, refusal } from "../one-rule.ts";

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

  // What it does stands in the case transparent-sockets, held against the kernel.
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
