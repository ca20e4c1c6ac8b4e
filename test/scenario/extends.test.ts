import { expect, it } from "vitest";
import { parseScenario, runScenario } from "../../src/scenario/scenario.ts";

const FILES: Readonly<Record<string, string>> = {
  "lab/base.yaml": `title: Two hosts
namespaces:
  a:
    devices: { eth0: { addresses: [10.0.0.1/24] } }
    sysctls: { net.ipv4.ip_default_ttl: 11 }
  b:
    devices: { eth0: { addresses: [10.0.0.2/24] } }
    rules_file: b.rules
links:
  - ends: [a/eth0, b/eth0]
`,
  "lab/b.rules": "*filter\n-A INPUT -p icmp -j DROP\nCOMMIT\n",
};

const readFile = (path: string): string => FILES[path]!;
const PING = `steps: [{ run: ping -c 1 -W 1 10.0.0.2, in: a }]
`;

it("takes namespaces, links and rules from the scenario that it extends", () => {
  const scenario = parseScenario(
    `title: Extended
extends: lab/base.yaml
${PING}expect:
  - { packet: icmp echo request, at: b/eth0, ttl: 11 }
  - { packet: icmp echo request, dropped: { at: b, reason: NETFILTER_DROP } }
`,
    "extended.yaml",
    readFile,
  );
  expect(runScenario(scenario).expectations.map(({ holds }) => holds)).toEqual([true, true]);
});

it("adds to it, and what it says itself counts", () => {
  const scenario = parseScenario(
    `title: Extended
extends: lab/base.yaml
namespaces:
  a: { sysctls: { net.ipv4.ip_default_ttl: 12 }, devices: { eth1: { addresses: [10.0.1.1/24] } } }
  b: { rules: "*filter\\n:INPUT ACCEPT\\nCOMMIT\\n" }
  c: { devices: { eth0: { addresses: [10.0.1.2/24] } } }
links:
  - ends: [a/eth1, c/eth0]
${PING}expect:
  - { packet: icmp echo request, at: b/eth0, ttl: 12 }
  - { packet: icmp echo reply, at: a/eth0 }
`,
    "extended.yaml",
    readFile,
  );
  const { expectations, world } = runScenario(scenario);
  expect(expectations.map(({ holds }) => holds)).toEqual([true, true]);
  expect([...world.hosts.keys()].sort()).toEqual(["a", "b", "c"]);
});
