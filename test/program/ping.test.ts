import { describe, expect, it } from "vitest";
import { Veth } from "../../src/link/veth.ts";
import type { World } from "../../src/world/world.ts";
import { loadRules, run, smallWorld, start } from "./small-world.ts";

const cable = (world: World, namespace: string, device: string): Veth => {
  const found = world.device(namespace, device);
  if (!(found instanceof Veth)) throw new Error("no cable");
  return found;
};

describe("ping", () => {
  it("prints what ping of iputils prints", () => {
    const { lines, status } = run(smallWorld(), "client", "ping -c 2 10.0.3.2");
    expect(lines).toEqual([
      "PING 10.0.3.2 (10.0.3.2) 56(84) bytes of data.",
      "64 bytes from 10.0.3.2: icmp_seq=1 ttl=62 time=0.000 ms",
      "64 bytes from 10.0.3.2: icmp_seq=2 ttl=62 time=0.000 ms",
      "",
      "--- 10.0.3.2 ping statistics ---",
      "2 packets transmitted, 2 received, 0% packet loss, time 1000ms",
      "rtt min/avg/max/mdev = 0.000/0.000/0.000/0.000 ms",
    ]);
    expect(status).toBe(0);
  });

  it("sends every interval, and ends with the last answer", () => {
    const world = smallWorld();
    const { seconds } = run(world, "client", "ping -c 3 -i 0.5 10.0.1.1");
    expect(seconds.slice(1, 4)).toEqual([0, 0.5, 1]);
    expect(world.fabric.scheduler.now).toBe(1e9);
  });

  it("measures the round trip with the digits of ping", () => {
    const times = (delay: number) => {
      const world = smallWorld();
      world.impair(cable(world, "client", "eth0"), { delay });
      return run(world, "client", "ping -c 2 10.0.1.1").lines[2];
    };
    expect(times(123_456)).toContain("time=0.123 ms");
    expect(times(1_234_567)).toContain("time=1.23 ms");
    expect(times(12_345_678)).toContain("time=12.3 ms");
    expect(times(123_456_789)).toContain("time=123 ms");
  });

  it("tells minimum, average, maximum and deviation", () => {
    const world = smallWorld();
    world.impair(cable(world, "client", "eth0"), { delay: 2_000_000 });
    const { lines } = run(world, "client", "ping -c 2 10.0.1.1");
    // The first one waits for ARP too.
    expect(lines.at(-1)).toBe("rtt min/avg/max/mdev = 2.000/3.000/4.000/1.000 ms");
  });

  it("waits ten seconds for a silent host", () => {
    const world = smallWorld();
    world.host("server").net.sysctls.set("net.ipv4.icmp_echo_ignore_all", 1);
    const { lines, status } = run(world, "client", "ping -c 1 10.0.3.2");
    expect(lines.slice(1)).toEqual([
      "",
      "--- 10.0.3.2 ping statistics ---",
      "1 packets transmitted, 0 received, 100% packet loss, time 0ms",
    ]);
    expect(status).toBe(1);
    expect(world.fabric.scheduler.now).toBe(10e9);
  });

  it("waits as long as -W says when nothing came at all", () => {
    const world = smallWorld();
    world.host("server").net.sysctls.set("net.ipv4.icmp_echo_ignore_all", 1);
    run(world, "client", "ping -c 2 -W 3 10.0.3.2");
    expect(world.fabric.scheduler.now).toBe(4e9);
  });

  it("ends at the deadline", () => {
    const world = smallWorld();
    const { lines } = run(world, "client", "ping -w 3 10.0.3.2");
    expect(lines).toContain("3 packets transmitted, 3 received, 0% packet loss, time 2000ms");
    expect(world.fabric.scheduler.now).toBe(3e9);
  });

  it("says that a host does not answer ARP", () => {
    const { lines, status } = run(smallWorld(), "client", "ping -c 1 10.0.1.77");
    expect(lines.slice(1)).toEqual([
      "From 10.0.1.2 icmp_seq=1 Destination Host Unreachable",
      "",
      "--- 10.0.1.77 ping statistics ---",
      "1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 3000ms",
    ]);
    expect(status).toBe(1);
  });

  it("says how many requests were under way at once", () => {
    const { lines } = run(smallWorld(), "client", "ping -c 3 10.0.1.77");
    expect(lines.slice(1, 4)).toEqual(
      [1, 2, 3].map((sequence) => `From 10.0.1.2 icmp_seq=${sequence} Destination Host Unreachable`),
    );
    expect(lines.at(-1)).toBe("pipe 3");
  });

  it("prints what a router says of its request", () => {
    const world = smallWorld();
    const second = (command: string) => run(world, "client", command).lines[1];
    expect(second("ping -c 1 -t 1 10.0.3.2")).toBe("From 10.0.1.1 icmp_seq=1 Time to live exceeded");
    expect(second("ping -c 1 -t 2 10.0.3.2")).toBe("From 10.0.2.2 icmp_seq=1 Time to live exceeded");
    expect(second("ping -c 1 10.9.9.9")).toBe("From 10.0.1.1 icmp_seq=1 Destination Net Unreachable");
    loadRules(world, "router2", "*filter\n-A FORWARD -p icmp -j REJECT --reject-with icmp-admin-prohibited\nCOMMIT\n");
    expect(second("ping -c 1 10.0.3.2")).toBe("From 10.0.2.2 icmp_seq=1 Packet filtered");
  });

  it("learns the MTU of the path, then refuses longer requests itself", () => {
    const world = smallWorld();
    for (const [namespace, device] of [
      ["router1", "eth1"],
      ["router2", "eth0"],
    ] as const)
      world.device(namespace, device).mtu = 1400;
    const { lines } = run(world, "client", "ping -c 2 -M do -s 1472 10.0.3.2");
    expect(lines.slice(1, 3)).toEqual([
      "From 10.0.1.1 icmp_seq=1 Frag needed and DF set (mtu = 1400)",
      "ping: local error: message too long, mtu=1400",
    ]);
    expect(lines.at(-1)).toBe("2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 1000ms");
  });

  it("sends long requests in fragments where it may", () => {
    const { lines } = run(smallWorld(), "client", "ping -c 1 -s 4000 10.0.3.2");
    expect(lines[1]).toBe("4008 bytes from 10.0.3.2: icmp_seq=1 ttl=62 time=0.000 ms");
  });

  it("counts an answer that comes twice", () => {
    const world = smallWorld();
    run(world, "client", "ping -c 1 10.0.1.1");
    world.impair(cable(world, "client", "eth0"), { duplicate: 1, delay: 1000 });
    const { lines } = run(world, "client", "ping -c 2 10.0.1.1");
    expect(lines[2]).toMatch(/icmp_seq=1 .* \(DUP!\)$/);
    expect(lines).toContain("2 packets transmitted, 2 received, +1 duplicates, 0% packet loss, time 1000ms");
  });

  it("refuses a destination without a route", () => {
    const { lines, status } = run(smallWorld(), "router2", "ping -c 1 192.0.2.1");
    expect(lines).toEqual(["ping: connect: Network is unreachable"]);
    expect(status).toBe(2);
  });

  it("says that a rule of its own host forbids sending", () => {
    const world = smallWorld();
    loadRules(world, "client", "*filter\n-A OUTPUT -p icmp -j DROP\nCOMMIT\n");
    expect(run(world, "client", "ping -c 1 -W 1 10.0.1.1").lines[1]).toBe("ping: sendmsg: Operation not permitted");
  });

  it("pings its own host", () => {
    expect(run(smallWorld(), "client", "ping -c 1 127.0.0.1").lines[1]).toBe(
      "64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=0.000 ms",
    );
  });

  it("keeps apart from another ping of the same host", () => {
    const world = smallWorld();
    const first = start(world, "client", "ping -c 2 10.0.3.2");
    const second = start(world, "client", "ping -c 3 10.0.1.1");
    world.run();
    expect(first.lines.filter((line) => line.includes("icmp_seq"))).toHaveLength(2);
    expect(second.lines.filter((line) => line.includes("icmp_seq"))).toHaveLength(3);
  });
});
