import { type Engine, isBefore } from "./engine.ts";
import type { Container, DockerHost, Process } from "./model.ts";

/** dockerd, and the containerd that it asks. */
export const DOCKERD_PID = 1180;
const CONTAINERD_PID = 1192;

/** What its unit starts: until 18.09 dockerd has a containerd of its own. */
export const dockerdCommand = (engine: Engine): string =>
  `/usr/bin/dockerd -H fd://${isBefore(engine, 18) ? "" : " --containerd=/run/containerd/containerd.sock"}`;

/** Every process of Docker on its host, with that of each container. */
export function dockerProcesses(host: DockerHost): Process[] {
  const { command, processes, containers } = host;
  const running = [...containers.values()].filter(({ state }) => state === "running");
  const found: Process[] = [
    { pid: DOCKERD_PID, parent: 1, command },
    { pid: CONTAINERD_PID, parent: ownsContainerd(host) ? DOCKERD_PID : 1, command: containerdCommand(host) },
    ...processes,
    ...running.flatMap((container) => [shimOf(host, container), ...container.processes]),
  ];
  return found.sort((a, b) => a.pid - b.pid);
}

/** dockerd starts a containerd where it is not told of one. */
const ownsContainerd = ({ command }: DockerHost): boolean => !/\s--containerd[= ]/.test(command);

function containerdCommand(host: DockerHost): string {
  const { engine, options } = host;
  if (!ownsContainerd(host)) return "/usr/bin/containerd";
  if (isBefore(engine, 18)) {
    const folder = "/var/run/docker/libcontainerd";
    return (
      `docker-containerd -l unix://${folder}/docker-containerd.sock --metrics-interval=0 --start-timeout 2m ` +
      `--state-dir ${folder}/containerd --shim docker-containerd-shim --runtime docker-runc`
    );
  }
  return `containerd --config /var/run/docker/containerd/containerd.toml --log-level ${options.debug ? "debug" : "info"}`;
}

/** What stands between containerd and a container's first process; from 20.10 on it is a child of init. */
function shimOf(host: DockerHost, { id, shim: pid }: Container): Process {
  const { engine } = host;
  const own = ownsContainerd(host);
  const socket = own ? "/var/run/docker/containerd/containerd.sock" : "/run/containerd/containerd.sock";
  if (isBefore(engine, 18)) {
    const command = `docker-containerd-shim ${id} /var/run/docker/libcontainerd/${id} docker-runc`;
    return { pid, parent: CONTAINERD_PID, command };
  }
  if (isBefore(engine, 20)) {
    const state = own ? "/var/lib/docker/containerd/daemon" : "/var/lib/containerd";
    const command =
      `containerd-shim -namespace moby -workdir ${state}/io.containerd.runtime.v1.linux/moby/${id} ` +
      `-address ${socket} -containerd-binary ${own ? "/usr/local/bin/containerd" : "/usr/bin/containerd"} ` +
      "-runtime-root /var/run/docker/runtime-runc";
    return { pid, parent: CONTAINERD_PID, command };
  }
  return { pid, parent: 1, command: `/usr/bin/containerd-shim-runc-v2 -namespace moby -id ${id} -address ${socket}` };
}
