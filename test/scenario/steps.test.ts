import { describe, expect, it } from "vitest";
import { parseScenario, runScenario } from "../../src/scenario/scenario.ts";

const NETWORK = `title: Steps
namespaces:
  a: { devices: { eth0: { mac: 02:00:00:00:00:0a, addresses: [10.0.0.1/24] } } }
  b: { devices: { eth0: { mac: 02:00:00:00:00:0b, addresses: [10.0.0.2/24] } } }
links:
  - { ends: [a/eth0, b/eth0] }
`;

const run = (rest: string, options?: { seed?: number; until?: number }) =>
  runScenario(parseScenario(NETWORK + rest, "steps.yaml"), options);

/** What the programs printed, with the virtual second of each answer. */
const answers = (rest: string, options?: { seed?: number; until?: number }) =>
  run(rest, options).programs.flatMap(({ name, lines }) =>
    lines
      .filter(({ text }) => text.includes("icmp_seq"))
      .map(({ time, text }) => `${name} ${time / 1e9} ${text.slice(0, 30)}`),
  );

describe("steps", () => {
  it("happen one after the other, each when the one before is done", () => {
    const steps = `steps:
  - { run: ping -c 2 10.0.0.2, in: a, name: first }
  - { run: ping -c 1 10.0.0.2, in: a, name: second }
  - { after: 500ms, run: ping -c 1 10.0.0.2, in: a, name: third }
`;
    expect(answers(steps).map((line) => line.slice(0, 10))).toEqual([
      "first 0 64",
      "first 1 64",
      "second 1 6",
      "third 1.5 ",
    ]);
  });

  it("happen at their time where they have one", () => {
    const steps = `steps:
  - { at: 2s, run: ping -c 3 10.0.0.2, in: a, name: late }
  - { at: 1s, run: ping -c 1 10.0.0.1, in: b, name: early }
  - { run: ping -c 1 10.0.0.2, in: a, name: follows early }
`;
    expect(answers(steps)).toEqual([
      "late 2 64 bytes from 10.0.0.2: icmp_s",
      "late 3 64 bytes from 10.0.0.2: icmp_s",
      "late 4 64 bytes from 10.0.0.2: icmp_s",
      "early 1 64 bytes from 10.0.0.1: icmp_s",
      "follows early 1 64 bytes from 10.0.0.2: icmp_s",
    ]);
  });

  it("change links, rules and sysctls on the way", () => {
    const steps = `steps:
  - { run: ping -c 6 -i 1 10.0.0.2, in: a }
  - { at: 500ms, in: b, sysctls: { net.ipv4.icmp_echo_ignore_all: 1 } }
  - { at: 1500ms, in: b, sysctls: { net.ipv4.icmp_echo_ignore_all: 0 } }
  - { at: 2500ms, in: b, rules: "*filter\\n-A INPUT -p icmp -j DROP\\nCOMMIT\\n" }
  - { at: 3500ms, in: b, rules: "*filter\\nCOMMIT\\n" }
  - { at: 3700ms, down: b/eth0 }
  - { at: 4500ms, up: b/eth0 }
expect:
  - { packet: icmp echo request, dropped: { at: b, reason: NETFILTER_DROP, rule: filter INPUT 1 }, count: 1 }
  - { packet: arp request, dropped: { at: a/eth0 }, count: 1 }
`;
    const { programs, expectations } = run(steps);
    const lines = programs[0]!.lines.map(({ text }) => /icmp_seq=(\d) .* (time=\S+)/.exec(text)?.slice(1).join(" "));
    // Losing its carrier made a/eth0 forget its neighbours: the fifth request waits for a second ARP request.
    expect(lines.filter(Boolean)).toEqual(["1 time=0.000", "3 time=0.000", "5 time=1000", "6 time=0.000"]);
    expect(expectations.filter(({ holds }) => !holds)).toEqual([]);
  });

  it("forget tracked flows", () => {
    const steps = `steps:
  - { in: b, rules: "*filter\\n-A INPUT -m conntrack --ctstate NEW\\nCOMMIT\\n" }
  - { run: ping -c 1 10.0.0.2, in: a, name: first }
  - { in: b, flush: conntrack }
`;
    expect([...run(steps).world.host("b").net.tracker.table]).toEqual([]);
    expect([...run(steps.slice(0, steps.lastIndexOf("  -"))).world.host("b").net.tracker.table]).toHaveLength(1);
  });

  it("inject frames, by field or byte for byte", () => {
    const steps = `steps:
  - inject: a/eth0
    frame:
      eth: { src: 02:00:00:00:00:0a, dst: 02:00:00:00:00:0b }
      ip: { src: 10.0.0.1, dst: 10.0.0.2, ttl: 7 }
      udp: { sport: 5000, dport: 6000, data: hello }
  - { inject: a/eth0, hex: 02000000000b02000000000a88b50102, count: 2 }
expect:
  - { packet: udp, at: b/eth0, source: 10.0.0.1, source_port: 5000, destination_port: 6000, ttl: 7, length: 33, count: 1 }
  - { packet: icmp port unreachable, at: a/eth0, source: 10.0.0.2 }
  - { dropped: { at: b, reason: UNHANDLED_PROTO }, count: 2 }
`;
    expect(run(steps).expectations.filter(({ holds }) => !holds)).toEqual([]);
  });

  it("take a server's start as done", () => {
    const steps = `steps:
  - { run: udp-echo-server 7, in: b }
  - { run: udp-client 10.0.0.2 7 hi, in: a }
`;
    const { programs, end } = run(steps);
    expect(programs.map(({ status }) => status)).toEqual([null, 0]);
    expect(end).toBe("idle");
  });
});

