import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, device, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

const ports = [null, device("veth1", 1), device("eth0", 2)];

function matches(options: string, bridgeIn: number, bridgeOut: number): boolean {
  const packet = udpPacket(pool);
  packet.bridgeIn = bridgeIn;
  packet.bridgeOut = bridgeOut;
  const context = contextOf("forward", { deviceByIndex: (index: number) => ports[index] ?? null });
  return matchOf(`-m physdev ${options}`, { chain: "FORWARD" }).matches(packet, context);
}

describe("the match physdev", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m physdev --physdev-in eth0 --physdev-is-in", "-m physdev --physdev-is-in --physdev-in eth0"],
      [
        "-m physdev ! --physdev-is-bridged --physdev-in eth+ ! --physdev-out veth1 --physdev-is-in --physdev-is-out",
        "-m physdev --physdev-is-in --physdev-in eth+ --physdev-is-out ! --physdev-out veth1 ! --physdev-is-bridged",
      ],
    ]);
  });

  it.each([
    ["--physdev-is-bridged", true],
    ["! --physdev-is-bridged", false],
    ["--physdev-is-in --physdev-is-out", true],
    ["--physdev-in veth1 --physdev-out eth0", true],
    ["--physdev-in veth+", true],
    ["! --physdev-in veth+", false],
    ["--physdev-in eth0", false],
    ["! --physdev-out eth0", false],
    ["! --physdev-out veth1", true],
  ])("looks at the ports of a bridged packet: %s", (options, expected) => {
    expect(matches(options, 1, 2)).toBe(expected);
  });

  it.each([
    ["--physdev-in veth1", true],
    ["--physdev-is-bridged", false],
    ["--physdev-is-out", false],
    ["! --physdev-is-out", true],
    ["--physdev-out eth0", false],
    ["! --physdev-out eth0", false],
    ["! --physdev-in eth0", true],
  ])("looks at a packet that a bridge passed up: %s", (options, expected) => {
    expect(matches(options, 1, 0)).toBe(expected);
  });

  it.each([
    ["--physdev-in veth1", false],
    ["! --physdev-in veth1", true],
    ["--physdev-is-in", false],
    ["! --physdev-is-bridged ! --physdev-out eth0", true],
    ["! --physdev-is-bridged --physdev-out eth0", false],
  ])("matches a packet that no bridge touched only where all is inverted: %s", (options, expected) => {
    expect(matches(options, 0, 0)).toBe(expected);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m physdev")).toBe('4 "physdev" | -m physdev with at least one option');
    expect(refusal("-m physdev --physdev-in thisnameistoolongx")).toMatch(/^25 "thisnameistoolongx" \| a device name/);
  });
});
