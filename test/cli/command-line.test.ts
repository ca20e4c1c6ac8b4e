import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const TSX = join(ROOT, "node_modules/tsx/dist/cli.mjs");
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hopscope-cli-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the command line in a folder of its own, without colour. */
function hopscope(args: readonly string[], input = "") {
  const { status, stdout, stderr } = spawnSync(process.execPath, [TSX, join(ROOT, "src/cli/main.ts"), ...args], {
    cwd: folder,
    encoding: "utf8",
    input,
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { status, stdout, stderr };
}

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

describe("hopscope", { timeout: 60_000 }, () => {
  it("lists the scenarios that come with it", () => {
    const { status, stdout } = hopscope(["list"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^container-to-internet +Container to internet$/m);
  });

  it("lists the lessons of the course in their order, each with the belief that it corrects", () => {
    const { status, stdout } = hopscope(["list", "--course"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^Out and across\n {3}1 {2}way-to-the-internet +"A second NAT rule translates the reply\."$/m,
    );
    const numbers = [...stdout.matchAll(/^ *(\d+) {2}\S+ +"/gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(numbers).toHaveLength(35);
  });

  it("asks before a lesson, answers behind it, and runs it under another engine", () => {
    const { status, stdout } = hopscope(["run", "cross-network", "--engine", "23"]);
    expect(status).toBe(0);
    const order = [
      "Before you look: What does c1 get?",
      "  c)  nothing",
      "#1 TCP SYN",
      "Answer: c)  nothing",
      "Not so:",
    ];
    expect(order.map((text) => stdout.indexOf(text))).toEqual(
      order.map((text) => stdout.indexOf(text)).sort((a, b) => a - b),
    );
    for (const text of order) expect(stdout).toContain(text);
    expect(stdout).toContain("-o br-app -j DROP");
    expect(hopscope(["run", "same-bridge", "--engine", "23"]).stderr).toMatch(
      /same-bridge\.yaml:2:1: found no docker, expected a scenario with Docker, where an engine is asked for\n$/,
    );
  });

  it("runs a scenario by its name from any folder, in 100 columns, and ends with 0", () => {
    const { status, stdout } = hopscope(["run", "container-to-internet"]);
    expect(status).toBe(0);
    expect(stdout).toContain("source 172.17.0.2 > 192.168.65.3, id 1 kept");
    expect(stdout).toMatch(/12 of 12 expectations hold\.\n$/);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
  });

  it("ends with 1 and says what it found when an expectation fails", () => {
    const scenario = file(
      "fails.yaml",
      `title: Fails
namespaces:
  a: { devices: { eth0: { addresses: [10.0.0.1/24] } } }
  b: { devices: { eth0: { addresses: [10.0.0.2/24] } } }
links: [{ ends: [a/eth0, b/eth0] }]
steps: [{ run: ping -c 1 10.0.0.2, in: a }]
expect: [{ packet: icmp echo request, at: b/eth0, source: 10.0.0.9 }]
`,
    );
    const { status, stdout } = hopscope(["run", scenario]);
    expect(status).toBe(1);
    expect(stdout).toContain("fails  icmp echo request arrives at b/eth0, source 10.0.0.9");
    expect(stdout).toContain("10.0.0.1");
    expect(stdout).toMatch(/0 of 1 expectations hold\.\n$/);
  });

  it("says which options of rules it does not do, when they are loaded and in the trace", () => {
    const scenario = file(
      "helper.yaml",
      `title: Helper
namespaces:
  a:
    devices: { eth0: { addresses: [10.0.0.1/24] } }
    rules: |
      *raw
      :OUTPUT ACCEPT [0:0]
      -A OUTPUT -p udp -j CT --helper tftp
      -A OUTPUT -p icmp -m helper ! --helper tftp
      -A OUTPUT -p icmp -m cgroup --cgroup 1
      -A OUTPUT -p icmp -j AUDIT --type accept
      COMMIT
  b: { devices: { eth0: { addresses: [10.0.0.2/24] } } }
links: [{ ends: [a/eth0, b/eth0] }]
steps: [{ run: ping -c 1 10.0.0.2, in: a }]
`,
    );
    const { status, stdout, stderr } = hopscope(["run", scenario, "--level", "step"]);
    expect(status).toBe(0);
    expect(stderr).toBe(
      "helper.yaml:8:30: hopscope does not model --helper of CT: no connection is expected because of another\n" +
        "helper.yaml:9:37: hopscope does not model --helper of helper: only ftp announces connections here\n" +
        "helper.yaml:10:28: hopscope does not model -m cgroup: the rule never matches\n" +
        "helper.yaml:11:28: hopscope does not model -j AUDIT: it does nothing\n",
    );
    expect(stdout.replace(/\s+/g, " ")).toContain(
      "raw rule 3 -p icmp -m cgroup --cgroup 1 (no match; hopscope does not model -m cgroup: the rule never matches)",
    );
    expect(stdout.replace(/\s+/g, " ")).toContain(
      "raw rule 4 -p icmp -j AUDIT --type accept (hopscope does not model -j AUDIT: it does nothing)",
    );
    expect(stdout.replace(/\s+/g, " ")).toContain(
      "OUTPUT raw rule 2 -p icmp -m helper ! --helper tftp (hopscope does not model --helper of helper: only ftp announces connections here)",
    );
  });

  it.each([
    [
      "a file that is not there",
      ["run", "none.yaml"],
      "hopscope: none.yaml:1:1: found no such file, expected a file that can be read\n",
    ],
    [
      "a name that is not there",
      ["run", "none"],
      'hopscope: none:1:1: found the name "none", expected a file, or one of: ',
    ],
    ["a case that is not there", ["lab", "none.json"], "hopscope: none.json:1:1: found no such file"],
    [
      "a format that is not there",
      ["run", "traceroute", "--format", "html"],
      "Allowed choices are text, json, xtables",
    ],
    ["a time without a unit", ["run", "traceroute", "--until", "5"], "It takes a time with its unit"],
    ["a command that is not there", ["fly"], "unknown command 'fly'"],
  ])("refuses %s in one line and ends with 2", (_, args, message) => {
    const { status, stdout, stderr } = hopscope(args);
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stdout).toBe("");
    expect(status).toBe(2);
  });

  it("names file, line and column of a bad rule inside a scenario", () => {
    const scenario = file(
      "rule.yaml",
      "title: x\nnamespaces:\n  a:\n    rules: |\n      *filter\n      -A INPUT -p udp --dport 70000\n      COMMIT\n",
    );
    const { status, stderr } = hopscope(["run", scenario]);
    expect(stderr).toMatch(/^hopscope: rule\.yaml:6:31: found "70000", expected a port/);
    expect(status).toBe(2);
  });

  it("writes the trace to a file and the frames to a capture", () => {
    const { status, stdout } = hopscope([
      "run",
      "same-bridge",
      "--format",
      "json",
      "-o",
      "trace.jsonl",
      "--pcap",
      "out.pcapng",
    ]);
    expect([status, stdout]).toEqual([0, ""]);
    const lines = readFileSync(join(folder, "trace.jsonl"), "utf8").trimEnd().split("\n");
    expect(lines.length).toBeGreaterThan(5);
    for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
    expect(readFileSync(join(folder, "out.pcapng")).readUInt32LE(0)).toBe(0x0a0d0d0a);
  });

  it("answers each line of lab --serve, bad ones too, and stays up", () => {
    const good = JSON.stringify({ name: "one", namespaces: { a: {} }, steps: [] });
    const { status, stdout } = hopscope(["lab", "--serve"], `${good}\nnot json\n${good}\n`);
    const answers = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { name?: string; error?: string });
    expect(answers.map(({ name }) => name)).toEqual(["one", undefined, "one"]);
    expect(answers[1]!.error).toMatch(/JSON/);
    expect(status).toBe(0);
  });
});
