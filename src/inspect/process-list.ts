import type { Container } from "../docker/model.ts";
import { dockerProcesses } from "../docker/process-list.ts";
import type { Machine } from "./machine.ts";
import { nowOf } from "./machine.ts";

/** A process as a tool shows it. */
export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly user: string;
  /** What the kernel calls it: at most 15 letters. */
  readonly name: string;
  readonly command: string;
  /** Virtual nanoseconds. */
  readonly started: number;
  readonly terminal: boolean;
  /** It is the tool that looks. */
  readonly looks: boolean;
}

/** What the kernel keeps of a name (`TASK_COMM_LEN`). */
const NAME_LENGTH = 15;

const nameOf = (command: string): string => command.replace(/ .*/s, "").replace(/^.*\//, "").slice(0, NAME_LENGTH);

/** Every process that is seen there, and the tool itself last. */
export function processRows(machine: Machine, tool: string): ProcessRow[] {
  const { docker, host, world } = machine;
  const place = host.net.name;
  const containers = [...(docker?.containers.values() ?? [])].filter(({ state }) => state === "running");
  const own = containers.find(({ namespace }) => namespace === place && namespace !== docker!.namespace);
  const rows = own === undefined ? hostRows(machine, containers) : containerRows(machine, own);
  const last = Math.max(...rows.map(({ pid }) => pid), own === undefined ? world.pids.last : 0);
  const row = { user: "root", name: nameOf(tool), command: tool, started: nowOf(machine), terminal: true, looks: true };
  return [...rows.sort((a, b) => a.pid - b.pid), { ...row, pid: last + 1, parent: own === undefined ? 1 : 0 }];
}

/** A container counts its processes from 1; what enters it has no parent there. */
function containerRows({ host }: Machine, container: Container): ProcessRow[] {
  const { processes } = container;
  const started = container.started ?? 0;
  const main = processes.map(({ command }) => row({ pid: 1, parent: 0, command, started }));
  const others = host.processes.all.map((each) => row({ ...each, pid: each.number, parent: 0 }));
  return [...main, ...others];
}

/** A machine sees those of its containers as well. */
function hostRows({ host, docker, world }: Machine, containers: readonly Container[]): ProcessRow[] {
  const given = host.processes.all.map((each) => row({ ...each, parent: each.parent ?? 1 }));
  const rows = given.some(({ pid }) => pid === 1)
    ? given
    : [row({ pid: 1, parent: 0, command: "/sbin/init" }), ...given];
  if (docker === null || docker.namespace !== host.net.name) return rows;
  const inside = containers
    .filter(({ namespace }) => namespace !== docker.namespace)
    .flatMap(({ namespace, shim }) => world.host(namespace).processes.all.map((each) => ({ ...each, parent: shim })));
  return [...rows, ...[...dockerProcesses(docker), ...inside].map(row)];
}

type Known = Pick<ProcessRow, "pid" | "parent" | "command"> & {
  readonly name?: string | null;
  readonly user?: string;
  readonly started?: number;
  readonly terminal?: boolean;
};

const row = ({ pid, parent, command, name, user = "root", started = 0, terminal = false }: Known): ProcessRow => ({
  pid,
  parent,
  user,
  name: name?.slice(0, NAME_LENGTH) ?? nameOf(command),
  command,
  started,
  terminal,
  looks: false,
});
