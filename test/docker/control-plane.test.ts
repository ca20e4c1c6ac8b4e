import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { callsOf, readConnect, readContainer, readNetwork } from "../../src/docker/api.ts";
import type { Command, Word } from "../../src/docker/command.ts";
import { parseDockerLine } from "../../src/docker/command-line.ts";
import { runTool } from "../../src/inspect/command.ts";
import { formatTables } from "../../src/kernel/netfilter/rule-text.ts";
import { scenarioAround } from "../../src/scenario/compose-scenario.ts";
import {
  type Outcome,
  parseScenario,
  type RunOptions,
  runScenario,
  type Scenario,
} from "../../src/scenario/scenario.ts";
import { readTrace, type Step } from "../../src/trace/trace.ts";

const FOLDER = fileURLToPath(new URL("./compose/", import.meta.url));
const COMPOSE_FILES = ["reverse-proxy", "database", "k3s", "vpn", "monitoring"];
const readFile = (path: string) => readFileSync(path, "utf8");
const composed = (name: string, engine: string): Scenario =>
  parseScenario(scenarioAround("compose.yaml", engine), `${FOLDER}${name}/scenario.yaml`, readFile);

const PLACE = { file: "test", line: 1, column: 1 };
const line = (text: string): Command => parseDockerLine(text, PLACE).command;

function scenario(steps: readonly string[], { run = "", rest = "", daemon = "" } = {}): Scenario {
  const docker = [
    ...(daemon === "" ? [] : [`  daemon: ${daemon}`]),
    ...(run === "" ? ["  run: []"] : [`  run: [${run}]`]),
  ];
  return parseScenario(
    `title: Docker
namespaces:
  host:
    devices: { eth0: { addresses: [192.168.65.3/24] } }
  lan:
    devices: { eth0: { addresses: [192.168.65.50/24] } }
links:
  - ends: [host/eth0, lan/eth0]
docker:
${docker.join("\n")}
steps: [${steps.join(", ")}]
${rest}`,
    "docker.yaml",
  );
}

const printed = ({ programs }: Outcome, name = "docker"): string[] =>
  programs.find((program) => program.name === name)!.lines.map(({ text }) => text);

/** What happens to no packet, a line each. */
const told = ({ recorder }: Outcome): string[] =>
  readTrace(recorder).events.map((event: Step) => {
    if (event.kind === "program") return event.line;
    return event.kind === "unix" ? `${event.call} ${event.side} ${event.path} ${event.line}`.trim() : event.kind;
  });

/** What `pattern` finds first, in this order and with anything between. */
function expectInOrder(lines: readonly string[], patterns: readonly RegExp[]): void {
  let at = 0;
  for (const pattern of patterns) {
    const found = lines.findIndex((text, i) => i >= at && pattern.test(text));
    expect(found, `${pattern} after line ${at} of\n${lines.join("\n")}`).toBeGreaterThanOrEqual(0);
    at = found + 1;
  }
}

