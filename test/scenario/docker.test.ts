import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ENGINES } from "../../src/docker/engine.ts";
import { formatTables, parseRules } from "../../src/kernel/netfilter/rule-text.ts";
import { parseScenario, runScenario } from "../../src/scenario/scenario.ts";
import { InputError } from "../../src/wire/input-error.ts";

/** A host with Docker and one neighbour in its network. */
function scenario(docker: string, rest = ""): string {
  return `title: Docker
namespaces:
  host:
    devices: { eth0: { addresses: [192.168.65.3/24] } }
    routes: [default via 192.168.65.1]
    files: { /etc/resolv.conf: "nameserver 192.168.65.1\\n" }
  lan:
    devices: { eth0: { addresses: [192.168.65.50/24] } }
links:
  - ends: [host/eth0, lan/eth0]
docker:
${docker
  .trim()
  .split("\n")
  .map((line) => `  ${line}`)
  .join("\n")}
${rest}`;
}

const run = (text: string) => runScenario(parseScenario(text, "docker.yaml"));

function refusal(docker: string, rest = ""): string {
  try {
    parseScenario(scenario(docker, rest), "docker.yaml");
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as InputError).message;
  }
  throw new Error("it was not refused");
}

/** c1 and c2 on the default network, web on one of its own, as in the recorded runs. */
const RECORDED = `
run:
  - docker run -d --name c1 -p 9000:9000 alpine
  - docker run -d --name c2 -p 127.0.0.1:9001:9001 alpine
  - docker network create -o com.docker.network.bridge.name=br-app app
  - docker run -d --name web --network app -p 8080:80 nginx`;

describe("rules in the host's namespace", () => {
  it.each([
    ["23", "classic-s1.rules"],
    ["29", "modern-29.rules"],
  ])("of engine %s are those that Linux had in %s", (engine, file) => {
    const { world } = run(scenario(`engine: ${engine}\n${RECORDED}`));
    const tables = [...world.host("host").net.netfilter.tables.values()];
    const recorded = readFileSync(new URL(`../kernel/recorded/${file}`, import.meta.url), "utf8");
    const text = (all: Parameters<typeof formatTables>[0]) =>
      formatTables(
        all.filter(({ name }) => ["filter", "nat"].includes(name)),
        { counters: false },
      );
    expect(text(tables)).toBe(text(parseRules(recorded, file)));
  });
});