describe("faults", () => {
  const PING = "steps:\n  - { run: ping -c 100 -i 0.01 -W 1 10.0.0.2, in: a }\n";
  const FAULT = "faults:\n  - { device: a/eth0, loss: 30% }\n";
  const summary = (text: string, seed?: number) =>
    run(text, seed === undefined ? {} : { seed })
      .programs[0]?.lines.map(({ text: line }) => line)
      .find((line) => line.includes("loss"));

  it("lose what the seed says", () => {
    const lost = summary(FAULT + PING);
    expect(lost).not.toContain(" 0% packet loss");
    expect(summary(FAULT + PING)).toBe(lost);
    expect(summary(FAULT + PING, 2)).not.toBe(lost);
  });

  it("last from their beginning to their end", () => {
    const fault = "faults:\n  - { device: a/eth0, loss: 100%, from: 205ms, until: 405ms }\n";
    expect(summary(fault + PING)).toMatch(/^100 packets transmitted, 80 received, 20% packet loss/);
  });

  it("leave the link as it was", () => {
    const text =
      "faults:\n  - { device: a/eth0, loss: 100%, from: 1s, until: 2s }\nsteps:\n  - { at: 3s, run: ping -c 2 10.0.0.2, in: a }\n";
    const slow = NETWORK.replace("b/eth0] }", "b/eth0], delay: 20ms }");
    const { programs } = runScenario(parseScenario(slow + text, "steps.yaml"));
    expect(programs[0]?.lines[2]?.text).toContain("time=40.0 ms");
  });

  it("may be a step", () => {
    const text = `steps:
  - { run: ping -c 3 10.0.0.2, in: a }
  - { at: 500ms, impair: { device: b/eth0, delay: 5ms } }
  - { at: 1500ms, impair: { device: b/eth0 } }
`;
    const times = run(text)
      .programs[0]?.lines.map(({ text: line }) => /time=(\S+) ms$/.exec(line)?.[1])
      .filter(Boolean);
    expect(times).toEqual(["0.000", "5.00", "0.000"]);
  });
});

describe("a run", () => {
  it("ends at its until", () => {
    const text = "until: 2500ms\nsteps:\n  - { run: ping 10.0.0.2, in: a }\n";
    expect(answers(text)).toHaveLength(3);
    expect(answers(text, { until: 500_000_000 })).toHaveLength(1);
    expect(run(text).end).toBe("until");
    expect(run(text).world.fabric.scheduler.now).toBe(2.5e9);
  });

  it("tells of a storm", () => {
    const text = `title: Loop
namespaces:
  a:
    devices:
      br0: { type: bridge }
      br1: { type: bridge }
      p0: { master: br0 }
      p1: { master: br0 }
      q0: { master: br1 }
      q1: { master: br1 }
links:
  - { ends: [a/p0, a/q0] }
  - { ends: [a/p1, a/q1] }
steps:
  - { inject: a/br0, hex: ffffffffffff02000000000188b50000 }
`;
    expect(runScenario(parseScenario(text, "loop.yaml")).end).toBe("storm");
  });
});
