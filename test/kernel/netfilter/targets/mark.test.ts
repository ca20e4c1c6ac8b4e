import { describe, expect, it } from "vitest";
import { STEP, wordNumber } from "../../../../src/trace/step.ts";
import { bytesOf, udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, pool, refusal, targetOf } from "../one-rule.ts";

const MANGLE = { table: "mangle", chain: "FORWARD" } as const;

describe("the target MARK", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(
      [
        ["-j MARK --set-mark 16", "-j MARK --set-xmark 0x10/0xffffffff"],
        ["-j MARK --set-mark 0xf0/0x0f", "-j MARK --set-xmark 0xf0/0xff"],
        ["-j MARK --or-mark 0x10", "-j MARK --set-xmark 0x10/0x10"],
        ["-j MARK --and-mark 0x10", "-j MARK --set-xmark 0x0/0xffffffef"],
        ["-j MARK --xor-mark 0x10", "-j MARK --set-xmark 0x10/0x0"],
        "-j MARK --set-xmark 0xfeedcafe/0xfeedcafe",
      ],
      MANGLE,
    );
  });

  it.each([
    ["--set-mark 0x5", 0x5],
    ["--set-mark 0x5/0xf", 0x125],
    ["--set-xmark 0x5/0x0", 0x126],
    ["--or-mark 0x8", 0x12b],
    ["--and-mark 0xf0", 0x20],
    ["--xor-mark 0x123", 0],
    ["--set-mark 0xffffffff", -1],
  ])("makes of mark 0x123 by %s", (options, expected) => {
    const packet = udpPacket(pool);
    const before = bytesOf(packet);
    packet.mark = 0x123;
    expect(targetOf(`-j MARK ${options}`, MANGLE).apply(packet, contextOf())).toBe("CONTINUE");
    expect(packet.mark).toBe(expected);
    expect(bytesOf(packet)).toEqual(before);
  });

  it("tells the trace what changed, and nothing where nothing did", () => {
    const steps: number[][] = [];
    const trace = { step: (...step: number[]) => steps.push(step) };
    const context = contextOf("forward", { fabric: { trace, scheduler: { now: 0 } }, place: 7 });
    const packet = udpPacket(pool);
    const target = targetOf("-j MARK --set-mark 5", MANGLE);
    target.apply(packet, context);
    target.apply(packet, context);
    expect(steps).toEqual([[STEP.set, packet.id, 7, wordNumber("field", "mark"), 0, 5]]);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j MARK")).toBe('4 "MARK" | -j MARK with --set-mark or another change of the mark');
    expect(refusal("-j MARK --set-mark 0x1ffffffff")).toBe('20 "0x1ffffffff" | a mark (0-4294967295)');
    expect(refusal("-j MARK --set-mark 1 --or-mark 3")).toBe('22 "--or-mark" | no --or-mark beside --set-mark');
    expect(refusal("-j MARK --set-mark 1 --set-mark 2")).toBe('22 "--set-mark" | --set-mark once');
  });
});
