import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, pool, refusal, targetOf } from "../one-rule.ts";

/** What REJECT asks the namespace to send. */
function answersTo(options: string): unknown[] {
  const sent: unknown[] = [];
  const context = contextOf("forward", {
    sendIcmpError: (_packet: unknown, type: number, code: number, information: number) =>
      sent.push([type, code, information]),
    sendTcpReset: (_packet: unknown, hook: string) => sent.push(hook),
  });
  expect(targetOf(`-p tcp -j REJECT ${options}`, { chain: "FORWARD" }).apply(udpPacket(pool), context)).toBe("DROP");
  return sent;
}

describe("the target REJECT", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-j REJECT", "-j REJECT --reject-with icmp-port-unreachable"],
      ["-j REJECT --reject-with icmp-port", "-j REJECT --reject-with icmp-port-unreachable"],
      ["-j REJECT --reject-with ADMIN-prohib", "-j REJECT --reject-with icmp-admin-prohibited"],
      ["-p 6 -j REJECT --reject-with tcp-rst", "-p tcp -j REJECT --reject-with tcp-reset"],
      "-j REJECT --reject-with icmp-host-prohibited",
    ]);
  });

  it.each([
    ["icmp-net-unreachable", 0],
    ["icmp-host-unreachable", 1],
    ["icmp-proto-unreachable", 2],
    ["icmp-port-unreachable", 3],
    ["icmp-net-prohibited", 9],
    ["icmp-host-prohibited", 10],
    ["icmp-admin-prohibited", 13],
  ])("answers %s with ICMP type 3 code %i and drops", (name, code) => {
    expect(answersTo(`--reject-with ${name}`)).toEqual([[3, code, 0]]);
  });

  it("answers tcp-reset with a reset and drops", () => {
    expect(answersTo("--reject-with tcp-reset")).toEqual(["forward"]);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j REJECT --reject-with tcp-reset")).toBe('25 "tcp-reset" | tcp-reset only in a rule with -p tcp');
    expect(refusal("! -p tcp -j REJECT --reject-with tcp-reset")).toMatch(/^34 "tcp-reset"/);
    expect(refusal("-j REJECT --reject-with echo-reply")).toMatch(/^25 "echo-reply" \| one of icmp-net-unreachable/);
  });
});
