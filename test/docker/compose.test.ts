// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of compose files look so
import { describe, expect, it } from "vitest";
import type { ContainerSpec, NetworkSpec } from "../../src/docker/command.ts";
import { parseCompose } from "../../src/docker/compose.ts";
import { Source } from "../../src/docker/source.ts";

const read = (text: string, variables = {}) =>
  parseCompose(new Source(text, "compose.yaml"), { project: "Shop.1", variables });

function containers(text: string, variables = {}): ContainerSpec[] {
  return read(text, variables).commands.flatMap((command) => (command.kind === "create" ? [command.container] : []));
}

const networks = (text: string): NetworkSpec[] =>
  read(text).commands.flatMap((command) => (command.kind === "network-create" ? [command.network] : []));

const web = (lines: string) => `services:\n  web:\n    image: nginx\n${lines.replace(/^/gm, "    ")}\n`;

describe("names", () => {
  it("are of the project, the service and a number", () => {
    const [one, two] = containers(web("scale: 2"));
    expect([one!.name.text, two!.name.text]).toEqual(["shop1-web-1", "shop1-web-2"]);
    expect(networks(web("scale: 2")).map(({ name }) => name.text)).toEqual(["shop1_default"]);
  });

  it("are those that the file gives", () => {
    const text = `name: other\n${web("container_name: front")}networks: { default: { name: lan } }\n`;
    expect(containers(text)[0]!.name.text).toBe("front");
    expect(networks(text)[0]!.name.text).toBe("lan");
  });
});

describe("ports", () => {
  const ports = (lines: string) =>
    containers(web(lines))[0]!.ports.map(
      ({ hostAddress, hostPort, containerPort, protocol }) => `${hostAddress}:${hostPort}>${containerPort}/${protocol}`,
    );

  it.each([
    ["80", [":null>80/tcp"]],
    ['"8080:80"', [":8080>80/tcp"]],
    ['"127.0.0.1:8080:80"', ["127.0.0.1:8080>80/tcp"]],
    ['"127.0.0.1::80"', ["127.0.0.1:null>80/tcp"]],
    ['"53:53/udp"', [":53>53/udp"]],
    ['"7000-7001:8000-8001"', [":7000>8000/tcp", ":7001>8001/tcp"]],
    ['"[::1]:8080:80"', ["::1:8080>80/tcp"]],
    ["{ target: 80, published: 8080, host_ip: 127.0.0.1, protocol: udp }", ["127.0.0.1:8080>80/udp"]],
    ["{ target: 80 }", [":null>80/tcp"]],
  ])("%s", (port, expected) => expect(ports(`ports: [${port}]`)).toEqual(expected));

  it("are refused where they are none", () => {
    expect(() => read(web("ports:\n  - http"))).toThrow('compose.yaml:5:9: found "http", expected a port to publish');
    expect(() => read(web('ports:\n  - "80:70000"'))).toThrow("expected ports from 1 to 65535");
  });
});

describe("networking of a service", () => {
  const networking = (text: string, service = 0) => containers(text)[service]!.networking;

  it("is the project's default network when nothing is said", () => {
    expect(networking(web(""))).toMatchObject({
      kind: "networks",
      attachments: [{ network: { text: "shop1_default" }, aliases: ["web"] }],
    });
  });

  it("is in the order of priority, then of names", () => {
    const text = `${web("networks: { a: {}, b: { priority: 10, aliases: [x], gw_priority: 1 }, c: }")}networks: { a: {}, b: {}, c: {} }\n`;
    expect(networking(text)).toMatchObject({
      attachments: [
        { network: { text: "shop1_b" }, aliases: ["web", "x"], gatewayPriority: 1 },
        { network: { text: "shop1_a" } },
        { network: { text: "shop1_c" } },
      ],
    });
  });

  it.each([
    ["host", { kind: "host" }],
    ["none", { kind: "none" }],
    ["bridge", { attachments: [{ network: { text: "bridge" } }] }],
    ["container:other", { kind: "container", container: { text: "other" } }],
  ])("is network_mode %s", (mode, expected) =>
    expect(networking(web(`network_mode: ${mode}`))).toMatchObject(expected),
  );

  it("is another service's, which starts first", () => {
    const text = `services:\n  app: { image: a, network_mode: "service:vpn" }\n  vpn: { image: v }\n`;
    expect(containers(text).map(({ name }) => name.text)).toEqual(["shop1-vpn-1", "shop1-app-1"]);
    expect(networking(text, 1)).toMatchObject({ kind: "container", container: { text: "shop1-vpn-1" } });
  });
});

describe("variables", () => {
  it.each([
    ["${IMAGE}", "nginx"],
    ["$IMAGE", "nginx"],
    ["${NONE:-caddy}", "caddy"],
    ["${EMPTY:-caddy}", "caddy"],
    ["${EMPTY-caddy}", ""],
    ["${NONE:-${IMAGE}:2}", "nginx:2"],
    ["${IMAGE:+set}", "set"],
    ["$$IMAGE", "$IMAGE"],
  ])("%s", (text, expected) => {
    const [container] = containers(web(`hostname: "x${text}"`), { IMAGE: "nginx", EMPTY: "" });
    expect(container!.hostname).toBe(`x${expected}`);
  });

  it("that have to be set are asked for", () => {
    expect(() => read(web("hostname: ${NAME:?say who}"))).toThrow("required variable NAME is missing a value: say who");
  });
});

describe("what Compose refuses", () => {
  it.each([
    [
      web("networks: [front]"),
      'compose.yaml:4:16: found "front", expected a network of this file (there is none) (Docker: service "web" refers to undefined network front: invalid compose project)',
    ],
    [web("depends_on: [db]"), 'Docker: service "web" depends on undefined service "db": invalid compose project'],
    [web("network_mode: host\nnetworks: [default]"), "network_mode or networks, not both"],
    [web("ports: 80"), "compose.yaml:4:12: found 80, expected ports: a list"],
    ["services: [web]", "compose.yaml:1:11: found a list, expected services: a map"],
    ["version: 3", "compose.yaml:1:1: found no services, expected services: a map"],
    ["services:\n  web: [", "expected YAML"],
    [
      `${web("")}networks: { default: { ipam: { config: [{ subnet: 10.0.0.0/33 }] } } }`,
      "a subnet such as 172.28.0.0/16",
    ],
    [
      "services:\n  a: { image: a, depends_on: [b] }\n  b: { image: b, depends_on: [a] }",
      "Docker: dependency cycle detected",
    ],
  ])("%j", (text, message) => expect(() => read(text)).toThrow(message));
});

describe("what is not supported", () => {
  it("is named with its line when it is about networking, and passed over in silence when not", () => {
    const { notices } = read(
      `${web("volumes: [a:/b]\nprivileged: true\nlinks: [db]")}  db: { image: db }\nvolumes: { a: {} }\nnetworks: { default: { enable_ipv6: true } }\n`,
    );
    expect(notices.map(({ text, place }) => `${place.line} ${text}`)).toEqual(["9 enable_ipv6", "6 links"]);
  });
});

it("keeps keys that a merge brings", () => {
  const text = 'x-base: &base { ports: ["8080:80"], hostname: h }\nservices:\n  web: { <<: *base, image: nginx }\n';
  expect(containers(text)[0]).toMatchObject({ hostname: "h", ports: [{ hostPort: 8080 }] });
});
