import { containerSummary } from "../docker/container-view.ts";
import { isBefore } from "../docker/engine.ts";
import { type Container, commandOf, type DockerHost, type DockerNetwork } from "../docker/model.ts";
import { type DockerOptions, readOptions } from "./docker-options.ts";
import { portsText } from "./docker-port.ts";
import { formatTemplate } from "./go-template.ts";
import { type Machine, nowOf } from "./machine.ts";
import { lines, type Printed, printed, unmodelled } from "./printed.ts";

const classic = ({ engine }: DockerHost): boolean => isBefore(engine, 20);

/** Columns as wide as their widest entry and three more; twenty at least before 20.10. */
export function table(rows: readonly (readonly string[])[], least: number): string {
  const widths = rows[0]!.map((_, i) => Math.max(least, ...rows.map((row) => row[i]!.length + 3)));
  return lines(
    rows.map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join("")),
  );
}

/** `--format`, `-q`, or the client's own columns; a field is what both name it. */
function list(
  entries: readonly Readonly<Record<string, string>>[],
  columns: readonly (readonly [title: string, field: string])[],
  options: DockerOptions,
  host: DockerHost,
): Printed {
  if (options.has("quiet")) return printed(lines(entries.map(({ ID }) => ID!)));
  const [format] = options.values("format");
  if (format === undefined || format === "table") {
    const rows = entries.map((entry) => columns.map(([, field]) => entry[field]!));
    return printed(table([columns.map(([title]) => title), ...rows], classic(host) ? 20 : 0));
  }
  if (format === "json") return printed(lines(entries.map((entry) => JSON.stringify(entry))));
  const [, wanted] = /^table\s+(.*)$/s.exec(format) ?? [];
  if (wanted === undefined) return printed(lines(entries.map((entry) => formatTemplate(format, entry))));
  const titles = Object.fromEntries(columns.map(([title, field]) => [field, title]));
  const heads = new Proxy(titles, { get: (all, key) => all[String(key)] ?? String(key).toUpperCase() });
  const known = Object.fromEntries(Object.keys(entries[0] ?? {}).map((field) => [field, heads[field]]));
  const rows = [known, ...entries].map((entry) => formatTemplate(wanted, { ...titles, ...entry }).split("\t"));
  return printed(table(rows, classic(host) ? 20 : 0));
}

/** `docker network ls`. */
export function listNetworks(host: DockerHost, args: readonly string[]): Printed {
  const options = readOptions("network ls", args, {
    quiet: { letter: "q" },
    "no-trunc": {},
    format: { value: true },
    filter: { letter: "f", value: true },
  });
  const kept = filtersOf(options, {
    name: ({ name }: DockerNetwork, value) => name.includes(value),
    driver: ({ driver }, value) => driver === value,
    id: ({ id }, value) => id.startsWith(value),
  });
  const entries = [...host.networks.values()]
    .filter(kept)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ id, name, driver, internal, labels }) => ({
      ID: options.has("no-trunc") ? id : id.slice(0, 12),
      Name: name,
      Driver: driver,
      Scope: "local",
      Internal: String(internal),
      IPv6: "false",
      Labels: labelText(labels),
    }));
  const columns = [
    ["NETWORK ID", "ID"],
    ["NAME", "Name"],
    ["DRIVER", "Driver"],
    ["SCOPE", "Scope"],
  ] as const;
  return list(entries, columns, options, host);
}

/** `docker ps`. */
export function listContainers(host: DockerHost, machine: Machine, args: readonly string[]): Printed {
  const options = readOptions("ps", args, {
    all: { letter: "a" },
    quiet: { letter: "q" },
    "no-trunc": {},
    format: { value: true },
    filter: { letter: "f", value: true },
  });
  const kept = filtersOf(options, {
    name: ({ name }: Container, value) => name.includes(value),
    status: ({ state }, value) => state === value,
    network: ({ endpoints }, value) => endpoints.some(({ network }) => network.name === value || network.id === value),
    id: ({ id }, value) => id.startsWith(value),
  });
  const all = options.has("all") || options.values("filter").some((filter) => filter.startsWith("status="));
  const shown = [...host.containers.values()].filter((each) => (all || each.state === "running") && kept(each));
  const entries = shown.reverse().map((each) => containerEntry(each, host, machine, options.has("no-trunc")));
  const columns = [
    ["CONTAINER ID", "ID"],
    ["IMAGE", "Image"],
    ["COMMAND", "Command"],
    ["CREATED", "RunningFor"],
    ["STATUS", "Status"],
    ["PORTS", "Ports"],
    ["NAMES", "Names"],
  ] as const;
  return list(entries, columns, options, host);
}

function containerEntry(container: Container, host: DockerHost, machine: Machine, whole: boolean) {
  const { id, image, name, state, labels, created } = container;
  const { NetworkSettings } = containerSummary(container, host) as { NetworkSettings: { Networks: object } };
  return {
    ID: whole ? id : id.slice(0, 12),
    Image: image,
    Command: shortened(commandOf(container), whole),
    CreatedAt: `${new Date(created / 1e6).toISOString().slice(0, 19).replace("T", " ")} +0000 UTC`,
    RunningFor: `${since(nowOf(machine) - created)} ago`,
    Status: status(container, machine),
    State: state,
    Ports: portsText(container, host.engine),
    Names: name,
    Labels: labelText(labels),
    Networks: Object.keys(NetworkSettings.Networks).join(","),
  };
}

const labelText = (labels: ReadonlyMap<string, string>): string =>
  [...labels].map(([key, value]) => `${key}=${value}`).join(",");

/** Filters of one key are alternatives, those of several keys all hold. @throws {Refusal} */
function filtersOf<T>(
  options: DockerOptions,
  known: Readonly<Record<string, (each: T, value: string) => boolean>>,
): (each: T) => boolean {
  const byKey = new Map<string, string[]>();
  for (const filter of options.values("filter")) {
    const [, key = filter, value = ""] = /^([^=]+)=(.*)$/.exec(filter) ?? [];
    if (!Object.hasOwn(known, key)) throw unmodelled(`the filter ${filter}`, Object.keys(known).join(", "));
    byKey.set(key, [...(byKey.get(key) ?? []), value]);
  }
  return (each) => [...byKey].every(([key, values]) => values.some((value) => known[key]!(each, value)));
}

const shortened = (command: string, whole: boolean): string =>
  `"${command.length > 20 && !whole ? `${command.slice(0, 19)}…` : command}"`;

function status({ state, started, finished }: Container, machine: Machine): string {
  if (state === "running") return `Up ${since(nowOf(machine) - (started ?? 0))}`;
  return state === "created" ? "Created" : `Exited (0) ${since(nowOf(machine) - (finished ?? 0))} ago`;
}

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
