import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, flow, pool, refusal, targetOf } from "../one-rule.ts";

const MANGLE = { table: "mangle", chain: "FORWARD" } as const;

describe("the target CONNMARK", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(
      [
        ["-j CONNMARK --set-mark 0xf0/0x0f", "-j CONNMARK --set-xmark 0xf0/0xff"],
        ["-j CONNMARK --set-mark 1 --mask 0xf0", "-j CONNMARK --set-xmark 0x1/0xf0"],
        ["-j CONNMARK --and-mark 0x10", "-j CONNMARK --set-xmark 0x0/0xffffffef"],
        "-j CONNMARK --set-xmark 0x1/0x2 --right-shift-mark 2",
        ["-j CONNMARK --save-mark", "-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff"],
        ["-j CONNMARK --save-mark --mask 0xf0", "-j CONNMARK --save-mark --nfmask 0xf0 --ctmask 0xf0"],
        ["-j CONNMARK --restore-mark --nfmask 0xf0", "-j CONNMARK --restore-mark --nfmask 0xf0 --ctmask 0xffffffff"],
      ],
      MANGLE,
    );
  });

  it.each([
    ["--set-mark 0x7", 0x12, 0x7],
    ["--set-xmark 0x1/0xf0", 0x12, 0x05],
    ["--or-mark 0x8", 0x12, 0x3c],
    ["--save-mark", 0x12, 0x12],
    ["--save-mark --mask 0xf", 0x12, 0x32],
    ["--save-mark --nfmask 0xf0 --ctmask 0x0f", 0x12, 0x20],
    ["--restore-mark", 0x34, 0x34],
    ["--restore-mark --mask 0xf0", 0x32, 0x34],
    ["--restore-mark --nfmask 0xff --ctmask 0x0f", 0x04, 0x34],
    ["--set-mark 0x5 --left-shift-mark 4", 0x12, 0x50],
    ["--set-xmark 0x1/0xf0 --right-shift-mark 2", 0x12, 0x01],
    ["--save-mark --mask 0xff --left-shift-mark 30", 0x12, -0x80000000],
    ["--restore-mark --nfmask 0xff --right-shift-mark 2", 0x0d, 0x34],
  ])("makes of packet mark 0x12 and connection mark 0x34 by %s", (options, packetMark, connectionMark) => {
    const packet = udpPacket(pool);
    const connection = flow();
    packet.mark = 0x12;
    connection.mark = 0x34;
    packet.connection = connection;
    expect(targetOf(`-j CONNMARK ${options}`, MANGLE).apply(packet, contextOf())).toBe("CONTINUE");
    expect([packet.mark, connection.mark]).toEqual([packetMark, connectionMark]);
  });

  it("does nothing to a packet without connection", () => {
    const packet = udpPacket(pool);
    packet.mark = 0x12;
    expect(targetOf("-j CONNMARK --restore-mark", MANGLE).apply(packet, contextOf())).toBe("CONTINUE");
    expect(packet.mark).toBe(0x12);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j CONNMARK --nfmask 1")).toMatch(/^4 "CONNMARK" \| -j CONNMARK with --set-mark, --save-mark/);
    expect(refusal("-j CONNMARK --save-mark --restore-mark")).toBe(
      '25 "--restore-mark" | no --restore-mark beside --save-mark',
    );
    expect(refusal("-j CONNMARK --restore-mark --mask 1 --nfmask 1")).toBe('37 "--nfmask" | no --nfmask beside --mask');
    expect(refusal("-j CONNMARK --restore-mark --right-shift-mark 32")).toBe('47 "32" | a number of bits (0-31)');
  });
});
