import { unreachable } from "../docker/client.ts";
import { DOCKER_SOCKET } from "../docker/dockerd.ts";
import type { DockerHost } from "../docker/model.ts";
import { inspectAny, inspectContainers, inspectNetworks } from "./docker-inspect.ts";
import { listContainers, listNetworks } from "./docker-list.ts";
import { dockerLogs, dockerTop } from "./docker-logs.ts";
import { dockerPort } from "./docker-port.ts";
import type { Machine } from "./machine.ts";
import { type Printed, Refusal, unmodelled } from "./printed.ts";

type Reader = (host: DockerHost, machine: Machine, args: readonly string[]) => Printed;

/** What the client of Docker reads. */
const READERS: Readonly<Record<string, Reader>> = {
  ps: listContainers,
  "container ls": listContainers,
  "container ps": listContainers,
  inspect: (host, _, args) => inspectAny(host, args),
  "container inspect": (host, _, args) => inspectContainers(host, args),
  port: (host, _, args) => dockerPort(host, args),
  "container port": (host, _, args) => dockerPort(host, args),
  logs: dockerLogs,
  "container logs": dockerLogs,
  top: dockerTop,
  "container top": dockerTop,
  "network ls": (host, _, args) => listNetworks(host, args),
  "network list": (host, _, args) => listNetworks(host, args),
  "network inspect": (host, _, args) => inspectNetworks(host, args),
};

/** `docker`, where it changes nothing; null for what does, and where a scenario has no Docker. */
export function docker(args: readonly string[], machine: Machine): Printed | null {
  const { docker: host } = machine;
  const count = ["container", "network"].includes(args[0] ?? "") ? 2 : 1;
  const command = args.slice(0, count).join(" ");
  const reads = Object.hasOwn(READERS, command);
  if (host === null || !(reads || /^(container )?exec$/.test(command))) return null;
  checkSocket(host, machine, command);
  return reads ? READERS[command]!(host, machine, args.slice(count)) : null;
}

const HERE = `unix://${DOCKER_SOCKET}`;

/** @throws {Refusal} where dockerd's socket is not. */
function checkSocket({ engine }: DockerHost, { host }: Machine, command: string): void {
  const at = host.env["DOCKER_HOST"] || HERE;
  if (at !== HERE) throw unmodelled(`docker ${command} at ${at}`, `it where ${DOCKER_SOCKET} is`);
  if (host.unix.has(DOCKER_SOCKET)) return;
  throw new Refusal(unreachable(engine, HERE, `dial unix ${DOCKER_SOCKET}: connect: no such file or directory`), 1);
}
