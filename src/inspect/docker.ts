import type { Container, DockerHost, DockerNetwork, PortBinding } from "../docker/model.ts";
import { formatIpv4, formatMac, formatPrefix } from "../wire/address.ts";
import { type Machine, nowOf } from "./machine.ts";
import { lines, type Printed, printed, Refusal } from "./printed.ts";

/** What the client of Docker reads: `ps`, `network ls` and `network inspect`; null for what changes something. */
export function docker(args: readonly string[], machine: Machine): Printed | null {
  const { docker: host } = machine;
  if (host === null || machine.host.net.name !== host.namespace) return null;
  const words = args[0] === "container" && ["ls", "ps"].includes(args[1] ?? "") ? ["ps", ...args.slice(2)] : args;
  const [command, sub, ...rest] = words;
  if (command === "ps") return printed(containers(host, machine, words.includes("-a")));
  if (command === "network" && (sub === "ls" || sub === "list")) return printed(networks(host));
  if (command === "network" && sub === "inspect") return inspect(host, rest);
  return null;
}

const classic = ({ engine }: DockerHost): boolean => Number.parseInt(engine.version, 10) < 20;

/** Columns as wide as their widest entry and three more; twenty at least before 20.10. */
function table(rows: readonly (readonly string[])[], least: number): string {
  const widths = rows[0]!.map((_, i) => Math.max(least, ...rows.map((row) => row[i]!.length + 3)));
  return lines(
    rows.map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join("")),
  );
}

function networks(host: DockerHost): string {
  const rows = [...host.networks.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ id, name, driver }) => [id.slice(0, 12), name, driver, "local"]);
  return table([["NETWORK ID", "NAME", "DRIVER", "SCOPE"], ...rows], classic(host) ? 20 : 0);
}

function containers(host: DockerHost, machine: Machine, all: boolean): string {
  const chosen = [...host.containers.values()].filter(({ state }) => all || state === "running").reverse();
  const rows = chosen.map((each) => [
    each.id.slice(0, 12),
    each.image,
    shortened(each.command),
    `${since(nowOf(machine) - each.created)} ago`,
    status(each, machine),
    each.ports.map(portText).join(", "),
    each.name,
  ]);
  return table(
    [["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"], ...rows],
    classic(host) ? 20 : 0,
  );
}

const shortened = (command: string): string => `"${command.length > 20 ? `${command.slice(0, 19)}…` : command}"`;

function status({ state, started }: Container, machine: Machine): string {
  if (state === "running") return `Up ${since(nowOf(machine) - started)}`;
  return state === "created" ? "Created" : "Exited (0)";
}

const portText = ({ hostAddress, hostPort, containerPort, protocol }: PortBinding): string =>
  `${hostAddress.includes(":") ? `[${hostAddress}]` : hostAddress}:${hostPort}->${containerPort}/${protocol}`;

/** `units.HumanDuration()`. */
function since(nanoseconds: number): string {
  const seconds = Math.floor(nanoseconds / 1e9);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(minutes / 60);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  return hours < 24 * 14 ? `${Math.floor(hours / 24)} days` : `${Math.floor(hours / 24 / 7)} weeks`;
}

function inspect(host: DockerHost, names: readonly string[]): Printed {
  const found: object[] = [];
  let err = "";
  for (const name of names) {
    const network =
      host.networks.get(name) ?? [...host.networks.values()].find(({ id }) => name.length >= 3 && id.startsWith(name));
    if (network === undefined) err += `Error response from daemon: network ${name} not found\n`;
    else found.push(networkValue(host, network));
  }
  if (names.length === 0) throw new Refusal('"docker network inspect" requires at least 1 argument.', 1);
  return { out: `${JSON.stringify(found, null, 4)}\n`, err, status: err === "" ? 0 : 1 };
}

function networkValue(host: DockerHost, network: DockerNetwork): object {
  const { ipam } = network;
  const major = Number.parseInt(host.engine.version, 10);
  const config =
    ipam === null
      ? null
      : [
          {
            Subnet: formatPrefix(ipam.subnet),
            ...(ipam.range === null ? {} : { IPRange: formatPrefix(ipam.range) }),
            ...(ipam.gateway === null ? {} : { Gateway: formatIpv4(ipam.gateway) }),
            ...(ipam.auxiliary.size === 0
              ? {}
              : {
                  AuxiliaryAddresses: Object.fromEntries(
                    [...ipam.auxiliary].map(([name, address]) => [name, formatIpv4(address)]),
                  ),
                }),
          },
        ];
  return {
    Name: network.name,
    Id: network.id,
    Created: new Date(network.created / 1e6).toISOString(),
    Scope: "local",
    Driver: network.driver,
    ...(major >= 28 ? { EnableIPv4: true } : {}),
    EnableIPv6: false,
    IPAM: { Driver: "default", Options: network.name === "bridge" || ipam === null ? null : {}, Config: config },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: Object.fromEntries(members(host, network)),
    Options: networkOptions(network),
    Labels: Object.fromEntries(network.labels),
  };
}

function members(host: DockerHost, network: DockerNetwork): [string, object][] {
  const found: [string, object][] = [];
  for (const { id, name, endpoints, state } of host.containers.values())
    for (const endpoint of state === "running" ? endpoints : [])
      if (endpoint.network.id === network.id)
        found.push([
          id,
          {
            Name: name,
            EndpointID: endpoint.id,
            MacAddress: formatMac(endpoint.mac.high, endpoint.mac.low),
            IPv4Address: `${formatIpv4(endpoint.address)}/${endpoint.length}`,
            IPv6Address: "",
          },
        ]);
  return found.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Of the default bridge Docker lists what it was made with; of others, what was asked for. */
function networkOptions(network: DockerNetwork): object {
  if (network.name !== "bridge") return Object.fromEntries([...network.options].sort(([a], [b]) => (a < b ? -1 : 1)));
  const option = (name: string) => `com.docker.network.bridge.${name}`;
  return {
    [option("default_bridge")]: "true",
    [option("enable_icc")]: String(network.icc),
    [option("enable_ip_masquerade")]: String(network.masquerade),
    [option("host_binding_ipv4")]: "0.0.0.0",
    [option("name")]: network.device,
    "com.docker.network.driver.mtu": String(network.mtu),
  };
}