describe("Docker's API", () => {
  /** Places differ: what comes by the API stands in no file. */
  const placeless = (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value, (key, item: unknown) => {
        if (key === "place") return undefined;
        if (key === "ports" || key === "extraHosts")
          return (item as readonly object[]).map((each) => ({ ...each, text: undefined }));
        return item instanceof Map ? [...item] : item;
      }),
    );
  const LINES = [
    "docker run -d --name web nginx",
    "docker run -d --name web --hostname w -e A=1 -e B=x=y --label a.b=c --network app --ip 172.20.0.9 --network-alias www -p 8080:80 -p 127.0.0.1::53/udp --expose 99 nginx sleep 5",
    "docker create --name h --network host alpine",
    "docker run -d --name n --network none --sysctl net.ipv4.ip_forward=1 --dns 1.1.1.1 --dns-search x.org --add-host a:host-gateway alpine",
    "docker run -d --name s --network container:web -v /var/run/docker.sock:/run/d.sock:ro -P alpine",
    "docker run -d --name m --network name=b,gw-priority=3,alias=x --network a --mac-address 02:00:00:00:00:09 alpine",
  ];

  it.each(LINES)("carries %s", (text) => {
    const command = line(text) as Extract<Command, { kind: "create" }>;
    const [create, start] = callsOf(command);
    expect(placeless(readContainer(command.container.name.text, create!.body!))).toEqual(placeless(command.container));
    expect(start?.path).toBe(command.start ? "/containers/{id}/start" : undefined);
  });

  it.each([
    "docker network create app",
    "docker network create -d bridge --internal --subnet 10.9.0.0/16 --ip-range 10.9.5.0/24 --gateway 10.9.5.254 --aux-address r=10.9.5.7 -o com.docker.network.bridge.name=br-app --label x=y app",
  ])("carries %s", (text) => {
    const command = line(text) as Extract<Command, { kind: "network-create" }>;
    const read = readNetwork(callsOf(command)[0]!.body!);
    const driver: Word = { text: "bridge", place: PLACE };
    expect(placeless(read)).toEqual(placeless({ ...command.network, driver }));
  });

  it("carries docker network connect", () => {
    const command = line("docker network connect --ip 10.9.0.5 --alias x --gw-priority 2 app web");
    expect(placeless(readConnect("app", callsOf(command)[0]!.body!))).toEqual(placeless(command));
  });

  it.each(COMPOSE_FILES)("carries every container of %s", (name) => {
    for (const command of composed(name, "29").material.docker.commands)
      if (command.kind === "create")
        expect(placeless(readContainer(command.container.name.text, callsOf(command)[0]!.body!))).toEqual(
          placeless(command.container),
        );
  });
});

