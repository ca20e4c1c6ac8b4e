import { describe, expect, it } from "vitest";
import { formatTemplate } from "../../src/inspect/go-template.ts";
import { Refusal } from "../../src/inspect/printed.ts";
import { parseScenario } from "../../src/scenario/scenario.ts";
import { Session } from "../../src/scenario/session.ts";

/** A session on a host with Docker, after all its steps. */
function session(engine: string): Session {
  const text = `title: Docker
namespaces:
  host:
    devices: { eth0: { type: dummy, addresses: [192.168.65.3/24] } }
docker:
  engine: "${engine}"
  images: { app: { expose: [80/tcp, 443/tcp], entrypoint: [/docker-entrypoint.sh], command: [serve, "a b"] } }
  run:
    - docker network create app
    - docker run -d --name web --network app -p 8080:80 -p 9000-9002:9000-9002 --restart on-failure:3 app
    - docker run -d --name c1 alpine
    - docker create --name c2 --privileged nginx
steps:
  - { run: http-server 80, in: web }
  - { run: "curl -s http://127.0.0.1:8080/", in: host }
`;
  const made = new Session(parseScenario(text, "docker.yaml"));
  made.runSteps();
  return made;
}

function run(on: Session, place: string, ...words: string[]) {
  let out = "";
  let err = "";
  const job = on.start(on.find(place)!, words, { out: (text) => (out += text), err: (text) => (err += text) });
  return { out, err, status: job.status };
}

