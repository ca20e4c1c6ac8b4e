import { describe, expect, test } from "vitest";
import { PRIORITY } from "../../../src/kernel/netfilter/hook-user.ts";
import { parseRules } from "../../../src/kernel/netfilter/rule-text.ts";
import { Lab } from "../../../src/scenario/lab.ts";
import type { LabStep } from "../../../src/scenario/lab-case.ts";
import { parseIpv4 } from "../../../src/wire/address.ts";
import { World } from "../../../src/world/world.ts";
import { twoHosts } from "../../socket/two-hosts.ts";
import {
  CLIENT,
  entries,
  fromClient,
  hits,
  INNER,
  neighboursAt,
  routerCase,
  runRouter,
  SERVER,
  sleep,
  stateOf,
  TRACKING,
  table,
  udp,
} from "./router.ts";

const FLOW = fromClient(udp(`${CLIENT}:5000`, `${SERVER}:53`));
const ACCT = "net.netfilter.nf_conntrack_acct";

describe("4 acct 0", () => {
  const counts = (sysctls: Record<string, number>) =>
    entries(runRouter([FLOW], { rules: TRACKING, sysctls })).map(({ orig }) => orig.packets);

  test("a flow that began while it was 0 has no counts, one that began while it was 1 has", () => {
    expect(counts({ [ACCT]: 0 })).toEqual([undefined]);
    expect(counts({ [ACCT]: 1 })).toEqual([1]);
    const late: LabStep = { op: "sysctl", ns: "router", key: ACCT, value: 1 };
    const result = runRouter([FLOW, late, FLOW], { rules: TRACKING, sysctls: { [ACCT]: 0 } });
    expect(entries(result).map(({ orig }) => orig.packets)).toEqual([undefined]);
  });

  test("a rule with connbytes sets it to 1, and matches no flow from before", () => {
    const rules = table(
      "filter",
      "-A FORWARD -m connbytes --connbytes 0 --connbytes-mode packets --connbytes-dir both",
    );
    expect(hits(runRouter([FLOW, FLOW], { rules, sysctls: { [ACCT]: 0 } }), "FORWARD", 1)).toBe(2);
    const change: LabStep = { op: "rules", ns: "router", text: rules };
    expect(hits(runRouter([FLOW, change, FLOW], { rules: TRACKING, sysctls: { [ACCT]: 0 } }), "FORWARD", 1)).toBe(0);
  });
});

describe("10 Defaults at work", () => {
  test("somaxconn 4096: no listener waits for more connections than that", () => {
    const backlog = (wanted: number, most?: number) => {
      const host = new World(1).addNamespace("n");
      if (most !== undefined) host.net.sysctls.set("net.core.somaxconn", most);
      const socket = host.tcp.open();
      socket.listen(wanted);
      return socket.backlog;
    };
    expect([backlog(100), backlog(5000), backlog(100, 7)]).toEqual([100, 4096, 7]);
  });

  /** An idle connection with SO_KEEPALIVE, whose peer hears nothing any more: open after so many seconds? */
  function isOpen(seconds: number, sysctls: Record<string, number> = {}): boolean {
    const world = twoHosts();
    const { net, tcp: sockets } = world.host("client");
    for (const [key, value] of Object.entries(sysctls)) net.sysctls.set(key, value);
    const listener = world.host("server").tcp.open();
    listener.bind(0, 80);
    listener.listen(1);
    const client = sockets.open({ keepAlive: {} });
    client.connect(parseIpv4("10.0.0.2"), 80);
    world.run(1e9);
    expect(client.state).toBe("ESTABLISHED");
    world.host("server").net.netfilter.load(parseRules("*filter\n:INPUT DROP [0:0]\nCOMMIT\n", "rules"));
    world.run(seconds * 1e9);
    return client.state === "ESTABLISHED";
  }

  test("tcp_keepalive_time 7200, tcp_keepalive_intvl 75, tcp_keepalive_probes 9", () => {
    expect([isOpen(7200 + 9 * 75 - 1), isOpen(7200 + 9 * 75 + 1)]).toEqual([true, false]);
    const sysctls = {
      "net.ipv4.tcp_keepalive_time": 100,
      "net.ipv4.tcp_keepalive_intvl": 10,
      "net.ipv4.tcp_keepalive_probes": 2,
    };
    expect([isOpen(119, sysctls), isOpen(121, sysctls)]).toEqual([true, false]);
  });

  test("ip_forward_update_priority 1: what is forwarded has the priority of its TOS", () => {
    const priority = (tos: number, sysctls: Record<string, number> = {}) => {
      const rules = table("mangle", "-A FORWARD -j CLASSIFY --set-class 0:9");
      const lab = new Lab(routerCase([fromClient(udp(`${CLIENT}:1`, `${SERVER}:2`, { tos }))], { rules, sysctls }));
      const seen: number[] = [];
      const { forward } = lab.world.host("router").net.netfilter;
      const run = forward.run.bind(forward);
      forward.run = (packet, input, output) => {
        seen.push(packet.priority);
        return run(packet, input, output);
      };
      lab.run();
      return seen[0];
    };
    expect([0, 2, 8, 16, 24].map((tos) => priority(tos))).toEqual([0, 0, 2, 6, 4]);
    expect(priority(16, { "net.ipv4.ip_forward_update_priority": 0 })).toBe(0);
  });
});