describe("docker run", () => {
  const RUN = ['{ run: "docker run -d --name web -p 8080:80 nginx", in: host }'];

  it("asks dockerd, which asks containerd, whose runc makes the namespace that dockerd then fills", () => {
    const outcome = runScenario(scenario(RUN));
    expectInOrder(told(outcome), [
      /^connect client \/var\/run\/docker.sock$/,
      /^write client \S+ HEAD \/_ping HTTP/,
      /^write client \S+ POST \/v1.55\/containers\/create\?name=web HTTP/,
      /^write server \S+ HTTP\/1.1 201 Created$/,
      /^write client \S+ POST \/v1.55\/containers\/[0-9a-f]{64}\/start HTTP/,
      /^write client \S+containerd.sock POST \/containerd.services.tasks.v1.Tasks\/Create HTTP/,
      /^runc: create/,
      /^\$ ip netns add web$/,
      /^dockerd: container web: joins network bridge$/,
      /^\$ ip link add veth\w{7} mtu 1500 type veth peer name eth0 netns web/,
      /^\$ brctl addif docker0 veth/,
      /^\$ ip -n web route add default via 172.17.0.1 dev eth0$/,
      /^\$ iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT/,
      /docker-proxy -proto tcp/,
      /^write client \S+containerd.sock POST \/containerd.services.tasks.v1.Tasks\/Start HTTP/,
      /^runc: start/,
      /^write server \S+docker.sock HTTP\/1.1 204 No Content$/,
    ]);
    expect(printed(outcome)).toEqual([outcome.docker!.containers.get("web")!.id]);
  });

  it("is the same in every run of one seed", () => {
    const text = () => told(runScenario(scenario(RUN)));
    expect(text()).toEqual(text());
  });

  it("by DOCKER_HOST=tcp:// goes through the network", () => {
    const step = '{ run: docker run -d --name web nginx, in: lan, env: { DOCKER_HOST: "tcp://192.168.65.3:2375" } }';
    const outcome = runScenario(scenario([step], { daemon: '{ hosts: ["tcp://0.0.0.0:2375"] }' }));
    expect(outcome.docker!.containers.get("web")!.state).toBe("running");
    const flows = readTrace(outcome.recorder).packets.flatMap(({ hops }) => hops.map(({ namespace }) => namespace));
    expect(flows).toContain("lan");
    expect(printed(outcome)[0]).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([
    [
      "29",
      "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory",
    ],
    ["27", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"],
  ])("where there is no socket says what the client of Docker %s says", (engine, says) => {
    const outcome = runScenario(scenario(["{ run: docker run -d --name web nginx, in: lan }"]), { engine });
    expect(printed(outcome)).toEqual([`docker: ${says}`]);
    expect(outcome.programs[0]!.status).toBe(125);
  });

  it("in a container that has the socket, read-only or not, makes a container on the host", () => {
    const run = "docker run -d --name ci -v /var/run/docker.sock:/var/run/docker.sock:ro docker:cli";
    const outcome = runScenario(scenario(["{ run: docker run -d --name made nginx, in: ci }"], { run }));
    expect(outcome.docker!.containers.get("made")!.state).toBe("running");
  });
});

describe("a daemon that cannot start a container", () => {
  it("says why, with the status of Docker's API, and takes back what it had begun", () => {
    const run = "docker run -d --name one -p 80:80 nginx";
    const body =
      '{"Image":"nginx","HostConfig":{"PortBindings":{"81/tcp":[{"HostPort":"81"}],"80/tcp":[{"HostPort":"80"}]}}}';
    const post = (path: string, name: string, data = "{}") =>
      `{ run: "curl -s -w %{http_code} -d '${data.replaceAll('"', '\\"')}' http://192.168.65.3:2375${path}", in: lan, name: ${name} }`;
    const steps = [post("/containers/create?name=two", "create", body), post("/containers/two/start", "start")];
    const outcome = runScenario(scenario(steps, { run, daemon: '{ hosts: ["tcp://0.0.0.0:2375"] }' }));
    const before = runScenario(scenario([], { run }));
    expect(printed(outcome, "create").at(-1)).toBe("201");
    const [message, status] = printed(outcome, "start");
    expect(message).toContain("Bind for 0.0.0.0:80 failed: port is already allocated");
    expect(status).toBe("500");
    expect(outcome.docker!.containers.get("two")!.state).toBe("created");
    const rules = ({ world }: Outcome) =>
      formatTables([...world.host("host").net.netfilter.tables.values()], { counters: false });
    expect(rules(outcome)).toBe(rules(before));
    expect(outcome.docker!.processes.length).toBe(before.docker!.processes.length);
  });

  it.each([
    ["/nothing", 404, "page not found"],
    ["/containers/web/start", 404, "No such container: web"],
    ["/containers/create?name=x", 400, "invalid JSON"],
    ["/networks/bridge/connect", 400, "invalid JSON"],
  ])("answers a POST of nonsense to %s with %i", (path, status, says) => {
    const step = `{ run: "curl -s -w %{http_code} -d nonsense http://192.168.65.3:2375${path}", in: lan }`;
    const outcome = runScenario(scenario([step], { daemon: '{ hosts: ["tcp://0.0.0.0:2375"] }' }));
    const lines = printed(outcome, "curl");
    expect(lines[0]).toContain(says);
    expect(lines[1]).toBe(String(status));
  });
});

describe("what Compose asks for by the API", () => {
  const state = (scenario: Scenario, options: RunOptions) => {
    const { world, docker } = runScenario(scenario, options);
    const hosts = [...world.hosts].map(([name, { net, files }]) => ({
      name,
      rules: formatTables([...net.netfilter.tables.values()], { counters: false }),
      devices: [...net.inDevices.values()].map(({ device, addresses }) => [
        device.name,
        device.mtu,
        device.up,
        device.macLow,
        addresses.map(({ address, length }) => [address, length]),
      ]),
      routes: runTool("ip", ["route"], { world, host: world.host(name), docker }),
      files: [...files].sort(),
    }));
    const containers = [...docker!.containers.values()].map(({ id, endpoints, ports }) => ({
      id,
      addresses: endpoints.map(({ address, isGateway }) => [address, isGateway]),
      ports,
    }));
    return { hosts, containers, processes: docker!.processes.map(({ command }) => command) };
  };

  it.each(COMPOSE_FILES.flatMap((name) => ["23", "29"].map((engine) => [name, engine])))(
    "builds %s under Docker %s as the plan does",
    (name, engine) => {
      expect(state(composed(name!, engine!), { tellDocker: true })).toEqual(state(composed(name!, engine!), {}));
    },
  );
});
