import { describe, expect, it } from "vitest";
import { canonical, knownNumbers } from "../../../src/cli/oracle/canonical.ts";
import { compare, formatDifference } from "../../../src/cli/oracle/difference.ts";
import { isDraw } from "../../../src/cli/oracle/verification.ts";
import type { LabCase, LabFrame, LabResult } from "../../../src/scenario/lab-case.ts";
import { formatHex, frameBytes, type IpSpec, type PacketSpec } from "../../../src/scenario/lab-packet.ts";

const ETHERNET = { src: "02:00:00:00:00:01", dst: "02:00:00:00:00:02" };
const LAB: LabCase = { namespaces: { a: {} }, steps: [{ op: "raw", ns: "a" }] };

const hexOf = (packet: PacketSpec, eth = ETHERNET): string => formatHex(frameBytes({ eth, ...packet }));
const udp = (sport: number, ip: Partial<IpSpec> = {}): string =>
  hexOf({ ip: { src: "10.0.0.1", dst: "10.0.0.2", ...ip }, udp: { sport, dport: 53, size: 4 } });

function result(frames: readonly Partial<LabFrame>[]): LabResult {
  const whole = frames.map((frame): LabFrame => ({ ns: "a", dev: "eth0", dir: "in", cls: "host", hex: "", ...frame }));
  const step = { step: LAB.steps![0]!, frames: whole, trace: [], ct_events: [], drops: [] };
  return { name: null, steps: [step], final: { conntrack: {}, counters: {}, neigh: {}, fdb: {} } };
}

const against = (kernel: LabResult, hopscope: LabResult, lab = LAB) =>
  compare(canonical(kernel, lab), canonical(hopscope, lab));

describe("two runs of a case", () => {
  it("are equal when only numbers differ that the kernel chose", () => {
    expect(against(result([{ hex: udp(40_001) }]), result([{ hex: udp(50_002) }]))).toBeNull();
    const identified = result([{ hex: udp(7, { id: 99 }) }]);
    expect(against(result([{ hex: udp(7) }]), identified)).toBeNull();
  });

  it("differ in a number that the case gives", () => {
    const lab: LabCase = { ...LAB, namespaces: { a: { rules: "-p udp --dport 53 --to-ports 40001" } } };
    const difference = against(result([{ hex: udp(40_001) }]), result([{ hex: udp(50_002) }]), lab);
    expect(difference).toMatchObject({ step: 0, part: "frames", namespace: "a", index: 0 });
    expect(formatDifference(difference!)).toContain("sport: the kernel has 40001, hopscope port-1");
  });

  it("differ when one number is chosen once and two are", () => {
    const twice = [{ hex: udp(40_001) }, { hex: udp(40_001) }];
    const difference = against(result(twice), result([{ hex: udp(40_001) }, { hex: udp(40_002) }]));
    expect(difference).toMatchObject({ index: 1 });
  });

  it("are equal when another draw is what the kernel drew, and differ when none is or nothing is drawn", () => {
    const drawn = (...ports: number[]) => canonical(result(ports.map((port) => ({ hex: udp(port) }))), LAB);
    const [same, apart] = [drawn(2000, 2000), drawn(2000, 2001)];
    expect(isDraw(same, apart, (seed) => (seed % 4 === 0 ? same : apart))).toBe(true);
    expect(isDraw(drawn(2000), apart, (seed) => (seed % 4 === 0 ? same : apart))).toBe(false);
    const seeds: number[] = [];
    const always = (seed: number) => {
      seeds.push(seed);
      return apart;
    };
    expect(isDraw(same, apart, always)).toBe(false);
    expect(seeds).toEqual([2, 3, 4]);
  });

  it.each<[string, string]>([
    ["a TTL", udp(7, { ttl: 63 })],
    ["an address", udp(7, { src: "10.0.0.9" })],
    ["a wrong checksum", udp(7, { csum: 1 })],
    ["a flag", udp(7, { df: true })],
    [
      "a MAC address",
      hexOf(
        { ip: { src: "10.0.0.1", dst: "10.0.0.2" }, udp: { sport: 7, dport: 53, size: 4 } },
        { ...ETHERNET, src: "02:00:00:00:00:09" },
      ),
    ],
    ["data", hexOf({ ip: { src: "10.0.0.1", dst: "10.0.0.2" }, udp: { sport: 7, dport: 53, data: "zzzz" } })],
    ["what stands behind the packet", `${udp(7)}00`],
  ])("differ in %s", (_, other) => {
    expect(against(result([{ hex: udp(7) }]), result([{ hex: other }]))).not.toBeNull();
  });

  it.each<[string, Partial<LabFrame>]>([
    ["device", { dev: "eth1" }],
    ["direction", { dir: "out" }],
    ["class", { cls: "other" }],
  ])("differ in the %s of a frame", (_, where) => {
    expect(against(result([{ hex: udp(7) }]), result([{ hex: udp(7), ...where }]))).not.toBeNull();
  });

  it("differ in a frame too many, which is told with what came before", () => {
    const difference = against(result([{ hex: udp(7) }]), result([{ hex: udp(7) }, { hex: udp(7, { ttl: 1 }) }]));
    const text = formatDifference(difference!);
    expect(text).toContain("They differ: step 1 (raw a), a, frame 2");
    expect(text).toMatch(/both +eth0 in host +UDP 10\.0\.0\.1:port-1 > 10\.0\.0\.2:port-2 ttl 64/);
    expect(text).toMatch(/kernel +nothing/);
    expect(text).toMatch(/hopscope +eth0 in host +UDP .* ttl 1 /);
  });
});

it("knows the numbers of packets, sockets and rules, and of nothing else in a rule", () => {
  const rules = "-A X -p udp --dport 53 -m length --length 99 -j DNAT --to-destination 10.0.0.7:8080-8081";
  const lab: LabCase = {
    namespaces: { a: { rules } },
    steps: [
      { op: "udp", ns: "a", bind: ["0.0.0.0", 4000] },
      { op: "raw", ns: "a", pkt: { ip: { src: "1.1.1.1", dst: "2.2.2.2", ttl: 33 }, tcp: { sport: 1, seq: 700 } } },
    ],
  };
  expect([...knownNumbers(lab)].sort((a, b) => a - b)).toEqual([1, 53, 700, 4000, 8080, 8081]);
});
