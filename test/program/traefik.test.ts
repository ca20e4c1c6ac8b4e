import { describe, expect, it } from "vitest";
import { goProxy } from "../../src/program/go-proxy.ts";
import { parseImage } from "../../src/program/image.ts";
import { configure, type DockerContainer } from "../../src/program/traefik-docker.ts";
import { matches, parseRule } from "../../src/program/traefik-rule.ts";
import { parseUrl } from "../../src/program/url.ts";
import { Random } from "../../src/sim/random.ts";
import { smallWorld } from "./small-world.ts";

function environment(seed = 1) {
  const world = smallWorld();
  const host = world.host("client");
  return { ...host, scheduler: world.fabric.scheduler, random: new Random(seed), say() {}, exit() {} };
}

interface Given {
  readonly labels?: Readonly<Record<string, string>>;
  readonly networks?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly mode?: string;
}

const container = (name: string, { labels = {}, networks = {}, ports = [], mode = "x" }: Given): DockerContainer => ({
  Id: `${name}0000`,
  Name: `/${name}`,
  State: { Status: "running" },
  HostConfig: { NetworkMode: mode },
  Config: { Labels: labels },
  NetworkSettings: {
    Ports: Object.fromEntries(ports.map((port) => [port, null])),
    Networks: Object.fromEntries(Object.entries(networks).map(([key, IPAddress]) => [key, { IPAddress }])),
  },
});

const OPTIONS = { exposedByDefault: true, network: "", defaultRule: "" };

function addresses(containers: readonly DockerContainer[], options = OPTIONS, seed = 1): string[] {
  return configure(containers, options, environment(seed)).backends.map(({ address }) => address);
}

describe("Traefik's address of a container", () => {
  const two = { networks: { a: "10.0.0.2", b: "10.1.0.2" }, ports: ["80/tcp"] };

  it("is on the network of its label, else on that of the provider's option", () => {
    const labelled = container("web", { ...two, labels: { "traefik.docker.network": "b" } });
    expect(addresses([labelled])).toEqual(["10.1.0.2:80"]);
    expect(addresses([container("web", two)], { ...OPTIONS, network: "a" })).toEqual(["10.0.0.2:80"]);
    expect(addresses([labelled], { ...OPTIONS, network: "a" })).toEqual(["10.1.0.2:80"]);
  });

  it("is on any network where nothing is said, as chance has it", () => {
    const seen = new Set(Array.from({ length: 20 }, (_, seed) => addresses([container("web", two)], OPTIONS, seed)[0]));
    expect([...seen].sort()).toEqual(["10.0.0.2:80", "10.1.0.2:80"]);
  });

  it("is on any network where the label names none of them, with a warning", () => {
    const web = container("web", {
      networks: { a: "10.0.0.2" },
      ports: ["80/tcp"],
      labels: { "traefik.docker.network": "b" },
    });
    const { backends, warnings } = configure([web], OPTIONS, environment());
    expect(backends[0]!.address).toBe("10.0.0.2:80");
    expect(warnings[0]).toContain("Could not find network named 'b' for container 'web'");
  });

  it("is that of the container whose network it shares", () => {
    const vpn = container("vpn", { networks: { a: "10.0.0.9" }, labels: { "traefik.enable": "false" } });
    const app = container("app", { mode: `container:${vpn.Id}`, ports: ["8080/tcp"] });
    expect(addresses([vpn, app])).toEqual(["10.0.0.9:8080"]);
  });

  it("is 127.0.0.1 for host mode, where nothing else is known of the host", () => {
    expect(addresses([container("app", { mode: "host", ports: ["80/tcp"] })])).toEqual(["127.0.0.1:80"]);
  });
});

describe("Traefik's port of a container", () => {
  it("is the label's, else the lowest that is exposed", () => {
    const networks = { a: "10.0.0.2" };
    const labels = { "traefik.http.services.s.loadbalancer.server.port": "9000" };
    expect(addresses([container("web", { networks, ports: ["8080/tcp", "443/tcp"] })])).toEqual(["10.0.0.2:443"]);
    expect(addresses([container("web", { networks, labels, ports: ["443/tcp"] })])).toEqual(["10.0.0.2:9000"]);
  });

  it("is missing where none is exposed, and the container is left out", () => {
    const { backends, warnings } = configure(
      [container("web", { networks: { a: "10.0.0.2" } })],
      OPTIONS,
      environment(),
    );
    expect(backends).toEqual([]);
    expect(warnings[0]).toContain("port is missing");
  });
});

describe("a router's rule", () => {
  it("joins hosts and paths", () => {
    const rule = parseRule("Host(`a.example`, `b.example`) && PathPrefix(`/v1`) || Path(`/health`)")!;
    expect(matches(rule, "B.example", "/v1/x")).toBe(true);
    expect(matches(rule, "b.example", "/")).toBe(false);
    expect(matches(rule, "c.example", "/health")).toBe(true);
  });

  it("with other matchers is not read", () => {
    expect(parseRule("HostRegexp(`.*`)")).toBeNull();
  });
});

describe("a Go program's proxy", () => {
  const via = (url: string, env: Readonly<Record<string, string>>) => goProxy(env, parseUrl(url)!);
  const HTTP_PROXY = "http://p:3128";

  it("is in either case of the variable, by the scheme", () => {
    expect(via("http://x.org/", { HTTP_PROXY })).toBe(HTTP_PROXY);
    expect(via("http://x.org/", { http_proxy: HTTP_PROXY })).toBe(HTTP_PROXY);
    expect(via("https://x.org/", { HTTP_PROXY })).toBeNull();
  });

  it.each([
    ["http://localhost/", "", true],
    ["http://127.0.0.5/", "", true],
    ["http://a.x.org/", "x.org", true],
    ["http://x.org/", "x.org", true],
    ["http://x.org/", ".x.org", false],
    ["http://x.org:81/", "x.org:80", false],
    ["http://10.43.0.1/", "10.43.0.0/16,.svc", true],
    ["http://api.svc/", "10.43.0.0/16, .svc", true],
    ["http://y.org/", "x.org,*", true],
  ])("is left aside for %s with NO_PROXY=%s: %s", (url, NO_PROXY, bypassed) => {
    expect(via(url, { HTTP_PROXY, NO_PROXY }) === null).toBe(bypassed);
  });
});

describe("an image's name", () => {
  it.each([
    ["nginx", "docker.io", "library/nginx", "latest"],
    ["rancher/k3s:v1.30", "docker.io", "rancher/k3s", "v1.30"],
    ["192.0.2.1:5000/app", "192.0.2.1:5000", "app", "latest"],
    ["localhost/app:2", "localhost", "app", "2"],
    ["ghcr.io/a/b:1@sha256:00", "ghcr.io", "a/b", "1"],
  ])("%s is at %s", (text, registry, repository, tag) => {
    expect(parseImage(text)).toMatchObject({ registry, repository, tag });
  });
});
