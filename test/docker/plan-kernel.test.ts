import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { missingForKernel } from "../../src/cli/oracle/kernel.ts";
import { ENGINES } from "../../src/docker/engine.ts";
import { formatPlan } from "../../src/docker/plan.ts";
import type { Veth } from "../../src/link/veth.ts";
import { scenarioAround } from "../../src/scenario/compose-scenario.ts";
import { parseScenario, type Scenario } from "../../src/scenario/scenario.ts";
import { Session } from "../../src/scenario/session.ts";
import { formatMac } from "../../src/wire/address.ts";

/** The printed plan, run by a shell on this machine's kernel, makes what the model has. */

const TOOLS = ["ip", "brctl", "iptables", "iptables-save", "ipset", "conntrack", "sysctl", "unshare"];

function missingTool(): string | null {
  const lacking = TOOLS.filter((tool) => spawnSync("sh", ["-c", `command -v ${tool}`]).status !== 0);
  return lacking.length > 0 ? `no ${lacking.join(", ")}` : missingForKernel();
}

const missing = process.getuid?.() === 0 ? missingTool() : "it needs root";
const skipped = missing === null ? "" : ` (skipped: ${missing})`;

/** The host's own device: its address, and the number of its far end. */
interface Uplink {
  readonly mac: string;
  readonly outside: number;
}

/** The host as the model has it before dockerd, with `/run` and `/etc` of its own, so that nothing is left behind. */
const host = ({ mac, outside }: Uplink) => `set -eu
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/upper /run/work
mount -t sysfs sysfs /sys
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work /etc
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
sysctl -qw net.ipv4.ip_forward=0
ip link set lo up
ip netns add outside
for i in $(seq 3 ${outside}); do ip -n outside link add before$i type bridge; done
ip link add eth0 address ${mac} type veth peer name eth0 netns outside
ip -n outside link set eth0 up
ip addr add 192.168.1.10/24 brd + dev eth0
ip link set eth0 up
ip route add default via 192.168.1.1
`;

/** What a plan's shell is told instead of a line, and why. */
const INSTEAD: readonly (readonly [line: RegExp, instead: string, because: string])[] = [
  [/^.*docker-proxy .* &$/gm, ":", "docker-proxy is not installed, and makes no device, route or rule"],
  [/^.*arping .*$/gm, ":", "an announcement changes nothing that lasts"],
  [/^(.*conntrack -D.*)$/gm, "$1 2> /run/conntrack || true", "conntrack -D fails where there is no such flow"],
  [
    /^(ip netns add (\S+))$/gm,
    "$1; ip netns exec $2 sh -c 'sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1'",
    "no IPv6",
  ],
];

const COMMANDS = ["ip addr", "ip route", "ip rule", "bridge link", "iptables-save"];

