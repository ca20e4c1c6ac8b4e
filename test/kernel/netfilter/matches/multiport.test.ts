import { describe, expect, it } from "vitest";
import { rawPacket, tcpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match multiport", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-p tcp -m multiport ! --dports 1,2:3,http", "-p tcp -m multiport ! --dports 1,2:3,80"],
      ["-p tcp -m multiport --destination-ports 80", "-p tcp -m multiport --dports 80"],
      ["-p tcp -m multiport --sport 80", "-p tcp -m multiport --sports 80"],
      "-p udplite -m multiport --ports 1,2,3,4,6,7,8,9,10,11,12,13,14,15,16",
    ]);
  });

  it.each([
    ["--dports 22,80", true],
    ["--dports 22,81:90", false],
    ["--dports 70:80", true],
    ["--sports 80", false],
    ["--sports 5000", true],
    ["--ports 80", true],
    ["--ports 5000", true],
    ["--ports 22", false],
    ["! --dports 22,80", false],
    ["! --dports 22", true],
  ])("looks at the ports: %s", (options, expected) => {
    expect(matchOf(`-p tcp -m multiport ${options}`).matches(tcpPacket(pool), contextOf())).toBe(expected);
  });

  it("does not match later fragments, not even inverted, and drops a packet without ports", () => {
    const context = contextOf();
    const match = matchOf("-p tcp -m multiport ! --dports 22");
    expect(match.matches(rawPacket(pool, 6, new Array(16).fill(0), { fragment: 4 }), context)).toBe(false);
    expect(context.hotdrop).toBe(false);
    expect(match.matches(rawPacket(pool, 6, [0, 80, 0]), context)).toBe(false);
    expect(context.hotdrop).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-p tcp -m multiport --dports 5:4")).toMatch(/^30 "5:4" \| a port range/);
    expect(refusal("-p tcp -m multiport --dports 5,")).toBe('32 "" | a port (0-65535 or a service name)');
    expect(refusal("-p tcp -m multiport --dports 1:2,3:4,5:6,7:8,9:10,11:12,13:14,15:16")).toBe(
      '63 "15:16" | no more than 15 ports (a range counts as two)',
    );
    expect(refusal("-p tcp -m multiport --dports 80 --sports 90")).toBe('33 "--sports" | no --sports beside --dports');
    expect(refusal("-p icmp -m multiport --dports 80")).toMatch(/^12 "multiport" \| -p tcp, udp/);
    expect(refusal("! -p tcp -m multiport --dports 80")).toMatch(/^13 "multiport" \| -p tcp, udp/);
    expect(refusal("-p tcp -m multiport")).toBe('11 "multiport" | -m multiport with --sports, --dports or --ports');
  });
});
