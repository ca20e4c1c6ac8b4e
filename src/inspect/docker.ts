import { DOCKER_SOCKET } from "../docker/dockerd.ts";
import { type Container, commandOf, type DockerHost, type PortBinding } from "../docker/model.ts";
import { networkValue } from "../docker/network-view.ts";
import { type Machine, nowOf } from "./machine.ts";
import { lines, type Printed, printed, Refusal } from "./printed.ts";

/** What the client of Docker reads: `ps`, `network ls` and `network inspect`; null for what changes something. */
export function docker(args: readonly string[], machine: Machine): Printed | null {
  const { docker: host } = machine;
  if (host === null || !machine.host.unix.has(DOCKER_SOCKET)) return null;
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
    shortened(commandOf(each)),
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
  if (state === "running") return `Up ${since(nowOf(machine) - (started ?? 0))}`;
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
