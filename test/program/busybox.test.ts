import { expect, it } from "vitest";
import { parseCommand } from "../../src/program/commands.ts";
import { loadRules, run as runGnu, smallWorld, start } from "./small-world.ts";

const PLACE = { file: "test", line: 1, column: 1 };

/** BusyBox's program of that name; what it prints was compared with BusyBox 1.35's on Linux 6.18. */
function run(world: ReturnType<typeof smallWorld>, command: string) {
  const printed = start(world, "client", parseCommand(command, PLACE, "busybox"));
  world.run();
  return printed;
}

it("pings from sequence number 0, and says so in BusyBox's words", () => {
  const { lines, status } = run(smallWorld(), "ping -c 2 10.0.3.2");
  expect(lines).toEqual([
    "PING 10.0.3.2 (10.0.3.2): 56 data bytes",
    "64 bytes from 10.0.3.2: seq=0 ttl=62 time=0.000 ms",
    "64 bytes from 10.0.3.2: seq=1 ttl=62 time=0.000 ms",
    "",
    "--- 10.0.3.2 ping statistics ---",
    "2 packets transmitted, 2 packets received, 0% packet loss",
    "round-trip min/avg/max = 0.000/0.000/0.000 ms",
  ]);
  expect(status).toBe(0);
});

it("keeps ICMP errors from the pinging person", () => {
  const { lines, status } = run(smallWorld(), "ping -c 1 -W 1 -t 1 10.0.3.2");
  expect(lines.slice(1)).toEqual([
    "",
    "--- 10.0.3.2 ping statistics ---",
    "1 packets transmitted, 0 packets received, 100% packet loss",
  ]);
  expect(status).toBe(1);
});

it("ends a ping that the kernel refuses to send", () => {
  const world = smallWorld();
  loadRules(world, "client", "*filter\n-P OUTPUT DROP\nCOMMIT\n");
  const { lines, status } = run(world, "ping 10.0.3.2");
  expect(lines).toEqual(["PING 10.0.3.2 (10.0.3.2): 56 data bytes", "ping: sendto: Operation not permitted"]);
  expect(status).toBe(1);
});

it.each(["ping", "traceroute"])("says that %s was given a bad address, and ends with 1", (name) => {
  const { lines, status } = run(smallWorld(), `${name} nosuch.example`);
  expect([lines, status]).toEqual([[`${name}: bad address 'nosuch.example'`], 1]);
});

it("traces a route with shorter probes from one port, and two blanks before each answer", () => {
  const world = smallWorld();
  const { lines } = run(world, "traceroute -q 2 10.0.3.2");
  expect(lines).toEqual([
    "traceroute to 10.0.3.2 (10.0.3.2), 30 hops max, 46 byte packets",
    " 1  10.0.1.1 (10.0.1.1)  0.000 ms  0.000 ms",
    " 2  10.0.2.2 (10.0.2.2)  0.000 ms  0.000 ms",
    " 3  10.0.3.2 (10.0.3.2)  0.000 ms  0.000 ms",
  ]);
});

it("goes on behind one refusal of three probes, and stops behind two", () => {
  const refusing = (from: number) => {
    const world = smallWorld();
    loadRules(
      world,
      "router1",
      `*filter\n-A FORWARD -p udp --dport ${from}:65535 -j REJECT --reject-with icmp-host-unreachable\nCOMMIT\n`,
    );
    return run(world, "traceroute -n -w 1 -m 3 10.0.3.2").lines.slice(1);
  };
  expect(refusing(33_438)[1]).toBe(" 2  10.0.1.1  0.000 ms !H  0.000 ms !H  0.000 ms !H");
  expect(refusing(33_438)).toHaveLength(2);
  expect(refusing(33_440)).toHaveLength(3);
});

it("prints stars with two blanks, where Linux's traceroute has one", () => {
  const silent = () => {
    const world = smallWorld();
    loadRules(world, "router1", "*filter\n-A OUTPUT -p icmp -j DROP\nCOMMIT\n");
    return world;
  };
  expect(run(silent(), "traceroute -w 1 -m 1 10.0.3.2").lines[1]).toBe(" 1  *  *  *");
  expect(runGnu(silent(), "client", "traceroute -w 1 -m 1 10.0.3.2").lines[1]).toBe(" 1  * * *");
});
