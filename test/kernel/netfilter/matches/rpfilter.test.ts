import { describe, expect, it } from "vitest";
import { Fib, Route } from "../../../../src/kernel/fib.ts";
import type { InDevice } from "../../../../src/kernel/in-device.ts";
import { parseIpv4 } from "../../../../src/wire/address.ts";
import { udpPacket } from "../../../frames.ts";
import { attached, device, expectCanonical, pool, refusal } from "../one-rule.ts";

const MANGLE = { table: "mangle", chain: "PREROUTING" } as const;
const [near, far] = [device("eth0", 2), device("eth1", 3)];
const fib = new Fib();
const add = (network: string, length: number, to: typeof near, type: "unicast" | "local" = "unicast") =>
  fib.add(
    new Route({
      type,
      destination: parseIpv4(network),
      length,
      device: { device: to } as InDevice,
      ...(type === "local" ? { table: 255 } : {}),
    }),
  );
add("10.0.0.0", 24, near);
add("10.1.0.0", 24, far);
add("10.0.0.2", 32, near, "local");

function ask(options: string, source: string): boolean {
  const { ask: answer, context } = attached([`-m rpfilter ${options}`], MANGLE, {
    fib,
    loopback: { device: { index: 1 } },
  });
  context.in = near;
  return answer(udpPacket(pool, { source }))[0]!;
}

describe("the match rpfilter", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(["-m rpfilter", "-m rpfilter --loose --validmark --accept-local --invert"], MANGLE);
  });

  it.each([
    ["", "10.0.0.9", true],
    ["", "10.1.0.9", false],
    ["--invert", "10.1.0.9", true],
    ["--loose", "10.1.0.9", true],
    ["", "10.9.0.9", false],
    ["--loose", "10.9.0.9", false],
    ["", "10.0.0.2", false],
    ["--accept-local", "10.0.0.2", true],
  ])("asks whether an answer would leave there: %s from %s is %s", (options, source, expected) => {
    expect(ask(options, source)).toBe(expected);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m rpfilter")).toMatch(/with a place in table mangle or raw$/);
    expect(refusal("-m rpfilter", { table: "mangle" })).toMatch(
      / \| rpfilter only in chains that are reached from PREROUTING$/,
    );
  });
});