/** What the kernel has once the plan's commands are done: of each namespace what each command prints. */
function onTheKernel(plan: string, uplink: Uplink, namespaces: readonly string[]): Record<string, string> {
  const lines = INSTEAD.reduce((text, [line, instead]) => text.replace(line, instead), plan);
  const dump = namespaces.flatMap((name) =>
    COMMANDS.map(
      (command) => `echo "== ${name}: ${command}"; ${name === "host" ? "" : `ip netns exec ${name} `}${command}`,
    ),
  );
  // linkwatch_event(): a device's state is told once a second.
  const input = `${host(uplink)}${lines}\nsleep 1.1\n${dump.join("\n")}\n`;
  const { stdout, stderr, status } = spawnSync("unshare", ["-n", "-m", "sh"], { input, encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const parts = stdout.split(/^== (.*)\n/m).slice(1);
  const found: Record<string, string> = {};
  for (let i = 0; i < parts.length; i += 2) found[parts[i]!] = parts[i + 1]!;
  return found;
}

function inTheModel(session: Session, namespaces: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of namespaces)
    for (const command of COMMANDS) {
      let text = "";
      const output = { out: (part: string) => void (text += part), err: (part: string) => void (text += part) };
      session.start(name, command.split(" "), output);
      found[`${name}: ${command}`] = text;
    }
  return found;
}

/** What the plan leaves to the kernel. No mask hides an address, a route, a rule or a device. */
const MASKS: readonly (readonly [because: string, mask: (text: string) => string])[] = [
  [
    "ip tells the name of a namespace that has one, else its number",
    (text) => text.replace(/link-netns(id \d+| \S+)/g, "link-netns"),
  ],
  [
    "the address of a cable's end on the host",
    (text) => text.replace(/(veth\w+@[^\n]*\n {4}link\/ether )\S+/g, "$1ADDRESS"),
  ],
  ["counters, and the clock", (text) => text.replace(/\[\d+:\d+\]/g, "[0:0]").replace(/^#.*\n/gm, "")],
];
const masked = (all: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(all).map(([key, text]) => [key, MASKS.reduce((seen, [, mask]) => mask(seen), text)]),
  );

const NETWORKS = `title: A plan
namespaces:
  host:
    devices: { eth0: { addresses: [192.168.1.10/24] } }
    routes: [default via 192.168.1.1]
  router:
    devices: { eth0: { addresses: [192.168.1.1/24] } }
links:
  - ends: [host/eth0, router/eth0]
`;
const RUN = [
  "docker network create app",
  "docker network create --internal --subnet 10.9.0.0/24 back",
  "docker network create -o com.docker.network.bridge.enable_icc=false -o com.docker.network.driver.mtu=1400 apart",
  "docker run -d --name c1 -p 9000:9000 -p 127.0.0.1:9001:9001 alpine",
  "docker run -d --name web --network app -p 8080:80 -p 53:53/udp --sysctl net.ipv4.ip_unprivileged_port_start=0 nginx",
  "docker network connect back web",
  "docker run -d --name db --network back postgres",
  "docker run -d --name lone --network apart alpine",
  "docker run -d --name off --network none alpine",
  "docker stop lone",
  "docker network rm apart",
];

function agree(scenario: Scenario): void {
  const session = new Session(scenario);
  const { dockerPlan } = scenario;
  const containers = [...session.containers.values()].filter(({ state }) => state === "running");
  const namespaces = [...new Set(["host", ...containers.map(({ namespace }) => namespace)])];
  const eth0 = session.world.device("host", "eth0") as Veth;
  const uplink = { mac: formatMac(eth0.macHigh, eth0.macLow), outside: eth0.peer.ifindex };
  const kernel = masked(onTheKernel(formatPlan(dockerPlan!), uplink, namespaces));
  const model = masked(inTheModel(session, namespaces));
  expect(Object.keys(kernel)).toEqual(Object.keys(model));
  for (const [what, text] of Object.entries(model)) expect(`${what}\n${kernel[what]}`).toBe(`${what}\n${text}`);
}

describe.skipIf(missing !== null)(`the printed plan of docker, done by hand on this machine's kernel${skipped}`, () => {
  const docker = (engine: string, daemon: string) =>
    `${NETWORKS}docker:\n  engine: "${engine}"\n  daemon: ${daemon}\n  run:\n${RUN.map((line) => `    - ${line}\n`).join("")}`;

  test.each(ENGINES.map(({ name }) => name))("makes the networks of engine %s", { timeout: 240_000 }, (engine) => {
    agree(parseScenario(docker(engine, "{}"), "plan.yaml"));
  });

  test.each(["23", "29"])("makes those of engine %s without docker-proxy", { timeout: 240_000 }, (engine) => {
    agree(parseScenario(docker(engine, "{ userland-proxy: false, icc: false, bip: 10.1.0.1/24 }"), "plan.yaml"));
  });

  const FOLDER = fileURLToPath(new URL("compose/", import.meta.url));
  test.each(["reverse-proxy", "database", "k3s", "vpn", "monitoring"])(
    "makes those of the compose file of %s",
    { timeout: 240_000 },
    (name) => {
      const around = scenarioAround("compose.yaml", null);
      agree(parseScenario(around, `${FOLDER}${name}/scenario.yaml`, (path) => readFileSync(path, "utf8")));
    },
  );
});
