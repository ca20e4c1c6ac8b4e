import { describe, expect, it } from "vitest";
import { parseScenario } from "../../src/scenario/scenario.ts";
import { Session } from "../../src/scenario/session.ts";
import { parseShellLine } from "../../src/scenario/shell-line.ts";

const TEXT = `title: Two containers
namespaces:
  host:
    devices: { eth0: { addresses: [192.168.1.2/24] } }
  lan:
    devices: { eth0: { addresses: [192.168.1.9/24] } }
    files: { /etc/os-release: "ID=alpine" }
links:
  - ends: [host/eth0, lan/eth0]
docker:
  engine: 29
  run: [docker run -d --name c1 debian, docker run -d --name c2 debian]
`;

function session() {
  const made = new Session(parseScenario(TEXT, "two.yaml"));
  const run = (place: string, line: string): { out: string; err: string; status: number | null } => {
    const said = { out: "", err: "", status: null as number | null };
    const output = { out: (text: string) => void (said.out += text), err: (text: string) => void (said.err += text) };
    const job = made.start(made.find(place)!, parseShellLine(line, () => "")[0]!.words, output);
    while (job.status === null && made.advance(job, made.world.fabric.scheduler.now + 1e9));
    return { ...said, status: job.status };
  };
  return { made, run };
}

describe("a person locks himself out, and finds the way back", () => {
  it("by the policy of INPUT", () => {
    const { run } = session();
    run("host", "iptables -P INPUT DROP");
    expect(run("c1", "ping -c 1 -W 1 172.17.0.1").status).toBe(1);
    expect(run("c1", "ping -c 1 172.17.0.3").status).toBe(0);
    run("host", "iptables -P INPUT ACCEPT");
    expect(run("c1", "ping -c 1 172.17.0.1").status).toBe(0);
  });

  it("by the policy of OUTPUT, which the kernel tells the sender", () => {
    const { run } = session();
    run("host", "iptables -P OUTPUT DROP");
    expect(run("host", "ping -c 1 192.168.1.9").out).toContain("ping: sendmsg: Operation not permitted\n");
    expect(run("lan", "ping -c 1 -W 1 192.168.1.2").out).toContain("100% packet loss");
  });

  it("by taking the device down", () => {
    const { run } = session();
    run("host", "ip link set eth0 down");
    expect(run("host", "ping -c 1 192.168.1.9")).toMatchObject({
      out: "ping: connect: Network is unreachable\n",
      status: 2,
    });
    expect(run("host", "tcpdump -i eth0")).toMatchObject({ err: "tcpdump: eth0: That device is not up\n", status: 1 });
    run("host", "ip link set eth0 up");
    expect(run("host", "ping -c 1 192.168.1.9").status).toBe(0);
  });

  it("by deleting the default route", () => {
    const { run } = session();
    run("c1", "ip route del default");
    expect(run("c1", "curl -s http://192.168.1.9/").status).toBe(7);
    expect(run("c1", "ip route add default via 172.17.0.1").status).toBe(0);
    expect(run("c1", "ping -c 1 192.168.1.2").status).toBe(0);
  });
});

describe("a command that there is not", () => {
  it.each([
    ["pnig x", "pnig: command not found; did you mean ping?"],
    ["iptable -L", "iptable: command not found; did you mean iptables?"],
    ["trcaeroute x", "trcaeroute: command not found; did you mean traceroute?"],
    ["frobnicate", "frobnicate: command not found; help lists what there is"],
    ["vim /etc/hosts", "vim: hopscope has it not; instead: files are in the scenario (files:)"],
    ["nft list ruleset", "nft: hopscope has it not; instead: iptables-save prints the same rules"],
  ])("%s: %s", (line, message) => {
    expect(session().run("host", line)).toEqual({ out: "", err: `${message}\n`, status: 127 });
  });
});

describe("docker exec", () => {
  it("runs a command in a container, by its name or the beginning of its ID", () => {
    const { made, run } = session();
    const [, id] = /^([0-9a-f]{12})/m.exec(run("host", "docker ps").out)!;
    expect(run("host", `docker exec -it ${id} hostname`).out).toBe(`${id}\n`);
    expect(run("host", "docker exec -e A=1 c1 ip -4 -br addr").out).toContain("172.17.0.2/16");
    expect(made.shellOf("host", ["docker", "exec", "-it", "c1", "bash"])).toBe("c1");
    expect(made.shellOf("host", ["docker", "exec", "-it", "c1", "ip", "addr"])).toBeNull();
  });

  it("says what Docker says of a container that is not there, or does not run", () => {
    const { run } = session();
    expect(run("host", "docker exec c9 sh").err).toBe("Error response from daemon: No such container: c9\n");
    run("host", "docker stop c2");
    expect(run("host", "docker exec c2 ip addr").err).toMatch(
      /^Error response from daemon: container [0-9a-f]{64} is not running\n$/,
    );
  });
});

it("lists no container that was removed among the places to go to", () => {
  const { made, run } = session();
  expect(made.places).toEqual(["host", "lan", "c1", "c2"]);
  run("host", "docker stop c2");
  run("host", "docker rm c2");
  expect(made.places).toEqual(["host", "lan", "c1"]);
});

it("lets virtual time pass while it sleeps", () => {
  const { made, run } = session();
  expect(run("host", "sleep 2.5").status).toBe(0);
  expect(made.world.fabric.scheduler.now).toBe(2.5e9);
  expect(run("host", "sleep x").err).toContain("seconds such as 2 or 0.5");
});

it("prints neighbours as net-tools' arp does, and as BusyBox's", () => {
  const { run } = session();
  run("host", "ping -c 1 192.168.1.9");
  expect(run("host", "arp -n").out).toMatch(
    /^Address {18}HWtype {2}HWaddress {11}Flags Mask {12}Iface\n192\.168\.1\.9 {14}ether {3}[0-9a-f:]{17} {3}C {21}eth0\n$/,
  );
  expect(run("host", "arp -an").out).toMatch(/^\? \(192\.168\.1\.9\) at [0-9a-f:]{17} \[ether\] on eth0\n$/);
  expect(run("lan", "arp -n").out).toMatch(/^\? \(192\.168\.1\.2\) at [0-9a-f:]{17} \[ether\] {2}on eth0\n$/);
  expect(run("host", "arp -n 192.168.1.77").out).toBe("192.168.1.77 (192.168.1.77) -- no entry\n");
});
