import { z } from "zod";
import { HttpService, type Received } from "../program/http-service.ts";
import type { Environment, Program } from "../program/program.ts";
import { Stream } from "../program/stream.ts";
import { formatJson, NAMESPACE_ANNOTATION } from "./api.ts";
import { type Operation, tellOperation } from "./operation.ts";

export const CONTAINERD_SOCKET = "/run/containerd/containerd.sock";
const CONTAINERS = "/containerd.services.containers.v1.Containers";
const TASKS = "/containerd.services.tasks.v1.Tasks";
/** The annotation that gives a container's first process the number that it was planned with. */
const PID_ANNOTATION = "hopscope.pid";

/** What dockerd asks of containerd. */
export const CALLS = {
  createContainer: `${CONTAINERS}/Create`,
  createTask: `${TASKS}/Create`,
  startTask: `${TASKS}/Start`,
  killTask: `${TASKS}/Kill`,
  deleteTask: `${TASKS}/Delete`,
} as const;

const SPEC = z.looseObject({
  annotations: z.record(z.string(), z.string()),
  linux: z.looseObject({
    namespaces: z.array(z.looseObject({ type: z.string(), path: z.string().optional() })),
    sysctl: z.record(z.string(), z.string()),
  }),
});
type RuntimeSpec = z.infer<typeof SPEC>;
const CREATE = z.looseObject({ container: z.looseObject({ id: z.string(), spec: SPEC }) });
const TASK = z.looseObject({ container_id: z.string() });

/** The `config.json` of a container: with a network namespace to make, or one to join. */
export const runtimeSpec = (
  namespace: string,
  pid: number,
  makes: boolean,
  sysctl: Readonly<Record<string, string>>,
): RuntimeSpec => ({
  annotations: { [NAMESPACE_ANNOTATION]: namespace, [PID_ANNOTATION]: String(pid) },
  linux: {
    namespaces: [makes ? { type: "network" } : { type: "network", path: `/var/run/docker/netns/${namespace}` }],
    sysctl: { ...sysctl },
  },
});

/**
 * containerd and the runc that it starts: they make the namespace that libnetwork fills. Unlike containerd's gRPC, which
 * is Protocol Buffers over HTTP/2, the same calls are JSON over HTTP/1.1.
 */
export function containerd(host: string, perform: (operation: Operation) => void): Program {
  return {
    name: "containerd",
    serves: true,
    start(environment) {
      const { unix } = environment;
      const socket = unix.open();
      socket.bind(CONTAINERD_SOCKET);
      socket.listen();
      const runtime = new Runtime(environment, (operation) => {
        for (const line of tellOperation(operation, host)) environment.say(line);
        perform(operation);
      });
      socket.onAccept = (client) =>
        new HttpService(new Stream(client), (request, respond) => {
          const answer = runtime.handle(request);
          if (answer === null) respond({ status: 404 });
          else respond({ status: 200, body: formatJson(answer) });
        }).start();
    },
  };
}

class Runtime {
  private readonly specs = new Map<string, RuntimeSpec>();

  constructor(
    private readonly environment: Environment,
    private readonly perform: (operation: Operation) => void,
  ) {}

  private say(text: string): void {
    this.environment.say(text, this.environment.tcp.cause);
  }

  /** Null for a call that is none, or about no container. */
  handle({ method, target, body }: Received): object | null {
    if (method !== "POST") return null;
    let value: unknown;
    try {
      value = JSON.parse(body);
    } catch {
      return null;
    }
    if (target === CALLS.createContainer) {
      const { data } = CREATE.safeParse(value);
      if (data === undefined) return null;
      this.specs.set(data.container.id, data.container.spec);
      return {};
    }
    const { data } = TASK.safeParse(value);
    const spec = data === undefined ? undefined : this.specs.get(data.container_id);
    return spec === undefined ? null : this.task(target, data!.container_id, spec);
  }

  private task(target: string, id: string, spec: RuntimeSpec): object | null {
    const short = id.slice(0, 12);
    const pid = Number(spec.annotations[PID_ANNOTATION] ?? 0);
    switch (target) {
      case CALLS.createTask:
        this.say(`containerd: containerd-shim-runc-v2 -namespace moby -id ${short} start`);
        this.say(`runc: create ${short}, process ${pid}`);
        this.create(spec);
        return { container_id: id, pid };
      case CALLS.startTask:
        this.say(`runc: start ${short}`);
        return { pid };
      case CALLS.killTask:
        this.say(`runc: kill ${short} 15`);
        return {};
      case CALLS.deleteTask:
        this.say(`runc: delete ${short}`);
        this.specs.delete(id);
        return { pid };
    }
    return null;
  }

  /** Where the spec names no path, the network namespace is a new one. */
  private create({ annotations, linux }: RuntimeSpec): void {
    const network = linux.namespaces.find(({ type }) => type === "network");
    const name = annotations[NAMESPACE_ANNOTATION];
    if (network === undefined || network.path !== undefined || name === undefined) return;
    this.perform({ kind: "namespace", name });
    for (const [key, value] of Object.entries(linux.sysctl))
      this.perform({ kind: "sysctl", namespace: name, key, value: Number(value) });
  }
}
