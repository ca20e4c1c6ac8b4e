import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { attached, expectCanonical, flow, pool, refusal } from "../one-rule.ts";

const mode = (name: string, direction: string): string => `--connbytes-mode ${name} --connbytes-dir ${direction}`;

function ask(options: string): boolean {
  const connection = flow();
  connection.packets[0] = 3;
  connection.packets[1] = 1;
  connection.bytes[0] = 300;
  connection.bytes[1] = 1000;
  const packet = udpPacket(pool);
  packet.connection = connection;
  return attached([`-m connbytes ${options}`], {}, { sysctls: new Map() }).ask(packet)[0]!;
}

describe("the match connbytes", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      `-m connbytes --connbytes 0:1000 ${mode("packets", "original")}`,
      [
        `-m connbytes ! --connbytes 1: ${mode("avgpkt", "reply")}`,
        `-m connbytes ! --connbytes 1 ${mode("avgpkt", "reply")}`,
      ],
      [`-m connbytes --connbytes : ${mode("bytes", "both")}`, `-m connbytes --connbytes 0 ${mode("bytes", "both")}`],
    ]);
  });

  it.each([
    ["3", "packets", "original", true],
    ["4", "packets", "original", false],
    ["4:4", "packets", "both", true],
    ["0:299", "bytes", "original", false],
    ["1000:1000", "bytes", "reply", true],
    ["325:325", "avgpkt", "both", true],
  ])("%s %s %s is %s", (range, what, direction, expected) => {
    expect(ask(`--connbytes ${range} ${mode(what, direction)}`)).toBe(expected);
    expect(ask(`! --connbytes ${range} ${mode(what, direction)}`)).toBe(!expected);
  });

  it("turns accounting on, and does not match what is not tracked", () => {
    const sysctls = new Map<string, number>();
    const { ask: answer } = attached([`-m connbytes ! --connbytes 9 ${mode("bytes", "both")}`], {}, { sysctls });
    expect(sysctls.get("net.netfilter.nf_conntrack_acct")).toBe(1);
    expect(answer(udpPacket(pool))).toEqual([false]);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m connbytes --connbytes 0:1000 --connbytes-dir original")).toMatch(/with --connbytes-mode$/);
    expect(refusal("-m connbytes --connbytes 0:1000 --connbytes-mode packets")).toMatch(/with --connbytes-dir$/);
    expect(refusal(`-m connbytes --connbytes 1000:0 ${mode("packets", "both")}`)).toMatch(
      / \| a range whose first count/,
    );
    expect(refusal(`-m connbytes --connbytes -1:0 ${mode("packets", "both")}`)).toMatch(/ "-1" \| a count/);
    expect(refusal(`-m connbytes --connbytes 0:18446744073709551616 ${mode("packets", "both")}`)).toMatch(
      / \| a count/,
    );
    expect(refusal(`-m connbytes --connbytes 0:1 ${mode("wrong", "both")}`)).toMatch(/ "wrong" \| one of packets/);
  });
});
