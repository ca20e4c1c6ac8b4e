import { describe, expect, it } from "vitest";
import { PROGRAMS } from "../../src/program/commands.ts";
import { parseScenario } from "../../src/scenario/scenario.ts";
import { InputError } from "../../src/wire/input-error.ts";

const GOOD = `title: Good
namespaces:
  a:
    devices:
      eth0: { addresses: [10.0.0.1/24] }
    routes: [default via 10.0.0.2]
    sysctls: { net.ipv4.ip_forward: 1 }
    rules: |
      *filter
      :FORWARD DROP
      -A FORWARD -i eth0 -j ACCEPT
      COMMIT
  b:
    devices:
      br0: { type: bridge }
      veth0: { master: br0 }
      veth1: { mac: 02:00:00:00:00:01, mtu: 1400 }
links:
  - ends: [a/eth0, b/veth0]
  - { ends: [a/eth1, b/veth1], loss: 10% }
steps:
  - run: ping -c 1 10.0.0.2
    in: a
expect:
  - { packet: icmp echo request, at: b/veth0, ttl: 64 }
  - output: { program: ping, line: PING }
`;
const RULES = GOOD.slice(GOOD.indexOf("rules: |"), GOOD.indexOf("  b:\n"));
const ARRIVAL = "{ packet: icmp echo request, at: b/veth0, ttl: 64 }";

function readFile(path: string): string {
  if (path === "scenarios/bad.rules") return "*filter\n-A FORWARD -p upd -j DROP\nCOMMIT\n";
  if (path === "scenarios/self.yaml") return "title: Self\nextends: self.yaml\n";
  throw new Error("ENOENT: no such file");
}

