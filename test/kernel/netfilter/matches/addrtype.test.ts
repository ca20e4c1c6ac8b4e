import { describe, expect, it } from "vitest";
import type { Device } from "../../../../src/link/device.ts";
import { formatIpv4 } from "../../../../src/wire/address.ts";
import { udpPacket } from "../../../frames.ts";
import { contextOf, device, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

const eth0 = device("eth0", 1);
const addressType = (address: number, on: Device | null): string =>
  formatIpv4(address) !== "10.0.0.2" ? "UNICAST" : on === null || on === eth0 ? "LOCAL" : "UNICAST";

const matches = (options: string, input: Device | null = null): boolean => {
  const context = contextOf("input", { addressType });
  context.in = input;
  return matchOf(`-m addrtype ${options}`).matches(udpPacket(pool), context);
};

describe("the match addrtype", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      [
        "-m addrtype --src-type LOCAL,UNICAST,BROADCAST ! --dst-type MULTICAST --limit-iface-in",
        "-m addrtype --src-type UNICAST,LOCAL,BROADCAST ! --dst-type MULTICAST --limit-iface-in",
      ],
      ["-m addrtype --src-type local,LOCAL", "-m addrtype --src-type LOCAL"],
      "-m addrtype --dst-type UNSPEC,THROW,NAT,XRESOLVE",
    ]);
  });

  it("asks what the addresses mean", () => {
    expect(matches("--dst-type LOCAL")).toBe(true);
    expect(matches("--src-type LOCAL")).toBe(false);
    expect(matches("! --src-type LOCAL --dst-type LOCAL,BROADCAST")).toBe(true);
    expect(matches("--src-type LOCAL --dst-type LOCAL")).toBe(false);
    expect(matches("! --dst-type LOCAL")).toBe(false);
  });

  it("asks about the device alone when it is limited to it", () => {
    expect(matches("--dst-type LOCAL --limit-iface-in", eth0)).toBe(true);
    expect(matches("--dst-type LOCAL --limit-iface-in", device("eth1", 2))).toBe(false);
    expect(matches("--dst-type LOCAL", device("eth1", 2))).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m addrtype")).toBe('4 "addrtype" | -m addrtype with --src-type or --dst-type');
    expect(refusal("-m addrtype --src-type wrong")).toMatch(/^24 "wrong" \| an address type/);
    expect(refusal("-m addrtype --src-type LOCAL --limit-iface-out")).toBe(
      `30 "--limit-iface-out" | --limit-iface-out only in chains of one's own, or FORWARD, OUTPUT, POSTROUTING`,
    );
    expect(refusal("-m addrtype --limit-iface-in --limit-iface-out --src-type LOCAL")).toBe(
      '30 "--limit-iface-out" | no --limit-iface-out beside --limit-iface-in',
    );
    expect(refusal("-m addrtype --src-type LOCAL --limit-iface-in", { chain: "OUTPUT" })).toMatch(
      /^30 "--limit-iface-in"/,
    );
  });
});
