import pc from "picocolors";
import type { Container, DockerHost, PortBinding } from "../docker/model.ts";
import { formatPlan, type Plan } from "../docker/plan.ts";
import { runScenario } from "../scenario/scenario.ts";
import { formatStory } from "../trace/story.ts";
import { readTrace } from "../trace/trace.ts";
import { formatIpv4, formatPrefix } from "../wire/address.ts";
import { InputError } from "../wire/input-error.ts";
import { loadScenario } from "./scenario-file.ts";

/** `hopscope docker plan`: every step, as the commands that would do the same by hand. @throws {InputError} */
export function printPlan(file: string, engine: string | undefined): void {
  const { dockerPlan, file: path } = loadScenario(file, engine);
  if (dockerPlan === null)
    throw new InputError({ file: path, line: 1, column: 1 }, "no docker", "a compose file, or a scenario with docker");
  process.stdout.write(formatPlan(dockerPlan));
  tellNotices(dockerPlan);
}

export interface UpOptions {
  readonly engine?: string;
  /** Tells how it is built. */
  readonly trace?: true;
}

/** `hopscope up`: builds what Docker would build, and tells what there is. @throws {InputError} */
export function up(file: string, { engine, trace }: UpOptions): void {
  const scenario = loadScenario(file, engine);
  const { dockerPlan } = scenario;
  const { docker, recorder } = runScenario(scenario, { tellDocker: trace === true });
  if (docker === null || dockerPlan === null)
    throw new InputError({ file, line: 1, column: 1 }, "no docker", "a compose file, or a scenario with docker");
  const lines = [...created(docker), "", ...networks(docker), "", ...containers(docker), "", ...next(docker, file)];
  if (trace === true) process.stdout.write(`${formatStory(readTrace(recorder))}\n`);
  process.stdout.write(`${lines.join("\n")}\n`);
  tellNotices(dockerPlan);
}

/** What is about networking and not supported, with its line. */
function tellNotices({ notices }: Plan): void {
  for (const { text, place } of notices)
    process.stderr.write(`${place.file}:${place.line}:${place.column}: ${text} is not supported and left aside\n`);
}

const own = (docker: DockerHost) =>
  [...docker.networks.values()].filter(({ name }) => !["bridge", "host", "none"].includes(name));

/** As `docker compose up -d` tells it. */
function created(docker: DockerHost): string[] {
  const things = [
    ...own(docker).map(({ name }) => [`Network ${name}`, "Created"] as const),
    ...[...docker.containers.values()].map(({ name }) => [`Container ${name}`, "Started"] as const),
  ];
  const width = Math.max(0, ...things.map(([thing]) => thing.length));
  const title = `[+] Running ${things.length}/${things.length}`;
  return [title, ...things.map(([thing, state]) => ` ${pc.green("✔")} ${thing.padEnd(width)}  ${pc.green(state)}`)];
}

function networks(docker: DockerHost): string[] {
  const used = [...docker.containers.values()].flatMap(({ endpoints }) => endpoints.map(({ network }) => network));
  const shown = [...docker.networks.values()].filter((network) => used.includes(network));
  return columns([
    ["NETWORK", "DEVICE", "SUBNET", "GATEWAY"],
    ...shown.map(({ name, device, ipam, internal }) => [
      `${name}${internal ? " (internal)" : ""}`,
      device ?? "",
      ipam === null ? "" : formatPrefix(ipam.subnet),
      ipam?.gateway == null ? "" : formatIpv4(ipam.gateway),
    ]),
  ]);
}

function containers(docker: DockerHost): string[] {
  return columns([
    ["CONTAINER", "NAMESPACE", "ADDRESSES", "PORTS"],
    ...[...docker.containers.values()].map((container) => [
      container.name,
      container.namespace,
      addresses(container),
      container.ports
        .filter(({ hostAddress }) => hostAddress !== "::")
        .map(formatBinding)
        .join(", "),
    ]),
  ]);
}

function addresses({ endpoints, networkMode }: Container): string {
  if (endpoints.length === 0) return networkMode.startsWith("container:") ? "shared" : networkMode;
  return endpoints
    .map(({ address, device, isGateway }) => `${device} ${formatIpv4(address)}${isGateway ? "*" : ""}`)
    .join(", ");
}

const formatBinding = ({ hostAddress, hostPort, containerPort, protocol }: PortBinding): string =>
  `${hostAddress}:${hostPort}->${containerPort}/${protocol}`;

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("   ")
      .trimEnd(),
  );
}

function next(docker: DockerHost, file: string): string[] {
  const [first] = docker.containers.values();
  return [
    "(* the default route leaves here)",
    "",
    "What next:",
    `  hopscope docker plan ${file}   the commands that build this by hand`,
    `  hopscope shell ${file}         a prompt in every container and on the host`,
    ...(first === undefined ? [] : [`  hopscope exec ${file} ${first.namespace} -- ip addr`]),
  ];
}
