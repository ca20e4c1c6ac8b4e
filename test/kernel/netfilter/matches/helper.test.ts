import { describe, expect, it } from "vitest";
import { FtpHelper } from "../../../../src/kernel/conntrack/ftp.ts";
import type { Packet } from "../../../../src/packet/packet.ts";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, flow, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match helper", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      "-m helper ! --helper ftp-2121",
      [`-m helper --helper ${"a".repeat(40)}`, `-m helper --helper ${"a".repeat(29)}`],
    ]);
  });

  it("holds for flows that one with the helper announced", () => {
    const asks = (rule: string, packet: Packet) => matchOf(`-m helper ${rule}`).matches(packet, contextOf());
    const plain = udpPacket(pool);
    const announced = udpPacket(pool);
    const connection = flow();
    announced.connection = connection;
    connection.master = flow();
    expect(asks("--helper ftp", announced)).toBe(false);
    connection.master.helper = new FtpHelper();
    const rules = [
      "--helper ftp",
      "--helper ftp-2121",
      "--helper sip",
      '--helper ""',
      "! --helper ftp",
      "! --helper sip",
    ];
    expect(rules.map((rule) => asks(rule, announced))).toEqual([true, true, false, true, false, true]);
    expect(rules.map((rule) => asks(rule, plain))).toEqual([false, false, false, false, true, true]);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m helper")).toBe('4 "helper" | -m helper with --helper');
  });
});