function refusal(text: string): string {
  try {
    parseScenario(text, "scenarios/s.yaml", readFile);
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error("it was accepted");
}

/** What is wrong, the good text, what stands there instead, and the one error. */
const CASES: [string, string, string, string][] = [
  // The text.
  [
    "a list that does not end",
    "title: Good",
    "title: [Good",
    '2:1: found "namespaces:", expected YAML (Flow sequence in block collection must be sufficiently indented and end with a ])',
  ],
  ["a tab", "  a:\n", "\ta:\n", '3:1: found "a:", expected YAML (Tabs are not allowed as indentation)'],
  [
    "a key that comes twice",
    "title: Good",
    "title: Good\ntitle: Bad",
    '2:1: found "title: Bad", expected YAML (Map keys must be unique)',
  ],
  // Keys and values.
  ["no title", "title: Good\n", "", "1:1: found no title, expected a title"],
  ["a title that is no text", "title: Good", "title: 12", "1:8: found 12, expected a title"],
  [
    "a key misspelt",
    "title: Good",
    "title: Good\nstorry: x",
    '2:1: found "storry", expected a key of a scenario (title, story, lesson, seed, until, extends, namespaces, translators, links, docker, recording, faults, steps, expect)',
  ],
  [
    "a device's key misspelt",
    "addresses:",
    "adresses:",
    '5:15: found "adresses", expected a key of a device (type, mac, mtu, addresses, master, hairpin, isolated, ageing, up, ifindex, txqueuelen)',
  ],
  [
    "an address without a prefix length",
    "10.0.0.1/24",
    "10.0.0.1",
    '5:27: found "10.0.0.1", expected an IPv4 address with its prefix length such as 172.17.0.2/16',
  ],
  [
    "an address beyond 255",
    "10.0.0.1/24",
    "10.0.0.300/24",
    '5:27: found "10.0.0.300/24", expected an address with its prefix length (not an IPv4 address: 10.0.0.300)',
  ],
  [
    "half a MAC address",
    "02:00:00:00:00:01",
    "02:00:00",
    '17:21: found "02:00:00", expected a MAC address such as 02:42:ac:11:00:02',
  ],
  ["an MTU below 68", "1400", "12", "17:45: found 12, expected an MTU in bytes (68-65535)"],
  [
    "an unknown type of device",
    "type: bridge",
    "type: bridg",
    '15:20: found "bridg", expected a type of device (bridge, dummy, or the tunnels ipip and ip6tnl, which stay down); the ends of links need none',
  ],
  ["a chance above 100%", "10%", "110%", '20:38: found "110%", expected a chance such as 10%'],
  ["a chance without %", "10%", "10", "20:38: found 10, expected a chance such as 10%"],
  [
    "one end of a link",
    "[a/eth0, b/veth0]",
    "[a/eth0]",
    "19:11: found a list, expected two ends such as [c1/eth0, host/veth1]",
  ],
  [
    "an end without a device",
    "[a/eth0, b/veth0]",
    "[a/eth0, b]",
    '19:20: found "b", expected a namespace and its device such as c1/eth0',
  ],
  [
    "a time without a unit",
    "in: a\n",
    "in: a\n    at: 1 second\n",
    '24:9: found "1 second", expected a time such as 500ms or 2s, no longer than a million seconds',
  ],
  // Names.
  [
    "a link from nowhere",
    "[a/eth0, b/veth0]",
    "[c/eth0, b/veth0]",
    '19:12: found "c/eth0", expected a namespace of this scenario (a, b)',
  ],
  ["a device with two cables", "a/eth1", "a/eth0", '20:14: found "a/eth0", expected a device that nothing else made'],
  [
    "a device without a cable",
    "br0: { type: bridge }",
    "br0: { type: bridge }\n      eth7: { mtu: 1500 }",
    '16:7: found "eth7", expected a device with a type, or the end of a link',
  ],
  ["a port of no bridge", "master: br0", "master: veth1", '16:24: found "veth1", expected a bridge of b'],
  [
    "a port's setting without a bridge",
    "mtu: 1400",
    "hairpin: true",
    '17:40: found "hairpin", expected a device with a master, as only ports of a bridge have this',
  ],
  ["a step in no namespace", "in: a", "in: c", '23:9: found "c", expected a namespace of this scenario (a, b)'],
  ["a step that says no namespace", "    in: a\n", "", "22:5: found no in, expected the namespace of this step"],
  // Kernel state.
  [
    "a route misspelt",
    "default via 10.0.0.2",
    "default vai 10.0.0.2",
    '6:14: found "default vai 10.0.0.2", expected a route (not a word of a route (via, dev, src, metric, table, mtu, tos, proto): vai)',
  ],
  [
    "a gateway off the link",
    "default via 10.0.0.2",
    "default via 10.9.0.2",
    '6:14: found "default via 10.9.0.2", expected a route (the gateway is not on a link of a)',
  ],
  [
    "a route by no device",
    "default via 10.0.0.2",
    "default dev eth9",
    '6:14: found "default dev eth9", expected a route (no device eth9 in namespace a)',
  ],
  [
    "a sysctl misspelt",
    "net.ipv4.ip_forward",
    "net.ipv4.ip_forwarding",
    '7:16: found "net.ipv4.ip_forwarding", expected a sysctl that hopscope models',
  ],
  [
    "a sysctl of no device",
    "net.ipv4.ip_forward",
    "net.ipv4.conf.eth7.rp_filter",
    '7:16: found "net.ipv4.conf.eth7.rp_filter", expected a sysctl of a device of a',
  ],
  [
    "a sysctl's value",
    "ip_forward: 1",
    "ip_forward: yes please",
    '7:37: found "yes please", expected a value of this sysctl (net.ipv4.ip_forward takes an integer, not "yes please")',
  ],
  // Rules.
  ["a target misspelt", "-j ACCEPT", "-j ACEPT", '11:29: found "ACEPT", expected a target or a chain of this table'],
  [
    "a table misspelt",
    "*filter",
    "*fliter",
    '9:8: found "fliter", expected a table (raw, mangle, nat, filter, security)',
  ],
  ["rules without COMMIT", "      COMMIT\n", "", "12:7: found the end of the file, expected COMMIT"],
  [
    "rules indented further",
    RULES,
    RULES.replaceAll("\n      ", "\n          ").replace("-j ACCEPT", "-j ACEPT"),
    '11:33: found "ACEPT", expected a target or a chain of this table',
  ],
  [
    "a rule file that is not there",
    RULES,
    "rules_file: no.rules\n",
    '8:17: found "no.rules", expected a file that can be read (ENOENT: no such file)',
  ],
  [
    "rules given twice",
    "rules: |",
    "rules_file: bad.rules\n    rules: |",
    '8:5: found "rules_file", expected rules or rules_file, not both',
  ],
  // Programs and steps.
  ["an unknown program", "ping -c 1", "pong -c 1", `22:10: found "pong", expected a program (${PROGRAMS.join(", ")})`],
  [
    "an option's value",
    "run: ping -c 1 10.0.0.2",
    'run: "ping -c x 10.0.0.2"',
    '22:19: found "x", expected a number from 1 to 1000000',
  ],
  [
    "a host name that is none",
    "10.0.0.2\n    in",
    "example..com\n    in",
    '22:20: found "example..com", expected an IPv4 address or a name',
  ],
  [
    "a ping without end",
    "ping -c 1",
    "ping",
    '22:10: found "ping 10.0.0.2", expected a command that ends (ping -c 1), or an until in the scenario',
  ],
  [
    "two things in one step",
    "in: a\n",
    "in: a\n    up: a/eth0\n",
    '24:5: found "up", expected a step that does one thing (run, inject, rules, rules_file, sysctls, up, down, impair, flush)',
  ],
  [
    "nothing in a step",
    "run: ping -c 1 10.0.0.2",
    "at: 1s",
    "22:5: found a map, expected a step that does one thing (run, inject, rules, rules_file, sysctls, up, down, impair, flush)",
  ],
  [
    "a key of another step",
    "in: a\n",
    "in: a\n    count: 3\n",
    '24:5: found "count", expected a key that goes with run (at, after, run, in, name, env)',
  ],
  [
    "two programs of one name",
    "    in: a\n",
    "    in: a\n  - { run: ping -c 1 10.0.0.3, in: a }\n",
    '24:12: found "ping -c 1 10.0.0.3", expected a name, for an earlier step runs a program called ping',
  ],
  [
    "a frame that is too short",
    "run: ping -c 1 10.0.0.2\n    in: a",
    "inject: a/eth0\n    hex: ffff",
    '23:10: found "ffff", expected a frame of 14 to 1514 bytes',
  ],
  [
    "a fault that ends before it begins",
    "steps:",
    "faults:\n  - { device: a/eth0, loss: 10%, from: 2s, until: 1s }\nsteps:",
    '22:51: found "1s", expected a time after 2s',
  ],
  [
    "a fault of a bridge",
    "steps:",
    "faults:\n  - { device: b/br0, loss: 10% }\nsteps:",
    '22:15: found "b/br0", expected the end of a link',
  ],
  // Expectations.
  [
    "an expected device that is not there",
    "at: b/veth0",
    "at: b/veth9",
    '25:38: found "b/veth9", expected a device of b (b/lo, b/br0, b/veth0, b/veth1)',
  ],
  [
    "an expected program that is not there",
    "program: ping",
    "program: pong",
    '26:24: found "pong", expected the name of a program of this scenario (ping)',
  ],
  [
    "an expectation of nothing",
    ARRIVAL,
    "{ packet: udp }",
    "25:5: found no at, expected the device at which the packet is seen, or one of dropped, delivered, matched, output, conntrack",
  ],
  [
    "two expectations in one",
    ARRIVAL,
    "{ delivered: a, dropped: { at: a } }",
    '25:7: found "delivered", expected one of dropped, delivered, matched, output, conntrack',
  ],
  [
    "a rule number that is not there",
    ARRIVAL,
    "{ matched: { at: a, rule: filter FORWARD 7 } }",
    '25:31: found "filter FORWARD 7", expected a rule of filter FORWARD in a',
  ],
  [
    "a rule that is not there",
    ARRIVAL,
    "{ matched: { at: a, rule: filter FORWARD -i eth1 } }",
    '25:31: found "filter FORWARD -i eth1", expected a rule of filter FORWARD in a',
  ],
  [
    "a chain that is not there",
    ARRIVAL,
    "{ matched: { at: a, rule: nat DOCKER 1 } }",
    '25:31: found "nat DOCKER 1", expected a chain that the rules of a have',
  ],
  [
    "a rule without its table",
    ARRIVAL,
    "{ matched: { at: a, rule: FORWARD policy } }",
    '25:31: found "FORWARD policy", expected a table, its chain and "policy", a rule number or the rule',
  ],
  [
    "a drop reason misspelt",
    ARRIVAL,
    "{ dropped: { at: a, reason: NETFILTER_DORP } }",
    '25:33: found "NETFILTER_DORP", expected a drop reason such as NETFILTER_DROP',
  ],
  [
    "a tuple misspelt",
    ARRIVAL,
    "{ conntrack: { at: a, original: udp from=1.2.3.4 } }",
    '25:37: found "udp from=1.2.3.4", expected a tuple such as udp src=172.17.0.2 dst=203.0.113.10 dport=53',
  ],
];

describe("a scenario that is wrong", () => {
  it.each(CASES)("with %s gives one error where it is", (_, good, bad, message) => {
    expect(GOOD).toContain(good);
    expect(refusal(GOOD.replace(good, bad))).toBe(`scenarios/s.yaml:${message}`);
  });

  it("points into the file of its rules", () => {
    expect(refusal(GOOD.replace(RULES, "rules_file: bad.rules\n"))).toBe(
      'scenarios/bad.rules:2:15: found "upd", expected a protocol (0-255, a name such as tcp, or all)',
    );
  });

  it("extends a file that is not there, or one that extends itself", () => {
    expect(refusal(GOOD.replace("namespaces:", "extends: gone.yaml\nnamespaces:"))).toBe(
      'scenarios/s.yaml:2:10: found "gone.yaml", expected a file that can be read (ENOENT: no such file)',
    );
    expect(refusal(GOOD.replace("namespaces:", "extends: self.yaml\nnamespaces:"))).toBe(
      'scenarios/s.yaml:2:10: found "self.yaml", expected a scenario that extends no other',
    );
  });

  it("is a lesson without a right answer", () => {
    const lesson = (answers: string) =>
      refusal(
        GOOD.replace(
          "namespaces:",
          `lesson: { number: 1, group: Firewalls, belief: b, question: q, explanation: e, answers: ${answers} }\nnamespaces:`,
        ),
      );
    const expected = "found a list, expected two to six answers, one of them correct";
    expect(lesson("[{ text: yes it does }, { text: no }]")).toBe(`scenarios/s.yaml:2:89: ${expected}`);
    expect(lesson("[{ text: only one, correct: true }]")).toBe(`scenarios/s.yaml:2:89: ${expected}`);
  });

  it("expects something under an engine that it is not about", () => {
    expect(refusal(GOOD.replace(ARRIVAL, `{ engine: 23, packet: udp, at: b/veth0 }`))).toBe(
      "scenarios/s.yaml:25:15: found 23, expected an engine of this scenario (none)",
    );
  });

  it("runs iptables with a rule that iptables refuses, onto what earlier steps made", () => {
    const steps = (command: string) =>
      refusal(
        GOOD.replace(
          "  - run: ping",
          `  - { run: iptables -N MINE, in: a }\n  - { run: ${command}, in: a }\n  - run: ping`,
        ),
      );
    expect(steps("iptables -A MINE -p upd -j DROP")).toBe(
      'scenarios/s.yaml:23:32: found "upd", expected a protocol (0-255, a name such as tcp, or all)',
    );
    expect(steps("iptables -t nat -A MINE -j ACCEPT")).toMatch(/^scenarios\/s.yaml:23:31: found "MINE"/);
    expect(steps("iptables -t gnat -A MINE -j ACCEPT")).toMatch(/^scenarios\/s.yaml:23:24: found/);
  });

  it("points into rules that a step brings", () => {
    const step = "    in: a\n  - in: a\n    rules: |\n      *filter\n      -P FORWRAD DROP\n      COMMIT\n";
    expect(refusal(GOOD.replace("    in: a\n", step))).toBe(
      'scenarios/s.yaml:27:10: found "FORWRAD", expected a chain of this table',
    );
  });

  it("is empty", () => {
    expect(refusal("")).toBe("scenarios/s.yaml:1:1: found nothing, expected a scenario");
    expect(refusal("- 1\n")).toBe("scenarios/s.yaml:1:1: found a list, expected a scenario");
  });

  it("follows aliases to the line of what they stand for", () => {
    const text = GOOD.replace("routes: [default via 10.0.0.2]", "routes: &r [default via 10.9.9.9]").replace(
      "  b:\n",
      "  b:\n    routes: *r\n",
    );
    expect(refusal(text)).toContain("scenarios/s.yaml:6:17:");
  });

  it("is accepted once it is right", () => {
    expect(parseScenario(GOOD, "s.yaml").title).toBe("Good");
    expect(parseScenario(GOOD.replaceAll("\n", "\r\n"), "s.yaml").title).toBe("Good");
  });
});