describe("numbers that describe what hopscope has no mechanism for", () => {
  const printed = (key: string) => new World(1).addNamespace("n").net.sysctls.read(key);

  test.each([
    ["net.bridge.bridge-nf-call-arptables", "1", "there is no arptables, whose rules bridged ARP would meet"],
    [
      "net.netfilter.nf_conntrack_buckets",
      "262144",
      "the table grows with its flows; only the time of a look-up depends on it",
    ],
    ["net.ipv4.tcp_retries1", "3", "after that many timeouts Linux forgets a connection's route; here none is kept"],
    ["net.ipv4.tcp_tw_reuse", "2", "a port in TIME_WAIT is not reused before its time, on loopback neither"],
    ["net.ipv4.tcp_ecn", "2", "no TCP here asks for ECN or grants it, as the README says"],
  ])("%s %s: %s", (key, value) => {
    expect(printed(key)).toBe(value);
  });

  test("8 gc_stale 60: while there are fewer than 128 entries (gc_thresh1) Linux collects none, however stale", () => {
    const { steps } = runRouter([
      {
        op: "frame",
        at: "c/eth0",
        frame: { eth: { src: "02:00:00:00:0c:77", dst: "ff:ff:ff:ff:ff:ff" }, arp: { spa: "10.0.1.77", tpa: INNER } },
      },
      sleep(3_600_000),
      stateOf(),
    ]);
    expect(
      neighboursAt(steps[2]!)
        .filter(({ ip }) => ip === "10.0.1.77")
        .map(({ state }) => state),
    ).toEqual([["STALE"]]);
    expect(printed("net.ipv4.neigh.default.gc_stale_time")).toBe("60");
  });

  test("2 security 50: iptables-legacy's; security stands at 150, where iptables-nft puts it", () => {
    expect(PRIORITY.security).toBe(150);
  });

  test("2 helper 300: nothing stands there, for since Linux 6.0 helpers are called when the flow is confirmed", () => {
    const numbers = Object.values(PRIORITY).sort((a, b) => a - b);
    expect(numbers.filter((number) => number > 150)).toEqual([PRIORITY.confirm]);
  });

  test("5 a UDP packet of the reverse direction is a reply, not a clash: two processors would have to meet", () => {
    const rules = `${TRACKING}${table("nat")}`;
    const back: LabStep = {
      op: "frame",
      at: "s/eth0",
      frame: { eth: { src: "02:00:00:00:05:09", dst: "02:00:00:00:01:02" }, ...udp(`${SERVER}:53`, `${CLIENT}:5000`) },
    };
    const flows = entries(runRouter([FLOW, back, FLOW], { rules }));
    expect(flows).toHaveLength(1);
    expect(flows[0]!.status).toContain("SEEN_REPLY");
    expect([flows[0]!.reply.sport, flows[0]!.reply.dport]).toEqual([53, 5000]);
  });
});
