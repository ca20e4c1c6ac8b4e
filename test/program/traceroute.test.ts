import { describe, expect, it } from "vitest";
import { loadRules, run, smallWorld } from "./small-world.ts";

const HEAD = "traceroute to 10.0.3.2 (10.0.3.2), 30 hops max, 60 byte packets";

describe("traceroute", () => {
  it.each([
    ["UDP datagrams", "traceroute 10.0.3.2"],
    ["ICMP echo requests", "traceroute -I 10.0.3.2"],
  ])("finds every router with %s", (_, command) => {
    const { lines, status } = run(smallWorld(), "client", command);
    expect(lines).toEqual([
      HEAD,
      " 1  10.0.1.1 (10.0.1.1)  0.000 ms  0.000 ms  0.000 ms",
      " 2  10.0.2.2 (10.0.2.2)  0.000 ms  0.000 ms  0.000 ms",
      " 3  10.0.3.2 (10.0.3.2)  0.000 ms  0.000 ms  0.000 ms",
    ]);
    expect(status).toBe(0);
  });

  it("prints addresses alone with -n, and as many probes as -q says", () => {
    const { lines } = run(smallWorld(), "client", "traceroute -n -q 1 -f 2 10.0.3.2");
    expect(lines.slice(1)).toEqual([" 2  10.0.2.2  0.000 ms", " 3  10.0.3.2  0.000 ms"]);
  });

  it("prints a star for each probe that nobody answers in five seconds", () => {
    const world = smallWorld();
    loadRules(world, "router1", "*filter\n-A OUTPUT -p icmp -j DROP\nCOMMIT\n");
    const { lines, seconds } = run(world, "client", "traceroute 10.0.3.2");
    expect(lines.slice(1, 3)).toEqual([" 1  * * *", " 2  10.0.2.2 (10.0.2.2)  0.000 ms  0.000 ms  0.000 ms"]);
    expect(seconds.slice(1, 3)).toEqual([15, 15]);
  });

  it("gives up at the last hop", () => {
    const world = smallWorld();
    loadRules(world, "router1", "*filter\n-P FORWARD DROP\nCOMMIT\n");
    const { lines, status } = run(world, "client", "traceroute -m 3 -q 2 -w 1 10.0.3.2");
    expect(lines.slice(1)).toEqual([" 1  10.0.1.1 (10.0.1.1)  0.000 ms  0.000 ms", " 2  * *", " 3  * *"]);
    expect(status).toBe(0);
  });

  it.each([
    ["icmp-host-unreachable", "!H"],
    ["icmp-net-unreachable", "!N"],
    ["icmp-proto-unreachable", "!P"],
    ["icmp-admin-prohibited", "!X"],
    ["icmp-net-prohibited", "!X"],
  ])("marks %s with %s and goes no further", (reject, mark) => {
    const world = smallWorld();
    loadRules(world, "router2", `*filter\n-A FORWARD -j REJECT --reject-with ${reject}\nCOMMIT\n`);
    const { lines } = run(world, "client", "traceroute -q 1 10.0.3.2");
    expect(lines.slice(1)).toEqual([
      " 1  10.0.1.1 (10.0.1.1)  0.000 ms",
      " 2  10.0.2.2 (10.0.2.2)  0.000 ms",
      ` 3  10.0.2.2 (10.0.2.2)  0.000 ms ${mark}`,
    ]);
  });

  it("tells the MTU of a link that its probe does not fit", () => {
    const world = smallWorld();
    for (const name of ["eth1", "eth0"]) world.device(name === "eth1" ? "router1" : "router2", name).mtu = 576;
    expect(run(world, "client", "traceroute -q 1 10.0.3.2").lines).toHaveLength(4);
    world.device("router1", "eth1").mtu = 59;
    const { lines } = run(world, "client", "traceroute -q 1 10.0.3.2");
    expect(lines.at(-1)).toBe(" 2  10.0.1.1 (10.0.1.1)  0.000 ms !F-59");
  });

  it("names each router that answers for one hop", () => {
    const world = smallWorld();
    const { udp } = world.host("server");
    udp.open().bind(0, 33_434);
    const { lines } = run(world, "client", "traceroute -f 3 -m 3 -p 33434 -w 1 10.0.3.2");
    expect(lines[1]).toBe(" 3  * 10.0.3.2 (10.0.3.2)  0.000 ms  0.000 ms");
  });

  it("says that there is no route", () => {
    const { lines, status } = run(smallWorld(), "router2", "traceroute 192.0.2.1");
    expect(lines[1]).toBe("connect: Network is unreachable");
    expect(status).toBe(1);
  });
});
