import { describe, expect, it } from "vitest";
import { runScenario } from "../../src/scenario/scenario.ts";
import { PRESET_NAMES, type PresetName } from "../../src/translator/preset.ts";
import { readScenario } from "../scenario/files.ts";

const run = (name: string, preset: PresetName) => runScenario(readScenario(`${name}.yaml`), { preset });
const failing = (name: string, preset: PresetName) =>
  run(name, preset)
    .expectations.filter(({ holds }) => !holds)
    .map(({ text }) => text);
const hops = (preset: PresetName) =>
  run("desktop-traceroute", preset).programs.map(({ lines }) =>
    lines.slice(1).map(({ text }) =>
      text
        .trim()
        .replace(/ +[\d.]+ ms/, "")
        .replace(/^\d+ +/, ""),
    ),
  );

const VM = "172.17.0.1";
const HOP = "192.168.65.1";
const ROUTER = "198.51.100.1";
const SERVER = "203.0.113.10";
const SILENCE = ["*", "*", "*", "*", "*"];

describe("one scenario under four presets", () => {
  it.each(PRESET_NAMES)("a refused connection is a RST for %s", (preset) => {
    expect(failing("connect-refused", preset)).toEqual([]);
  });

  it.each([
    ["vpnkit", 0],
    ["gvproxy", 3],
    ["slirp4netns", 0],
    ["honest", 0],
  ] as const)("a stranger's datagram reaches the guest of %s, or not: %i expectations fail", (preset, count) => {
    expect(failing("udp-cone-versus-symmetric", preset)).toHaveLength(count);
  });

  it.each([
    ["vpnkit", [VM, ROUTER, SERVER], [VM, ROUTER, SERVER], [VM, SERVER]],
    ["slirp4netns", [VM, ROUTER, SERVER], [VM, ROUTER, SERVER], [VM, SERVER]],
    ["gvproxy", [VM, SERVER], [VM, ...SILENCE], [VM, SERVER]],
    ["honest", [VM, HOP, ROUTER, SERVER], [VM, HOP, ROUTER, SERVER], [VM, HOP, ROUTER, SERVER]],
  ] as const)("traceroutes of ICMP, UDP and TCP see what %s lets them see", (preset, icmp, udp, tcp) => {
    expect(hops(preset)).toEqual([icmp, udp, tcp]);
  });

  it("a published port shows the guest another client for each way that it takes", () => {
    const clients = PRESET_NAMES.map((preset) => {
      const server = run("desktop-publish", preset).programs.find(({ name }) => name === "http-server")!;
      const line = server.lines.find(({ text }) => text.startsWith("from "))!;
      return [preset, /^from ([\d.]+):/.exec(line.text)![1]];
    });
    expect(clients).toEqual([
      ["vpnkit", "172.17.0.1"],
      ["gvproxy", "192.168.65.1"],
      ["slirp4netns", "203.0.113.10"],
      ["honest", "172.17.0.1"],
    ]);
  });
});