describe("a template of Go", () => {
  const VALUE = {
    Name: "web",
    Ports: { "80/tcp": [{ HostPort: "8080" }], "443/tcp": null },
    Networks: { b: { IPAddress: "10.0.0.2" }, a: { IPAddress: "10.0.0.1" } },
    Args: ["x", "y"],
    Up: true,
  };

  it.each([
    ["{{.Name}}", "web"],
    ["{{ .Name }}\\t{{.Up}}", "web\ttrue"],
    ["{{json .Ports}}", '{"80/tcp":[{"HostPort":"8080"}],"443/tcp":null}'],
    ["{{range .Networks}}{{.IPAddress}} {{end}}", "10.0.0.1 10.0.0.2 "],
    ["{{range $k, $v := .Networks}}{{$k}}={{$v.IPAddress}};{{end}}", "a=10.0.0.1;b=10.0.0.2;"],
    ['{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"],
    ["{{with := 1}}", null],
    ['{{if index .Ports "443/tcp"}}open{{else}}shut{{end}}', "shut"],
    ['{{if eq .Name "web"}}yes{{end}}', "yes"],
    ['{{.Args}} {{len .Args}} {{join .Args ","}}', "[x y] 2 x,y"],
    ["{{.Args | json}}", '["x","y"]'],
    ["a {{- .Name -}} b", "awebb"],
    ["{{.Name", null],
    ["{{range .Args}}{{.}}", null],
    ["{{end}}", null],
    ["{{.Nope}}", null],
    ["{{upper .Name}}", null],
    ['{{"\\x"}}', null],
    ['{{index .Ports "constructor"}}', "<no value>"],
  ])("%s", (template, wanted) => {
    if (wanted === null) expect(() => formatTemplate(template, VALUE)).toThrow(Refusal);
    else expect(formatTemplate(template, VALUE)).toBe(wanted);
  });
});

it("an image may have any name", () => {
  const host = session("29");
  expect(run(host, "host", "docker", "run", "-d", "--name", "c3", "constructor").status).toBe(0);
  expect(run(host, "host", "docker", "inspect", "-f", "{{json .Config.Cmd}}", "c3").out).toMatch(/^(null|\[\])\n$/);
});

describe("docker port", () => {
  it("prints each published port, or one", () => {
    const host = session("28.5");
    const lines = run(host, "host", "docker", "port", "web").out.trim().split("\n");
    expect(lines).toHaveLength(8);
    expect(lines.slice(0, 2)).toEqual(["80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080"]);
    expect(run(host, "host", "docker", "port", "web", "9001").out).toBe("0.0.0.0:9001\n[::]:9001\n");
  });

  it.each([
    ["23", "Error: No public port '81/tcp' published for web\n"],
    ["29", "no public port '81' published for web\n"],
  ])("of engine %s complains in its words", (engine, err) => {
    expect(run(session(engine), "host", "docker", "port", "web", "81")).toEqual({ out: "", err, status: 1 });
  });
});

describe("docker ps", () => {
  it.each([
    [
      "23",
      "443/tcp, 0.0.0.0:9000-9002->9000-9002/tcp, :::9000-9002->9000-9002/tcp, 0.0.0.0:8080->80/tcp, :::8080->80/tcp",
    ],
    [
      "29",
      "443/tcp, 0.0.0.0:9000-9002->9000-9002/tcp, [::]:9000-9002->9000-9002/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
    ],
  ])("of engine %s shows ports as DisplayablePorts() groups them", (engine, ports) => {
    const { out } = run(session(engine), "host", "docker", "ps", "--filter", "name=web", "--format", "{{.Ports}}");
    expect(out).toBe(`${ports}\n`);
  });

  it("lists all, chosen and formatted", () => {
    const host = session("29");
    const ps = (...words: string[]) => run(host, "host", "docker", "ps", ...words).out;
    expect(ps("-a", "--format", "{{.Names}} {{.State}}")).toBe("c2 created\nc1 running\nweb running\n");
    expect(ps("-aq").trim().split("\n")).toHaveLength(3);
    expect(ps("-f", "network=app", "--format", "table {{.Names}}\\t{{.Networks}}")).toBe(
      "NAMES   NETWORKS\nweb     app\n",
    );
    expect(run(host, "host", "docker", "ps", "-z").err).toMatch(/^unknown shorthand flag: 'z' in -z\n/);
    expect(run(host, "host", "docker", "ps", "-f", "label=a").err).toMatch(/does not model the filter label=a/);
  });
});

describe("docker inspect", () => {
  const inspect = (engine: string, ...names: string[]) => {
    const { out, err, status } = run(session(engine), "host", "docker", "inspect", ...names);
    return { values: JSON.parse(out) as Record<string, never>[], err, status };
  };

  it("tells how a container is connected and what it was asked for", () => {
    const [web] = inspect("28.5", "web").values;
    expect(web).toMatchObject({
      Name: "/web",
      Path: "/docker-entrypoint.sh",
      Args: ["serve", "a b"],
      State: { Status: "running" },
      HostConfig: {
        NetworkMode: "app",
        RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 },
        PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] },
      },
      NetworkSettings: {
        IPAddress: "",
        Ports: { "443/tcp": null, "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }, { HostIp: "::" }] },
        Networks: { app: { IPAddress: "172.18.0.2", Gateway: "172.18.0.1", IPPrefixLen: 16 } },
      },
    });
  });

  it.each([
    ["27", ["IPAMConfig", "Links", "Aliases", "MacAddress", "DriverOpts", "NetworkID", "EndpointID", "Gateway"]],
    ["23", ["IPAMConfig", "Links", "Aliases", "NetworkID", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen"]],
  ])("of engine %s has its fields in their order", (engine, first) => {
    const [value] = inspect(engine, "c1").values as unknown as [{ NetworkSettings: { Networks: { bridge: object } } }];
    expect(Object.keys(value.NetworkSettings.Networks.bridge).slice(0, 8)).toEqual(first);
  });

  it("has the address beside its network until 28, and says what network was not given until 25", () => {
    type Value = { NetworkSettings: { IPAddress?: string }; HostConfig: { NetworkMode: string } };
    const of = (engine: string) => inspect(engine, "c1").values[0] as unknown as Value;
    expect(of("28.5").NetworkSettings.IPAddress).toBe("172.17.0.2");
    expect(of("29").NetworkSettings.IPAddress).toBeUndefined();
    expect([of("23"), of("29")].map(({ HostConfig }) => HostConfig.NetworkMode)).toEqual(["default", "bridge"]);
  });

  it("finds networks as well, and prints what it found beside its complaint", () => {
    const { values, err, status } = inspect("29", "c2", "app", "nope");
    expect(values.map(({ Name }) => Name)).toEqual(["/c2", "app"]);
    expect([err, status]).toEqual(["error: no such object: nope\n", 1]);
  });
});

describe("docker logs, docker top and docker exec", () => {
  const host = session("29");

  it("tell what runs in a container and what it said", () => {
    expect(run(host, "host", "docker", "logs", "web").out).toMatch(/^listening on 0.0.0.0:80\/tcp\nfrom .*GET \/ HTTP/);
    expect(run(host, "host", "docker", "logs", "--tail", "1", "web").out).toMatch(/^from [^\n]*\n$/);
    const rows = run(host, "host", "docker", "top", "web").out.trim().split("\n");
    expect(rows.map((row) => row.split(/ {3,}/).at(-1))).toEqual(["CMD", "serve a b", "http-server 80"]);
    expect(run(host, "host", "docker", "exec", "web", "ps", "-eo", "pid,args").out).toMatch(
      / {6}1 serve a b\n +7 http-server 80\n +\d+ ps -eo pid,args\n$/,
    );
  });

  it("complain about a container that is not there, or does not run", () => {
    const complaint = (...words: string[]) => run(host, "host", "docker", ...words).err;
    expect(complaint("logs", "x")).toBe("Error response from daemon: No such container: x\n");
    expect(complaint("top", "c2")).toMatch(/^Error response from daemon: container [0-9a-f]{64} is not running\n$/);
    expect(complaint("logs", "-f", "web")).toMatch(/unknown shorthand flag: 'f'/);
  });
});

describe("docker without dockerd's socket", () => {
  it.each([
    ["27", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n"],
    [
      "29",
      "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory\n",
    ],
  ])("says so in the words of engine %s", (engine, err) => {
    const host = session(engine);
    for (const words of [["ps"], ["inspect", "web"], ["exec", "web", "ps"], ["network", "ls"]])
      expect(run(host, "c1", "docker", ...words)).toEqual({ out: "", err, status: 1 });
  });

  it("does not ask elsewhere", () => {
    const host = session("29");
    host.world.host("c1").env["DOCKER_HOST"] = "tcp://172.17.0.1:2375";
    expect(run(host, "c1", "docker", "ps").err).toMatch(/does not model docker ps at tcp:\/\/172.17.0.1:2375/);
  });
});

describe("docker start", () => {
  it("that fails leaves a container as it was", () => {
    const host = session("29");
    const docker = (...words: string[]) => run(host, "host", "docker", ...words);
    docker("stop", "web");
    docker("network", "rm", "app");
    expect(docker("start", "web").out).toBe(
      "Error response from daemon: failed to set up container networking: network app not found\n",
    );
    expect(docker("ps", "-a", "-f", "name=web", "--format", "{{.State}} {{.Networks}}").out).toBe("exited app\n");
    docker("network", "create", "app");
    expect(docker("start", "web")).toMatchObject({ out: "web\n", status: 0 });
  });
});
