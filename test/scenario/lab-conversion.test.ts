import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { runLab } from "../../src/scenario/lab.ts";
import type { LabResult } from "../../src/scenario/lab-case.ts";
import { labFromScenario } from "../../src/scenario/lab-from-scenario.ts";
import { LabText } from "../../src/scenario/lab-text.ts";
import { scenarioFromLab } from "../../src/scenario/lab-to-scenario.ts";
import { parseScenario, runScenario } from "../../src/scenario/scenario.ts";

const FOLDER = fileURLToPath(new URL("../../scenarios/", import.meta.url));
const scenario = (name: string) =>
  parseScenario(readFileSync(join(FOLDER, name), "utf8"), name, (file) => readFileSync(join(FOLDER, file), "utf8"));
/** The kernel has no translators, so scenarios with one are no cases. */
const TRANSLATED = [
  "connect-blackhole",
  "connect-refused",
  "desktop-dns",
  "desktop-internet",
  "desktop-lossy-link",
  "desktop-publish",
  "desktop-traceroute",
  "desktop-way-out",
  "udp-cone-versus-symmetric",
];
const REFUSED = [
  ...TRANSLATED.map((name) => [name, "no translator, for the kernel has none"] as const),
  ["macvlan-host", "networks that a case can have: bridges, no macvlan or ipvlan"] as const,
];
const scenarios = readdirSync(FOLDER).filter(
  (file) => file.endsWith(".yaml") && !REFUSED.some(([name]) => file === `${name}.yaml`),
);

const hits = (result: LabResult) => result.steps.flatMap(({ trace }) => trace.filter(({ type }) => type === "rule"));

describe("a scenario as a case", () => {
  it.each(scenarios)("%s is one, with its packets", (name) => {
    const { lab } = labFromScenario(scenario(name));
    const again = new LabText(JSON.stringify(lab), "case.json").run();
    expect(again.steps.flatMap(({ frames }) => frames).length).toBeGreaterThan(0);
  });

  it("sends what the programs sent: the server's answer passes the same rules", () => {
    const { lab } = labFromScenario(scenario("published-port.yaml"));
    expect(lab.steps!.map(({ op }) => op)).toEqual(["udp", "udp", "connect", "send", "recv", "send", "recv", "close"]);
    const result = runLab(lab);
    expect(result.steps.at(-2)!.result).toMatchObject({ got: [{ from: ["192.168.65.3", 3000], len: 5 }] });
    expect(hits(result).length).toBeGreaterThan(10);
  });

  it("has what Docker made: devices, addresses, routes, rules, sets and sysctls", () => {
    const { lab } = labFromScenario(scenario("stale-udp.yaml"));
    expect(lab.namespaces["host"]).toMatchObject({
      sysctls: { "net.ipv4.ip_forward": 1 },
      devs: { docker0: { type: "bridge" }, vethfbecb50: { master: "docker0" } },
      addrs: [
        ["eth0", "192.168.65.3/24"],
        ["docker0", "172.17.0.1/16"],
      ],
      rules: expect.stringContaining(
        "-A DOCKER ! -i docker0 -p udp -m udp --dport 5353 -j DNAT --to-destination 172.17",
      ),
    });
    expect(lab.namespaces["c1"]).toMatchObject({
      addrs: [["eth0", "172.17.0.2/16"]],
      routes: ["default via 172.17.0.1 dev eth0"],
    });
    const sent = lab.steps!.filter(({ op }) => op === "send").map(({ id, hex }) => `${id} ${hex}`);
    expect(sent).toEqual([
      "lan-4 6f6e65",
      "c1-2 6f6e65",
      "lan-5 74776f",
      "c1-2 74776f",
      "lan-6 7468726565",
      "c2-3 7468726565",
    ]);
    expect(lab.veths).toContainEqual(["host/vethfbecb50", "c1/eth0"]);
    // docker-proxy.
    expect(lab.steps![0]).toMatchObject({ op: "udp", ns: "host", bind: ["0.0.0.0", 5353] });
    const modern = `title: t
namespaces: { host: { devices: { eth0: { type: dummy, addresses: [192.168.65.3/24] } } } }
docker: { engine: '28.0', run: [docker run -d --name c1 alpine] }
steps: [{ run: ping -c 1 172.17.0.2, in: host }]`;
    expect(labFromScenario(parseScenario(modern, "modern.yaml")).lab.namespaces["host"]!.ipsets).toBe(
      "create docker-ext-bridges-v4 hash:net\nadd docker-ext-bridges-v4 172.17.0.0/16\n",
    );
  });

  it.each(REFUSED)("is not made of %s.yaml: %s", (name, reason) => {
    expect(() => labFromScenario(scenario(`${name}.yaml`))).toThrow(reason);
  });

  it("is not made of one with a translator", () => {
    expect(() => labFromScenario(scenario("udp-cone-versus-symmetric.yaml"))).toThrow(
      'udp-cone-versus-symmetric.yaml:29:1: found "translators", expected no translator, for the kernel has none',
    );
  });

  it("names what a case cannot say", () => {
    const { lost } = labFromScenario(scenario("traceroute.yaml"));
    expect(lost).toContain("links.1.delay: the cables of a case are perfect");
    expect(lost).toContain("expect: a case is compared with the kernel, not judged");
  });
});

describe("a case as a scenario", () => {
  it.each(scenarios)("%s, there and back, runs", (name) => {
    const { yaml } = scenarioFromLab(labFromScenario(scenario(name)).lab);
    const outcome = runScenario(parseScenario(yaml, "again.yaml"));
    expect(outcome.capture.frames.length).toBeGreaterThan(0);
  });

  it("keeps the network, the pings, the exchanges and the changes", () => {
    const { yaml, lost } = scenarioFromLab({
      namespaces: {
        a: { addrs: [["eth0", "10.0.0.1/24"]], policy: [{ fwmark: 1, table: 7, prio: 9 }] },
        b: { addrs: [["eth0", "10.0.0.2/24"]], neigh: [["eth0", "10.0.0.9", "02:00:00:00:00:09"]] },
      },
      veths: [["a/eth0", "b/eth0"]],
      steps: [
        { op: "raw", ns: "a", pkt: { ip: { src: "10.0.0.1", dst: "10.0.0.2" }, icmp: { type: 8, size: 8 } } },
        { op: "udp", ns: "a", id: "u", bind: ["0.0.0.0", 4000] },
        { op: "sleep", ms: 250 },
        { op: "send", id: "u", to: ["10.0.0.2", 53], data: "hello" },
        { op: "sysctl", ns: "b", key: "net.ipv4.ip_forward", value: 1 },
        { op: "link", dev: "b/eth0", up: false },
        { op: "age", ns: "a", s: 3 },
      ],
    });
    expect(lost).toEqual(["steps.6: age"]);
    for (const text of [
      "priority 9 lookup 7",
      "10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0",
      "ping -c 1 -W 1 -s 8 -t 64 -M dont 10.0.0.2",
      "after: 250ms",
      'udp-client -W 0.001 -p 4000 -u 10.0.0.2 53 "hello"',
      "net.ipv4.ip_forward: 1",
      "down: b/eth0",
    ])
      expect(yaml).toContain(text);
    expect(parseScenario(yaml, "case.yaml").title).toBe("A lab case");
  });
});
