import { describe, expect, it } from "vitest";
import { Capture } from "../../src/trace/capture.ts";
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

  it.each([
    ["ten times as long as a router behind it took, and a millisecond", "", 0.01],
    ["as long as -w says", "-w 2", 2],
    ["so many times as long", "-w 5,3,20", 0.02],
    ["one after the other with -N 1", "-N 1", 15],
  ])("waits for a silent router %s", (_, options, second) => {
    const world = smallWorld();
    loadRules(world, "router1", "*filter\n-A OUTPUT -p icmp -j DROP\nCOMMIT\n");
    const { lines, seconds } = run(world, "client", `traceroute ${options} 10.0.3.2`);
    expect(lines.slice(1, 3)).toEqual([" 1  * * *", " 2  10.0.2.2 (10.0.2.2)  0.000 ms  0.000 ms  0.000 ms"]);
    expect(seconds.slice(1, 3)).toEqual([second, second]);
  });

  it("has sixteen probes under way, of which one server answers six", () => {
    const world = smallWorld();
    const capture = new Capture(true);
    world.fabric.capture = capture;
    run(world, "client", "traceroute -n -q 2 10.0.3.2");
    const seen = capture.frames
      .filter(
        ({ bytes, place }) => place === world.device("client", "eth0").place && bytes[12] === 8 && bytes[13] === 0,
      )
      .map(({ bytes, direction }) => `${direction} ttl ${bytes[22]} protocol ${bytes[23]}`);
    expect(seen.filter((frame) => frame.startsWith("out")).map((frame) => frame.split(" ")[2])).toEqual(
      Array.from({ length: 16 }, (_, i) => `${(i >> 1) + 1}`),
    );
    expect(seen.filter((frame) => frame === "in ttl 62 protocol 1")).toHaveLength(6);
  });

  it("reads one answer of its only socket at a time, and sends a probe more for each, with -I and -T", () => {
    for (const option of ["-I", "-T"]) {
      const world = smallWorld();
      const capture = new Capture(true);
      world.fabric.capture = capture;
      const { lines } = run(world, "client", `traceroute -n ${option} 10.0.3.2`);
      expect(lines.at(-1)).toBe(" 3  10.0.3.2  0.000 ms  0.000 ms  0.000 ms");
      const { place } = world.device("client", "eth0");
      const sent = capture.frames.filter(
        (frame) => frame.place === place && frame.direction === "out" && frame.bytes[13] === 0,
      );
      expect(sent).toHaveLength(22);
    }
  });

  it("asks for the name of each address that it prints, and waits for it", () => {
    const world = smallWorld();
    world.host("client").files.set("/etc/resolv.conf", "nameserver 10.0.1.1\n");
    world.host("client").files.set("/etc/hosts", "10.0.3.2 server.lan\n");
    loadRules(world, "router1", "*filter\n-A INPUT -p udp --dport 53 -j DROP\nCOMMIT\n");
    const { lines, seconds } = run(world, "client", "traceroute -q 1 10.0.3.2");
    expect(lines.slice(1)).toEqual([
      " 1  10.0.1.1 (10.0.1.1)  0.000 ms",
      " 2  10.0.2.2 (10.0.2.2)  0.000 ms",
      " 3  server.lan (10.0.3.2)  0.000 ms",
    ]);
    expect(seconds.slice(1)).toEqual([20, 20, 20]);
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
    expect(run(smallWorld(), "router2", "traceroute -T 192.0.2.1").lines).toEqual(["connect: Network is unreachable"]);
  });

  it("says that a rule forbids its probes", () => {
    const world = smallWorld();
    loadRules(world, "client", "*filter\n-A OUTPUT -p udp -j DROP\nCOMMIT\n");
    const { lines, status } = run(world, "client", "traceroute 10.0.3.2");
    expect(lines).toEqual([HEAD, "send: Operation not permitted"]);
    expect(status).toBe(1);
  });

  it("lets the kernel refuse what a server accepts: the program there never hears of a SYN", () => {
    const world = smallWorld();
    const listener = world.host("server").tcp.open();
    listener.bind(0, 80);
    listener.listen();
    let accepted = 0;
    listener.onAccept = () => accepted++;
    expect(run(world, "client", "traceroute -n -T -q 1 10.0.3.2").lines.at(-1)).toBe(" 3  10.0.3.2  0.000 ms");
    expect(accepted).toBe(0);
    expect([...world.host("server").tcp.connections]).toHaveLength(0);
    expect(world.host("client").tcp.all).toHaveLength(0);
  });
});
