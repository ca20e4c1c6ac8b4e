import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MAIN = "src/cli/main.ts";

function hopscope(args: readonly string[], input = "") {
  const { stdout, stderr, status } = spawnSync("node", ["--import", "tsx", MAIN, ...args], {
    cwd: ROOT,
    input,
    encoding: "utf8",
  });
  return { stdout, stderr, status };
}

describe("hopscope exec", { timeout: 60_000 }, () => {
  it("prints what the tool would and ends with its status", () => {
    const { stdout, stderr, status } = hopscope(["exec", "same-bridge", "c1", "--", "ip", "addr", "show", "nope"]);
    expect([stdout, stderr, status]).toEqual(["", 'Device "nope" does not exist.\n', 1]);
  });

  it("runs the steps of the scenario under tcpdump", () => {
    const { stdout, stderr, status } = hopscope(["exec", "same-bridge", "c2", "--", "tcpdump", "-nt", "icmp"]);
    expect(stdout.split("\n")[0]).toBe("IP 172.17.0.2 > 172.17.0.3: ICMP echo request, id 1, seq 1, length 64");
    expect(stderr).toMatch(/\n\d+ packets captured\n/);
    expect(status).toBe(0);
  });

  it("takes another engine than the scenario's own", () => {
    const args = [
      "exec",
      "--engine",
      "23",
      "way-to-the-internet",
      "c1",
      "--",
      "ip -br link | grep -c 02:42:ac:11:00:02",
    ];
    expect(hopscope(args).stdout).toBe("1\n");
  });

  it("names the hosts there are where it is given another", () => {
    const { stderr, status } = hopscope(["exec", "same-bridge", "c9", "--", "ip", "addr"]);
    expect(stderr).toContain("a host or container (c1, c2, host)");
    expect(status).toBe(2);
  });
});

describe("hopscope shell, fed by a script", { timeout: 60_000 }, () => {
  it("goes on after every mistake and says what to do next", () => {
    const script = [
      "enter c9",
      "enter c1",
      "pnig 172.17.0.3",
      "ping 172.17.0.3",
      "ip addr | gerp inet",
      'echo "unclosed',
      "ip route > file",
      "",
      "hlep",
      "sosreport",
      "sudo mtr 172.17.0.3",
      "cd",
      "ip route &&",
      "tcpdump -i nope",
      "trace",
      "exit",
      "exit",
    ];
    const { stderr, status } = hopscope(["shell", "same-bridge"], `${script.join("\n")}\n`);
    expect(stderr.split("\n").map((line) => line.slice(0, 60))).toEqual([
      'enter: no host or container "c9"; there are c1, c2, host',
      "pnig: command not found; did you mean ping?",
      "ping: it would never end here; give it -c COUNT",
      "gerp: not known behind a pipe; hopscope knows cat, grep, head".slice(0, 60),
      'hopscope: a closing " is missing',
      'hopscope: ">file" is not understood here: no files are writt',
      "hlep: command not found; did you mean help?",
      "sosreport: command not found; help lists what there is",
      "mtr: hopscope has it not; instead: traceroute",
      "enter: which one? there are c1, c2, host",
      "hopscope: a command is missing after && or ||",
      "tcpdump: nope: No such device exists",
      "(there are lo, eth0, any)",
      "no packet yet: the last command sent none; try ping, curl or".slice(0, 60),
      "",
    ]);
    expect(status).toBe(1);
  });

  it("shows packets beside the prompt until the count is full or the shell ends", () => {
    const script = [
      "enter c1",
      "tcpdump -n -c 2 icmp",
      "tcpdump -nt -i any arp | grep Request",
      "tcpdump -n | head",
      "ping -c 1 172.17.0.3 | grep -c bytes.from && echo reached || echo lost",
      "exit",
      "exit",
    ];
    const { stdout, stderr } = hopscope(["shell", "same-bridge"], `${script.join("\n")}\n`);
    expect(stdout.split("\n").map((line) => line.replace(/^[\d:.]+ /, ""))).toEqual([
      "eth0  Out ARP, Request who-has 172.17.0.3 tell 172.17.0.2, length 28",
      "IP 172.17.0.2 > 172.17.0.3: ICMP echo request, id 1, seq 1, length 64",
      "IP 172.17.0.3 > 172.17.0.2: ICMP echo reply, id 1, seq 1, length 64",
      "1",
      "reached",
      "",
    ]);
    expect(stderr).toContain(
      "head: tcpdump would have to end first; give it -c COUNT, or put grep PATTERN behind it\n",
    );
    expect(stderr).toContain("listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes\n");
    expect(stderr).toContain("2 packets captured\n2 packets received by filter\n0 packets dropped by kernel\n");
    expect(stderr.endsWith("\n2 packets captured\n2 packets received by filter\n0 packets dropped by kernel\n")).toBe(
      true,
    );
  });

  it("changes rules that the next packets meet", () => {
    const script = [
      "enter host",
      "iptables -I FORWARD -i docker0 -j DROP",
      "enter c1",
      "ping -c 1 -W 1 172.17.0.3",
      "enter host",
      "iptables -L FORWARD 1 -n -v",
    ];
    const { stdout } = hopscope(["shell", "same-bridge"], `${script.join("\n")}\n`);
    expect(stdout).toContain("1 packets transmitted, 0 received, 100% packet loss");
    expect(stdout).toMatch(/^ +1 +84 DROP +0 +-- +docker0 \*/m);
  });
});