describe("the rules of engine 17.05", () => {
  const NETWORK = (name: string) => `docker network create -o com.docker.network.bridge.name=br-${name} ${name}`;
  const printed = (lines: string, steps = "") => {
    const { world } = run(scenario(`engine: 17.05\n${lines}`, steps));
    const saved = formatTables([...world.host("host").net.netfilter.tables.values()], { counters: false });
    return saved.split("\n").filter((line) => /^:FORWARD|^-A (FORWARD|DOCKER)/.test(line));
  };

  // `setupIPTablesInternal()`, `ProgramChain()` and `isolateNetwork()` of its libnetwork.
  it("keep each pair of networks apart by two rules of their own", () => {
    const lines = `run: [${NETWORK("a")}, ${NETWORK("b")}, docker run -d --name web --network b -p 8080:80 nginx]`;
    const bridge = (name: string) => [
      `-A FORWARD -o ${name} -j DOCKER`,
      `-A FORWARD -o ${name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
      `-A FORWARD -i ${name} ! -o ${name} -j ACCEPT`,
      `-A FORWARD -i ${name} -o ${name} -j ACCEPT`,
    ];
    expect(printed(lines)).toEqual([
      ":FORWARD DROP [0:0]",
      "-A FORWARD -j DOCKER-ISOLATION",
      ...["br-b", "br-a", "docker0"].flatMap(bridge),
      "-A DOCKER -d 172.19.0.2/32 ! -i br-b -o br-b -p tcp -m tcp --dport 80 -j ACCEPT",
      "-A DOCKER-ISOLATION -i br-a -o br-b -j DROP",
      "-A DOCKER-ISOLATION -i br-b -o br-a -j DROP",
      "-A DOCKER-ISOLATION -i docker0 -o br-b -j DROP",
      "-A DOCKER-ISOLATION -i br-b -o docker0 -j DROP",
      "-A DOCKER-ISOLATION -i docker0 -o br-a -j DROP",
      "-A DOCKER-ISOLATION -i br-a -o docker0 -j DROP",
      "-A DOCKER-ISOLATION -j RETURN",
      "-A DOCKER -i br-b -j RETURN",
      "-A DOCKER -i br-a -j RETURN",
      "-A DOCKER -i docker0 -j RETURN",
      "-A DOCKER ! -i br-b -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.19.0.2:80",
    ]);
  });

  it("let no container of one network reach one of another", () => {
    const { programs } = run(
      scenario(
        "engine: 17.05\nrun: [docker network create a, docker run -d --name c1 --network a alpine, docker run -d --name c2 alpine]",
        "steps: [{ run: ping -c 1 -W 1 172.17.0.2, in: c1 }, { run: ping -c 1 172.18.0.2, in: host, name: host }]",
      ),
    );
    expect(programs.map(({ status }) => status)).toEqual([1, 0]);
  });
});

describe("networks that are removed", () => {
  const create = (name: string) => `docker network create -o com.docker.network.bridge.name=br-${name} ${name}`;

  it.each(ENGINES.map(({ name }) => name))("leave the rules of engine %s as they were before", (engine) => {
    const saved = (lines: string, steps: string) => {
      const { world } = run(scenario(`engine: "${engine}"\n${lines}`, steps));
      return formatTables([...world.host("host").net.netfilter.tables.values()], { counters: false });
    };
    const gone = "steps: [{ run: docker network rm a, in: host }, { run: docker network rm b, in: host }]";
    expect(saved(`run: [${create("a")}, ${create("b")}]`, gone)).toBe(saved("run: []", ""));
  });
});

describe("the networks that a container is connected to", () => {
  const RUN = "run: [docker network create app, docker create --name c alpine, docker run -d --name d alpine]";
  const having = (...commands: string[]) => {
    const steps = commands.map((command, i) => `  - { run: ${command}, in: host, name: step ${i} }`);
    const { docker } = run(scenario(RUN, `steps:\n${steps.join("\n")}`));
    const on = (name: string) => docker!.containers.get(name)!.endpoints.map(({ network }) => network.name);
    return { on, docker: docker! };
  };

  it("are joined when it starts, where it did not run", () => {
    const before = having("docker network connect app c");
    expect([before.on("c"), before.docker.containers.get("c")!.state]).toEqual([[], "created"]);
    expect(having("docker network connect app c", "docker start c").on("c")).toEqual(["bridge", "app"]);
  });

  it("outlive a restart, and those that it left stay away", () => {
    expect(having("docker network connect app d", "docker restart d").on("d")).toEqual(["bridge", "app"]);
    const left = having("docker network connect app d", "docker network disconnect bridge d", "docker restart d");
    expect(left.on("d")).toEqual(["app"]);
  });

  it.each([
    ["docker network disconnect app d", /is not connected to network app/],
    ["docker network connect bridge d", /endpoint with name d already exists in network bridge/],
    ["docker network connect host d", /cannot be joined/],
  ])("refuse %s", (command, why) => {
    expect(() => having(command)).toThrow(why);
  });

  it("are none beside another's or the host's", () => {
    const shared = (mode: string) => () =>
      run(
        scenario(
          `${RUN.replace("d alpine", `d --network ${mode} alpine`)}`,
          "steps: [{ run: docker network connect app d, in: host }]",
        ),
      );
    expect(shared("host")).toThrow(/sharing network namespace with another container or host/);
    expect(shared("none")).toThrow(/private \(none\) mode/);
  });
});

describe("an image that the scenario describes", () => {
  const IMAGE = `images:
  app:
    entrypoint: [/bin/serve]
    command: ["-p", "80"]
    expose: [80/tcp]
    env: { MODE: image, LANG: C }
    files: { /etc/os-release: "ID=alpine" }
`;

  it("gives its containers their command, their ports, their environment and their tools", () => {
    const { world, docker, programs } = run(
      scenario(
        `${IMAGE}run: [docker run -d --name web -P -e MODE=own app:2]`,
        "steps: [{ run: ping -c 1 172.17.0.1, in: web }]",
      ),
    );
    const web = docker!.containers.get("web")!;
    expect(web.processes.map(({ command }) => command)).toEqual(["/bin/serve -p 80"]);
    expect(web.ports.map(({ containerPort }) => containerPort)).toEqual([80, 80]);
    expect(world.host("web").env).toMatchObject({ MODE: "own", LANG: "C" });
    // BusyBox counts from 0.
    expect(programs.flatMap(({ lines }) => lines).some(({ text }) => text.includes(" seq=0 "))).toBe(true);
  });
});

describe("packets", () => {
  it("from the neighbour reach a published port, and the answer comes back translated", () => {
    const { programs, docker } = run(
      scenario(
        "run: [docker run -d --name c1 -p 9000:9000/udp alpine]",
        `steps:
  - { run: udp-echo-server 9000, in: c1 }
  - { run: udp-client 192.168.65.3 9000 hello, in: lan }`,
      ),
    );
    expect(programs[1]!.lines.map(({ text }) => text)).toEqual([
      expect.stringContaining('from 192.168.65.3:9000: 5 bytes "hello"'),
    ]);
    expect(docker!.containers.get("c1")!.ports).toEqual([
      { protocol: "udp", hostAddress: "0.0.0.0", hostPort: 9000, containerPort: 9000 },
      { protocol: "udp", hostAddress: "::", hostPort: 9000, containerPort: 9000 },
    ]);
  });

  it("find no container once it is removed, and its address is free for the next", () => {
    const { programs, docker } = run(
      scenario(
        "engine: 27\nrun: [docker run -d --name c1 alpine, docker run -d --name c2 alpine]",
        `steps:
  - { run: ping -c 1 172.17.0.3, in: c1, name: before }
  - { run: docker rm -f c2, in: host }
  - { run: ping -c 1 -W 1 172.17.0.3, in: c1, name: between }
  - { run: docker run -d --name c3 alpine, in: host }
  - { run: ping -c 1 172.17.0.3, in: c1, name: after }`,
      ),
    );
    expect(programs.map(({ status }) => status)).toEqual([0, 0, 1, 0, 0]);
    expect([...docker!.containers.keys()]).toEqual(["c1", "c3"]);
  });
});

describe("a container that is started again", () => {
  it("has its rules, its addresses and its ports once", () => {
    const docker = "run: [docker network create app, docker run -d --name web --network app -p 8080:80 nginx]";
    const { world } = run(scenario(docker, "steps:\n  - { run: docker restart web, in: host }"));
    const before = run(scenario(docker)).world;
    const rules = (namespace: string, of: typeof world) =>
      formatTables([...of.host(namespace).net.netfilter.tables.values()], { counters: false });
    for (const namespace of ["host", "web"]) expect(rules(namespace, world)).toBe(rules(namespace, before));
    expect(world.host("web").net.inDevices.size).toBe(2);
  });
});

describe("several networks", () => {
  const NETWORKS = `
run:
  - docker network create zeta
  - docker network create alpha
  - docker network create --internal inner
  - docker run -d --name c1 --network zeta -p 8080:80 nginx`;

  it("give the default route to the one whose name comes first, and the published ports move there", () => {
    const { docker } = run(
      scenario(
        NETWORKS,
        "steps:\n  - { run: docker network connect alpha c1, in: host }\n  - { run: docker network connect inner c1, in: host }",
      ),
    );
    const { endpoints } = docker!.containers.get("c1")!;
    expect(endpoints.map(({ network, device, isGateway }) => [network.name, device, isGateway])).toEqual([
      ["zeta", "eth0", false],
      ["alpha", "eth1", true],
      ["inner", "eth2", false],
    ]);
  });

  it("leave it where gw-priority says so", () => {
    const { world } = run(
      scenario(`run:
  - docker network create alpha
  - docker network create zeta
  - docker run -d --name c1 --network name=zeta,gw-priority=1 --network alpha nginx`),
    );
    const { net } = world.host("c1");
    const route = net.fib.lookup({ destination: 0x08080808, source: 0, tos: 0, mark: 0, in: 0, out: 0 });
    expect(route?.device?.device.name).toBe("eth0");
  });
});

describe("programs that Docker starts", () => {
  const SHOP = `
run:
  - docker network create app
  - docker run -d --name db --network app --network-alias database postgres
  - docker run -d --name web --network app -p 8080:80 nginx`;
  const ask = (name: string, as: string) => `  - { run: nslookup ${name}, in: web, name: ${as} }\n`;
  const text = (outcome: ReturnType<typeof run>, name: string) =>
    outcome.programs
      .find((program) => program.name === name)!
      .lines.map((line) => line.text)
      .join("\n");

  it("the DNS server on 127.0.0.11 answers names, aliases and addresses, until the container stops", () => {
    const outcome = run(
      scenario(
        SHOP,
        `steps:
${ask("database", "alias")}${ask("db.app", "qualified")}  - { run: nslookup 172.18.0.2, in: web, name: pointer }
  - { run: docker stop db, in: host }
${ask("db", "gone")}`,
      ),
    );
    expect(text(outcome, "alias")).toContain("Address: 172.18.0.2");
    expect(text(outcome, "qualified")).toContain("Address: 172.18.0.2");
    expect(text(outcome, "pointer")).toContain("name = db.app");
    expect(text(outcome, "gone")).toContain("server can't find db");
  });

  it.each([
    ["23", "172.18.0.3"],
    ["29", "192.168.65.3"],
  ])("of engine %s, what it does not know it asks from the namespace with %s", (engine, source) => {
    const outcome = run(
      scenario(
        `engine: ${engine}${SHOP}`.replace(/nameserver \S+/, ""),
        `steps:
  - { run: dns-server example.com=203.0.113.10, in: lan }
${ask("example.com", "ask")}`,
      ).replaceAll("192.168.65.1", "192.168.65.50"),
    );
    expect(text(outcome, "ask")).toContain("Address: 203.0.113.10");
    const [flow] = outcome.world.host("host").net.tracker.table;
    const from = [...outcome.world.host("host").net.tracker.table].map(({ original }) => original.source);
    expect(flow).toBeDefined();
    expect(from.map((address) => [24, 16, 8, 0].map((bits) => (address >>> bits) & 255).join("."))).toContain(source);
  });

  it("docker-proxy carries what the host sends to 127.0.0.1, and the container sees the bridge's address", () => {
    const { programs } = run(
      scenario(
        SHOP,
        "steps:\n  - { run: http-server 80, in: web }\n  - { run: 'curl http://127.0.0.1:8080/', in: host }",
      ),
    );
    expect(programs.map(({ status }) => status)).toEqual([null, 0]);
    expect(programs[0]!.lines.map((line) => line.text).join("\n")).toContain("172.18.0.1");
  });
});

describe("Docker Desktop", () => {
  const DESKTOP = (steps: string, container = "-p 8080:80") => `title: Desktop
namespaces:
  vm:
    devices: { eth0: { addresses: [192.168.65.3/24] } }
    routes: [default via 192.168.65.1]
    sysctls: { net.ipv4.ip_forward: 1 }
    files: { /etc/resolv.conf: "nameserver 192.168.65.1\\n" }
  mac:
    devices: { en0: { addresses: [198.51.100.7/24] } }
  lan:
    devices: { eth0: { addresses: [198.51.100.9/24] } }
translators:
  vpnkit: { preset: vpnkit, host: mac }
links:
  - ends: [vm/eth0, vpnkit/vm]
  - ends: [mac/en0, lan/eth0]
docker:
  in: vm
  engine: 23
  run: ["docker run -d --name web ${container} nginx"]
steps:
${steps}`;
  const texts = (steps: string, container?: string) =>
    run(DESKTOP(steps, container)).programs.map(({ lines }) => lines.map((line) => line.text).join("\n"));

  it("publishes a port on the machine itself, and the container sees a neighbour on its bridge", () => {
    const [server, client] = texts(
      "  - { run: http-server 80, in: web }\n  - { run: 'curl http://198.51.100.7:8080/', in: lan }",
    );
    expect(server).toContain("172.17.0.1");
    expect(client).not.toContain("refused");
  });

  it("resolves host.docker.internal and reaches the machine's loopback by it", () => {
    const [server, client] = texts(
      "  - { run: http-server -b 127.0.0.1 3333, in: mac }\n  - { run: 'curl http://host.docker.internal:3333/', in: web }",
      "",
    );
    expect(server).toContain("GET /");
    expect(client).not.toContain("Could not resolve");
  });

  it("closes the port with the container", () => {
    const curl = (name: string) => `  - { run: 'curl -s http://198.51.100.7:8080/', in: lan, name: ${name} }\n`;
    const steps = `  - { run: http-server 80, in: web }\n${curl("before")}  - { run: docker rm -f web, in: vm }\n${curl("after")}`;
    const { programs } = run(DESKTOP(steps));
    expect(programs.map(({ name, status }) => [name, status])).toEqual([
      ["http-server", null],
      ["before", 0],
      ["docker", 0],
      ["after", 7],
    ]);
  });

  it("takes host-gateway for the address that stands for the machine", () => {
    const { docker } = run(DESKTOP("  - { run: ping -c 1 127.0.0.1, in: web }", "--add-host=host:host-gateway"));
    expect(docker!.containers.get("web")!.hostsFile).toContain("192.168.65.2\thost");
  });
});

describe("a container that starts", () => {
  /** ARP requests of a device for its own address, by the second. */
  function announcements(engine: string, network = ""): number[] {
    const docker = `engine: "${engine}"\nrun: [docker network create -d macvlan --subnet 192.168.65.0/24 -o parent=eth0 pub]`;
    const step = `{ run: docker run -d --name c1${network} alpine, in: host }`;
    const { capture, recorder } = run(scenario(docker, `steps:\n  - ${step}`));
    return capture.frames.flatMap(({ bytes, time, place, direction }) => {
      const name = recorder.names.get(place);
      const here = name?.kind === "device" && name.namespace === "c1" && direction === "out";
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const gratuitous = view.getUint16(12) === 0x0806 && view.getInt32(28) === view.getInt32(38);
      return here && gratuitous ? [time / 1e9] : [];
    });
  }

  it.each([
    ["28.0", [0, 1, 2]],
    ["29", [0, 1, 2]],
    ["27", []],
    ["23", []],
  ])("announces its address under Docker %s at second %j", (engine, seconds) => {
    expect(announcements(engine)).toEqual(seconds);
    expect(announcements(engine, " --network pub")).toEqual(seconds);
  });

  it("teaches the neighbours of a macvlan network its MAC address", () => {
    const docker = "run: [docker network create -d macvlan --subnet 192.168.65.0/24 -o parent=eth0 pub]";
    const steps = `steps:
  - { run: docker run -d --name c1 --network pub --ip 192.168.65.77 alpine, in: host }
  - { run: ping -c 1 192.168.65.77, in: lan }
  - { run: docker rm c1, in: host, at: 3s }
  - { run: docker run -d --name c2 --network pub --ip 192.168.65.77 alpine, in: host }
  - { run: ping -c 1 192.168.65.77, in: lan, name: again }`;
    const { programs } = run(scenario(docker, steps));
    const [first, again] = ["ping", "again"].map((name) => programs.find((program) => program.name === name)!);
    expect([first!.status, again!.status]).toEqual([0, 0]);
  });
});

describe("macvlan and ipvlan networks", () => {
  const create = (driver: string, options: string) =>
    `docker network create -d ${driver} --subnet 10.9.0.0/24 ${options} up`;

  it("without a parent stand on a dummy device of their own, which goes with them", () => {
    const text = scenario(`run: [${create("macvlan", "")}, docker run -d --name c1 --network up alpine]`);
    const { world, docker } = run(text);
    const { device } = docker!.networks.get("up")!;
    expect(device).toMatch(/^dm-[0-9a-f]{12}$/);
    expect(world.findDevice("host", device!)!.up).toBe(true);
    const steps = "steps:\n  - { run: docker rm c1, in: host }\n  - { run: docker network rm up, in: host }";
    const after = run(`${text}\n${steps}`);
    expect(after.world.findDevice("host", device!)).toBeNull();
    expect(after.docker!.networks.has("up")).toBe(false);
  });

  it.each([
    [create("macvlan", "-o parent=eth9"), "invalid subinterface vlan name eth9, example formatting is eth0.10"],
    [create("macvlan", "-o parent=eth0 -o macvlan_mode=sideways"), "requested macvlan mode 'sideways' is not valid"],
    [create("ipvlan", "-o parent=eth0 -o ipvlan_mode=l3s"), "a mode that hopscope models (l2, l3)"],
  ])("are refused by %s", (command, says) => {
    expect(refusal(`run: ['${command}']`)).toContain(says);
  });

  it("of two kinds do not share a parent", () => {
    const second = create("ipvlan", "-o parent=eth0").replace("10.9", "10.8").replace(/ up$/, " up2");
    expect(refusal(`run: ['${create("macvlan", "-o parent=eth0")}', '${second}']`)).toContain("macvlan bridge");
  });

  it("publish no port and have no rules", () => {
    const { docker, world } = run(
      scenario(`run: [${create("macvlan", "-o parent=eth0")}, docker run -d --name c1 --network up -p 80:80 nginx]`),
    );
    expect(docker!.containers.get("c1")!.ports).toEqual([]);
    const rules = formatTables([...world.host("host").net.netfilter.tables.values()], { counters: false });
    expect(rules).not.toContain("10.9.0");
  });
});

describe("an external network", () => {
  const compose =
    "compose: { services: { web: { image: nginx, networks: [edge] } }, networks: { edge: { external: true } } }";

  it("is found where something made it before", () => {
    const { docker } = run(scenario(`run: [docker network create edge]\n${compose}`));
    expect(docker!.containers.get("docker-web-1")!.endpoints[0]!.network.name).toBe("edge");
  });

  it("that nothing made is refused in Compose's words", () => {
    expect(refusal(compose)).toContain("network edge declared as external, but could not be found");
  });
});

describe("what Docker refuses", () => {
  it("an engine that there is not", () => {
    expect(refusal("engine: 19")).toBe(
      "docker.yaml:12:11: found 19, expected an engine (no engine 19; there are 17.05, 19.03, 23, 27, 28.0, 28.5, 29)",
    );
  });

  it("a port that is allocated", () => {
    const message = refusal(
      "run:\n  - docker run -d --name a -p 8080:80 nginx\n  - docker run -d --name b -p 8080:80 nginx",
    );
    expect(message).toBe(
      'docker.yaml:14:33: found "8080:80", expected a port that is free (Docker: Bind for 0.0.0.0:8080 failed: port is already allocated)',
    );
  });

  it("a subnet that overlaps", () => {
    const message = refusal("run:\n  - docker network create --subnet 172.17.128.0/24 app");
    expect(message).toContain("Docker: invalid pool request: Pool overlaps with other one on this address space");
  });

  it("a network when the address pools have run dry: docker0 and thirty more fit", () => {
    const create = (count: number) =>
      `run:\n${Array.from({ length: count }, (_, i) => `  - docker network create n${i}`).join("\n")}`;
    expect(() => parseScenario(scenario(create(29)), "docker.yaml")).not.toThrow();
    expect(refusal(create(31))).toContain("Docker: all predefined address pools have been fully subnetted");
    expect(refusal(`engine: 23\n${create(31)}`)).toContain(
      "could not find an available, non-overlapping IPv4 address pool",
    );
  });

  it.each([
    ["docker run --network nowhere nginx", "network nowhere not found"],
    ["docker stop nobody", "No such container: nobody"],
    ["docker network create bridge", "network with name bridge already exists"],
    [
      "docker run --net bridge --ip 172.17.0.9 nginx",
      "user specified IP address is supported on user defined networks only",
    ],
    ["docker network create -d weave lan", "could not find plugin weave in v1 plugin registry: plugin not found"],
    ["docker run --frobnicate nginx", "unknown flag: --frobnicate"],
    ["docker frobnicate", "docker: unknown command: docker frobnicate"],
  ])("%s", (line, docker) => {
    expect(refusal(`run: ["${line}"]`)).toContain(`(Docker: ${docker})`);
  });

  it("a docker command in a scenario without Docker", () => {
    const text = "title: x\nnamespaces: { host: {} }\nsteps:\n  - { run: docker ps, in: host }";
    expect(() => parseScenario(text, "x.yaml")).toThrow("a scenario with docker");
  });
});
