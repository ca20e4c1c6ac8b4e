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
      "ip route && ip addr",
      "trace",
      "exit",
      "exit",
    ];
    const { stderr, status } = hopscope(["shell", "same-bridge"], `${script.join("\n")}\n`);
    expect(stderr.split("\n").map((line) => line.slice(0, 60))).toEqual([
      'enter: no host or container "c9"; there are c1, c2, host',
      "pnig: command not found; hopscope knows brctl, bridge, cat, c".slice(0, 60),
      "ping: it would never end here; give it -c COUNT",
      "gerp: not known behind a pipe; hopscope knows cat, grep, head".slice(0, 60),
      'hopscope: a closing " is missing',
      'hopscope: "&&" is not understood here; a line may have | ; an'.slice(0, 60),
      "no packet yet: the last command sent none; try ping, curl or".slice(0, 60),
      "",
    ]);
    expect(status).toBe(1);
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
