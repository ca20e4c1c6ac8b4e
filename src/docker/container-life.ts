import { dial } from "../program/dial.ts";
import { HttpClient } from "../program/http-client.ts";
import { apiWord, formatJson } from "./api.ts";
import { CALLS, CONTAINERD_SOCKET, runtimeSpec } from "./containerd.ts";
import type { Daemon } from "./daemon.ts";
import type { Respond, Work } from "./dockerd-work.ts";
import type { Operation } from "./operation.ts";
import type { PlanStep } from "./plan.ts";
import type { ContainerRecord } from "./record.ts";

/** How containers start and end, with containerd's help. */
export class ContainerLife {
  private waiting: (readonly [ContainerRecord, () => void])[] = [];

  constructor(
    private readonly work: Work,
    /** Told what happens to a container. */
    private readonly tell: (action: string, container: ContainerRecord) => void,
  ) {}

  start(respond: Respond, name: string): void {
    this.work.enqueue((done) => {
      const found = this.work.guard(respond, () => {
        const container = this.work.daemon.containerOf(apiWord(name));
        if (container.state === "running") {
          respond({ status: 304 });
          done();
        } else this.run(container, respond, done);
      });
      if (!found) done();
    });
  }

  /** `containerStart()`: the task is created first, and started once its networks are there. */
  private run(container: ContainerRecord, respond: Respond, done: () => void): void {
    const { daemon } = this.work;
    daemon.now = this.work.environment.scheduler.now;
    const explain = (says: string) => explained(daemon, container, says);
    const planned = this.work.guard(
      respond,
      () => daemon.execute({ kind: "start", containers: [apiWord(container.name)] }),
      explain,
    );
    const steps = daemon.takeSteps();
    if (!planned) {
      this.work.perform(steps);
      done();
      return;
    }
    const isFirst = ({ operations }: PlanStep) => operations.some(({ kind }) => kind === "namespace");
    const pid = container.processes[0]?.pid ?? 0;
    const { id, namespace } = container;
    const sysctls = steps.filter(isFirst).flatMap(({ operations }) => operations);
    const spec = runtimeSpec(namespace, pid, sysctls.length > 0, sysctlsOf(sysctls));
    const create = [
      [CALLS.createContainer, { container: { id, spec } }],
      [CALLS.createTask, { container_id: id }],
    ] as const;
    this.askContainerd(create, () => {
      this.work.perform(steps.filter((step) => !isFirst(step)));
      this.askContainerd([[CALLS.startTask, { container_id: id }]], () => {
        this.tell("start", container);
        respond({ status: 204 });
        done();
      });
    });
  }

  /** Calls of containerd on one connection, one after the other. */
  private askContainerd(calls: readonly (readonly [string, object])[], then: () => void): void {
    const left = [...calls];
    dial(
      this.work.environment,
      { unix: CONTAINERD_SOCKET },
      {
        connected: (stream) => {
          const client = new HttpClient(stream);
          const next = (): void => {
            const call = left.shift();
            if (call === undefined) {
              client.close();
              then();
              return;
            }
            const [target, body] = call;
            client.send({ method: "POST", target, host: "localhost", body: formatJson(body) }, next);
          };
          next();
        },
        failed: (why) => this.work.environment.say(`dockerd: containerd: ${why}`),
      },
    );
  }

  stop(respond: Respond, name: string): void {
    this.work.enqueue((done) => {
      const found = this.work.guard(respond, () => {
        const container = this.work.daemon.containerOf(apiWord(name));
        if (container.state !== "running") {
          respond({ status: 304 });
          done();
          return;
        }
        this.halt(container, () => {
          respond({ status: 204 });
          done();
        });
      });
      if (!found) done();
    });
  }

  /** It answers once the container has ended. */
  wait(respond: Respond, name: string): void {
    const container = this.work.daemon.containerOf(apiWord(name));
    const answer = () => this.work.json(respond, 200, { StatusCode: 0 });
    if (container.state !== "running") answer();
    else this.waiting.push([container, answer]);
  }

  private halt(container: ContainerRecord, then: () => void): void {
    const task = { container_id: container.id };
    const calls = [
      [CALLS.killTask, task],
      [CALLS.deleteTask, task],
    ] as const;
    this.askContainerd(calls, () => {
      this.work.execute({ kind: "stop", containers: [apiWord(container.name)] });
      this.tell("die", container);
      for (const [who, answer] of this.waiting) if (who === container) answer();
      this.waiting = this.waiting.filter(([who]) => who !== container);
      then();
    });
  }

  restart(respond: Respond, name: string): void {
    this.work.enqueue((done) => {
      const found = this.work.guard(respond, () => {
        const container = this.work.daemon.containerOf(apiWord(name));
        const again = () => this.run(container, respond, done);
        if (container.state === "running") this.halt(container, again);
        else again();
      });
      if (!found) done();
    });
  }

  remove(respond: Respond, name: string): void {
    this.work.enqueue((done) => {
      const found = this.work.guard(respond, () => {
        const container = this.work.daemon.containerOf(apiWord(name));
        const finish = () => {
          this.work.execute({ kind: "remove", containers: [apiWord(container.name)] });
          this.tell("destroy", container);
          respond({ status: 204 });
          done();
        };
        if (container.state === "running") this.halt(container, finish);
        else finish();
      });
      if (!found) done();
    });
  }
}

const sysctlsOf = (operations: readonly Operation[]): Record<string, string> =>
  Object.fromEntries(operations.flatMap((each) => (each.kind === "sysctl" ? [[each.key, String(each.value)]] : [])));

/** Docker's words around the reason why a container's networks could not be set up. */
function explained({ engine }: Daemon, { name, id }: ContainerRecord, says: string): string {
  const port = says.startsWith("Bind for");
  const what = port ? `driver failed programming external connectivity on endpoint ${name} (${id}): ${says}` : says;
  return Number.parseInt(engine.version, 10) >= 28 ? `failed to set up container networking: ${what}` : what;
}
