import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { scenarioAround } from "../../src/scenario/compose-scenario.ts";
import { parseScenario, runScenario } from "../../src/scenario/scenario.ts";
import { formatIpv4 } from "../../src/wire/address.ts";

const FOLDER = fileURLToPath(new URL("./compose/", import.meta.url));
const readFile = (path: string) => readFileSync(path, "utf8");

function up(name: string, engine = "29") {
  const scenario = parseScenario(scenarioAround("compose.yaml", engine), `${FOLDER}${name}/scenario.yaml`, readFile);
  const outcome = runScenario(scenario);
  const docker = outcome.docker!;
  const containers = [...docker.containers.values()].map(
    ({ name: container, namespace, endpoints }) =>
      `${container} in ${namespace}: ${endpoints.map(({ network, address }) => `${network.name} ${formatIpv4(address)}`).join(", ")}`,
  );
  const notices = scenario.dockerPlan!.notices.map(({ text, place }) => `${place.line}: ${text}`);
  const ports = [...docker.containers.values()].flatMap(({ ports }) =>
    ports.map(
      ({ hostAddress, hostPort, containerPort, protocol }) => `${hostAddress}:${hostPort}>${containerPort}/${protocol}`,
    ),
  );
  return { ...outcome, docker, containers, notices, ports };
}

describe("compose files of five kinds come up", () => {
  it("a reverse proxy with two networks", () => {
    const { containers, notices, ports, docker } = up("reverse-proxy");
    expect(containers).toEqual([
      "edge-dockerproxy-1 in dockerproxy: dockerproxy 172.19.0.2",
      "edge-traefik-1 in traefik: proxy 172.18.0.2, dockerproxy 172.19.0.3",
      "edge-app-1 in app: edge_default 172.20.0.2, proxy 172.18.0.3",
      "edge-cache-1 in cache: edge_default 172.20.0.3",
    ]);
    expect(notices).toEqual(["52: links"]);
    expect(ports).toContain("127.0.0.1:8080>8080/tcp");
    expect(docker.containers.get("edge-traefik-1")!.endpoints[0]!.dnsNames).toContain("gateway.internal");
  });

  it("a database on an internal network", () => {
    const { containers, notices, docker } = up("database");
    expect(containers).toEqual([
      "database-db-1 in db: database_back 10.89.0.20",
      "database-migrate-1 in migrate: database_back 10.89.0.128",
      "database-web-1 in web: database_back 10.89.0.10, database_front 172.18.0.2",
    ]);
    expect(notices).toEqual(["37: enable_ipv6", "42: fd00:89::/64", "26: ipv6_address"]);
    const web = docker.containers.get("database-web-1")!;
    expect(web.hostsFile).toContain("172.17.0.1\thost.docker.internal\n192.0.2.7\tlegacy\n10.89.0.10\t");
    expect(web.resolvConf).toContain("# ExtServers: [192.0.2.53]");
    expect(web.endpoints.map(({ isGateway }) => isGateway)).toEqual([false, true]);
  });

  it("a K3s with two agents", () => {
    const { containers, docker, ports } = up("k3s");
    expect(containers.map((line) => line.split(" ")[0])).toEqual(["k3s-server-1", "k3s-agent-1", "k3s-agent-2"]);
    expect(ports.filter((port) => !port.startsWith("::"))).toHaveLength(6);
    const { environment, hostname } = docker.containers.get("k3s-server-1")!;
    expect(hostname).toBe("k3s-server");
    expect(environment.get("K3S_TOKEN")).toBe("secret");
    expect(environment.get("CONTAINERD_NO_PROXY")).toBe("10.42.0.0/16,10.43.0.0/16,.svc");
  });

  it("a VPN whose network others share", () => {
    const { containers, docker, world } = up("vpn");
    expect(containers).toEqual([
      "vpn in vpn: vpn_media 192.168.15.2",
      "vpn-torrent-1 in vpn: ",
      "vpn-indexer-1 in vpn: ",
      "vpn-player-1 in host: ",
    ]);
    expect(docker.networks.get("vpn_media")!.device).toBe("br-media");
    expect(world.device("vpn", "eth0")).toMatchObject({ mtu: 1420, macHigh: 0x0242 });
    expect(world.host("vpn").net.sysctls.effective("eth0", "src_valid_mark")).toBe(1);
  });

  it("a monitoring stack", () => {
    const { containers, notices } = up("monitoring");
    expect(containers).toHaveLength(6);
    expect(containers).toContain("monitoring-nodeexporter-1 in host: ");
    expect(notices).toEqual([]);
  });

  it.each(["23", "27", "28.0", "28.5", "29"])("of engine %s all of them", (engine) => {
    for (const name of ["reverse-proxy", "database", "k3s", "vpn", "monitoring"])
      expect(up(name, engine).containers.length).toBeGreaterThan(2);
  });
});
