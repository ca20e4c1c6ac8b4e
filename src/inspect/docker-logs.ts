import type { DockerHost } from "../docker/model.ts";
import { findContainer } from "./docker-inspect.ts";
import { table } from "./docker-list.ts";
import { readOptions } from "./docker-options.ts";
import { type Machine, nowOf } from "./machine.ts";
import { lines, type Printed, printed, Refusal } from "./printed.ts";
import { clockText } from "./ps.ts";

/** `docker logs CONTAINER`: what the programs said that a scenario runs there. */
export function dockerLogs(host: DockerHost, machine: Machine, args: readonly string[]): Printed {
  const options = readOptions("logs CONTAINER", args, {
    tail: { letter: "n", value: true },
    timestamps: { letter: "t" },
  });
  const { namespace } = findContainer(host, needed(options.operands, "logs"));
  const { log } = machine.world.host(namespace);
  const [count = "all"] = options.values("tail");
  const kept = /^\d+$/.test(count) ? log.slice(Math.max(0, log.length - Number(count))) : log;
  const at = (time: number) =>
    options.has("timestamps")
      ? `${new Date(time / 1e6).toISOString().slice(0, 19)}.${String(time % 1e9).padStart(9, "0")}Z `
      : "";
  return printed(lines(kept.map(({ time, text }) => `${at(time)}${text}`)));
}

/** `docker top CONTAINER`: its processes as its host counts them. */
export function dockerTop(host: DockerHost, machine: Machine, args: readonly string[]): Printed {
  const { operands } = readOptions("top CONTAINER", args, {});
  const { namespace, processes, shim, state, id, started } = findContainer(host, needed(operands, "top"));
  if (state !== "running") throw new Refusal(`Error response from daemon: container ${id} is not running`, 1);
  const own = namespace === host.namespace ? [] : machine.world.host(namespace).processes.all;
  const main = processes.map((each) => ({ ...each, started: started ?? 0 }));
  const rows = [...main, ...own].map(({ pid, command, started: since }) => [
    "root",
    String(pid),
    String(shim),
    "0",
    clockText(since, nowOf(machine)),
    "?",
    "00:00:00",
    command,
  ]);
  return printed(table([["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"], ...rows], 20));
}

function needed([name]: readonly string[], command: string): string {
  if (name === undefined) throw new Refusal(`"docker ${command}" requires exactly 1 argument.`, 1);
  return name;
}
