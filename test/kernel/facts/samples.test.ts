import { describe, expect, test } from "vitest";
import { runLab } from "../../../src/scenario/lab.ts";
import { readCase } from "../cases.ts";
import { type Entry, entries, framesOn } from "./router.ts";

const sample = (name: string) => runLab(readCase(`sample-${name}`));

/** What they hold, frame for frame, stands in `cases/sample-*.kernel.json`. */
describe("The fixed cases", () => {
  test.each([
    ["01-masq-internet", 132, 372],
    ["02-same-bridge", 17, 67],
    ["02b-same-bridge-nocall", 17, 42],
    ["03-publish-outside", 73, 212],
    ["04a-publish-host-ownip", 25, 30],
    ["04b-publish-host-loopback", 17, 33],
    ["05a-publish-other-container", 38, 61],
    ["05b-publish-other-network", 12, 22],
    ["05c-hairpin-self-masq", 25, 61],
    ["05d-hairpin-self-nomasq", 15, 21],
    ["05e-hairpin-self-port-off", 11, 8],
    ["06-traceroute", 116, 312],
    ["07-icmp-error-masq", 48, 92],
    ["07b-frag-needed-masq", 50, 96],
    ["08-port-clash", 108, 282],
    ["09-forward-drop-established", 47, 94],
    ["10-isolation", 20, 48],
    ["11-unknown-port", 129, 350],
  ])("%s: %i frames, %i records", (name, frames, records) => {
    const { steps } = sample(name);
    expect(steps.reduce((sum, step) => sum + step.frames.length, 0)).toBe(frames);
    expect(steps.reduce((sum, step) => sum + step.trace.length, 0)).toBe(records);
  });

  test("01 port kept; TTL 64→63→62", () => {
    const sent = sample("01-masq-internet").steps[2]!.frames;
    const texts = ["c1/eth0", "host/eth0", "r1/wan"].map((device) => framesOn(sent, device).at(-1)!.text);
    expect(texts).toEqual([
      "udp 172.17.0.2:40000 > 198.51.100.7:53 ttl 64",
      "udp 192.168.1.10:40000 > 198.51.100.7:53 ttl 63",
      "udp 192.168.1.10:40000 > 198.51.100.7:53 ttl 62",
    ]);
  });

  test("08 on a clash the port moves inside its range: 40000 → 1024-65535, 300 → 1-511, 700 → 600-1023", () => {
    const flows: readonly Entry[] = entries(sample("08-port-clash"), "host");
    const moved = (port: number) =>
      flows.filter(({ orig, reply }) => orig.sport === port && reply.dport !== port).map(({ reply }) => reply.dport!);
    for (const [port, low, high] of [
      [40_000, 1024, 65_535],
      [300, 1, 511],
      [700, 600, 1023],
    ] as const) {
      expect(moved(port).length).toBeGreaterThan(0);
      for (const to of moved(port)) expect(to >= low && to <= high).toBe(true);
    }
  });
});
