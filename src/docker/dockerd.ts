import { dial } from "../program/dial.ts";
import { HttpClient } from "../program/http-client.ts";
import { type Answering, HttpService, type Received } from "../program/http-service.ts";
import type { Environment, Program } from "../program/program.ts";
import { type PullSettings, pull } from "../program/pull.ts";
import { Stream, type StreamSocket } from "../program/stream.ts";
import { type ListenAt, listen } from "../program/tcp-listener.ts";
import { apiWord, formatJson, readConnect, readContainer, readDisconnect, readNetwork } from "./api.ts";
import { type Command, Refusal } from "./command.ts";
import { containerSummary, containerValue } from "./container-view.ts";
import { CALLS, CONTAINERD_SOCKET, runtimeSpec } from "./containerd.ts";
import type { Daemon } from "./daemon.ts";
import { networkValue } from "./network-view.ts";
import { type Operation, tellOperation } from "./operation.ts";
import type { PlanStep } from "./plan.ts";
import type { ContainerRecord } from "./record.ts";

export const DOCKER_SOCKET = "/var/run/docker.sock";

export interface DockerdOptions {
  readonly daemon: Daemon;
  /** `-H tcp://...`, beside the socket. */
  readonly listens: readonly ListenAt[];
  /** `insecure-registries` and `registry-mirrors` of daemon.json. */
  readonly registries: Omit<PullSettings, "client">;
  /** Does it to the world. */
  readonly perform: (operation: Operation) => void;
}

/** dockerd: Docker's HTTP API at its socket. What it does to the host it says, as the commands that would do the same. */
export function dockerd(options: DockerdOptions): Program {
  return {
    name: "dockerd",
    serves: true,
    start(environment) {
      const api = new Api(environment, options);
      const socket = environment.unix.open();
      socket.bind(DOCKER_SOCKET);
      socket.listen();
      socket.onAccept = (client) => api.serve(new Stream(client));
      for (const at of options.listens) listen(environment, "dockerd", at, (client) => api.serve(new Stream(client)));
    },
  };
}

type Respond = (answer: Answering) => void;
/** Calls `done` once all of it is done. */
type Job = (done: () => void) => void;

/** A call of the API by its method and its path, whose groups are handed over. */
type Route = readonly [string, RegExp, (api: Api, request: Received, respond: Respond, name: string) => void];

const NAMED = "/([^/]+)";
const ROUTES: readonly Route[] = [
  ["HEAD", /^\/_ping$/, (api, _, respond) => api.ping(respond)],
  ["GET", /^\/_ping$/, (api, _, respond) => api.ping(respond)],
  ["GET", /^\/version$/, (api, _, respond) => api.version(respond)],
  ["GET", /^\/containers\/json$/, (api, request, respond) => api.list(request, respond)],
  ["GET", new RegExp(`^/containers${NAMED}/json$`), (api, _, respond, name) => api.inspect(respond, name)],
  ["GET", /^\/networks$/, (api, _, respond) => api.networks(respond)],
  ["GET", new RegExp(`^/networks${NAMED}$`), (api, _, respond, name) => api.network(respond, name)],
  ["POST", /^\/networks\/create$/, (api, request, respond) => api.createNetwork(request, respond)],
  [
    "DELETE",
    new RegExp(`^/networks${NAMED}$`),
    (api, _, respond, name) => api.change(respond, 204, { kind: "network-remove", networks: [apiWord(name)] }),
  ],
  [
    "POST",
    new RegExp(`^/networks${NAMED}/connect$`),
    (api, { body }, respond, name) => api.change(respond, 200, readConnect(name, body)),
  ],
  [
    "POST",
    new RegExp(`^/networks${NAMED}/disconnect$`),
    (api, { body }, respond, name) => api.change(respond, 200, readDisconnect(name, body)),
  ],
  ["POST", /^\/containers\/create$/, (api, request, respond) => api.createContainer(request, respond)],
  ["POST", new RegExp(`^/containers${NAMED}/start$`), (api, _, respond, name) => api.start(respond, name)],
  ["POST", new RegExp(`^/containers${NAMED}/(?:stop|kill)$`), (api, _, respond, name) => api.stop(respond, name)],
  ["POST", new RegExp(`^/containers${NAMED}/wait$`), (api, _, respond, name) => api.wait(respond, name)],
  ["POST", new RegExp(`^/containers${NAMED}/restart$`), (api, _, respond, name) => api.restart(respond, name)],
  ["DELETE", new RegExp(`^/containers${NAMED}$`), (api, _, respond, name) => api.remove(respond, name)],
  ["POST", /^\/images\/create$/, (api, request, respond) => api.pull(request, respond)],
];

class Api {
  /** What changes the host is done one after the other. */
  private readonly jobs: Job[] = [];
  /** Those who asked for `GET /events`. */
  private readonly watchers = new Set<HttpService>();
  private waiting: (readonly [ContainerRecord, () => void])[] = [];

  constructor(
    private readonly environment: Environment,
    private readonly options: DockerdOptions,
  ) {}

  private get daemon(): Daemon {
    return this.options.daemon;
  }

  serve(stream: Stream<StreamSocket>): void {
    const service = new HttpService(stream, (request, respond) => this.handle(service, request, respond));
    service.onGone = () => this.watchers.delete(service);
    service.start();
  }

  private handle(service: HttpService, request: Received, respond: Respond): void {
    const path = pathOf(request).replace(/^\/v1\.\d+(?=\/)/, "");
    if (request.method === "GET" && path === "/events") {
      this.watchers.add(service);
      respond({ status: 200, headers: [["Transfer-Encoding", "chunked"]] });
      return;
    }
    for (const [method, pattern, action] of ROUTES) {
      const match = method === request.method ? pattern.exec(path) : null;
      if (match === null) continue;
      this.guard(respond, () => action(this, request, respond, decodeURIComponent(match[1] ?? "")));
      return;
    }
    this.fail(respond, 404, "page not found");
  }

  /** A refusal is the answer. */
  private guard(respond: Respond, action: () => void, explain = (says: string) => says): boolean {
    try {
      action();
      return true;
    } catch (error) {
      if (error instanceof Refusal) this.fail(respond, error.status, explain(error.says || error.message));
      else if (error instanceof RangeError || error instanceof URIError) this.fail(respond, 400, error.message);
      else throw error;
      return false;
    }
  }

  private fail(respond: Respond, status: number, message: string): void {
    this.json(respond, status, { message });
  }

  private json(respond: Respond, status: number, value: unknown): void {
    respond({
      status,
      headers: [
        ["Api-Version", this.daemon.engine.api],
        ["Content-Type", "application/json"],
      ],
      body: `${formatJson(value)}\n`,
    });
  }

  // What there is.

  ping(respond: Respond): void {
    const { api, version } = this.daemon.engine;
    const headers = [
      ["Api-Version", api],
      ["Server", `Docker/${version} (linux)`],
    ] as const;
    respond({ status: 200, headers, body: "OK" });
  }

  version(respond: Respond): void {
    const { api, version } = this.daemon.engine;
    this.json(respond, 200, { Version: version, ApiVersion: api, Os: "linux" });
  }

  list(request: Received, respond: Respond): void {
    const all = /[?&]all=(1|true)/i.test(request.target);
    const shown = [...this.daemon.containers.values()].filter(({ state }) => all || state === "running").reverse();
    this.json(
      respond,
      200,
      shown.map((each) => containerSummary(each, this.daemon)),
    );
  }

  inspect(respond: Respond, name: string): void {
    this.json(respond, 200, containerValue(this.daemon.containerOf(apiWord(name)), this.daemon));
  }

  networks(respond: Respond): void {
    const { daemon } = this;
    this.json(
      respond,
      200,
      [...daemon.networks.values()].map((network) => networkValue(daemon, network)),
    );
  }

  network(respond: Respond, name: string): void {
    this.json(respond, 200, networkValue(this.daemon, this.daemon.networkOf(apiWord(name))));
  }

  // What changes it.

  private enqueue(job: Job): void {
    this.jobs.push(job);
    if (this.jobs.length === 1) this.work();
  }

  private work(): void {
    this.jobs[0]?.(() => {
      this.jobs.shift();
      this.work();
    });
  }

  /** A command that needs no containerd. */
  change(respond: Respond, status: number, command: Command): void {
    this.enqueue((done) => {
      if (this.guard(respond, () => this.execute(command)))
        if (status === 204) respond({ status });
        else this.json(respond, status, {});
      done();
    });
  }

  private execute(command: Command): void {
    this.daemon.now = this.environment.scheduler.now;
    this.daemon.execute(command);
    this.perform(this.daemon.takeSteps());
  }

  private perform(steps: readonly PlanStep[]): void {
    for (const { title, operations } of steps) {
      this.environment.say(`dockerd: ${title}`);
      for (const operation of operations) {
        for (const line of tellOperation(operation, this.daemon.namespace)) this.environment.say(line);
        this.options.perform(operation);
      }
    }
  }

  createNetwork({ body }: Received, respond: Respond): void {
    const network = readNetwork(body);
    this.enqueue((done) => {
      this.guard(respond, () => {
        this.execute({ kind: "network-create", network });
        this.json(respond, 201, { Id: this.daemon.networkOf(apiWord(network.name.text)).id, Warning: "" });
      });
      done();
    });
  }

  createContainer({ target, body }: Received, respond: Respond): void {
    const [, name = ""] = /[?&]name=([^&]*)/.exec(target) ?? [];
    const container = readContainer(decodeURIComponent(name), body);
    this.enqueue((done) => {
      this.guard(respond, () => {
        this.execute({ kind: "create", container, start: false });
        const made = this.daemon.containerOf(container.name);
        this.tell("create", made);
        this.json(respond, 201, { Id: made.id, Warnings: [] });
      });
      done();
    });
  }

  start(respond: Respond, name: string): void {
    this.enqueue((done) => {
      const found = this.guard(respond, () => {
        const container = this.daemon.containerOf(apiWord(name));
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
    const { daemon } = this;
    daemon.now = this.environment.scheduler.now;
    const explain = (says: string) => explained(daemon, container, says);
    const planned = this.guard(
      respond,
      () => daemon.execute({ kind: "start", containers: [apiWord(container.name)] }),
      explain,
    );
    const steps = daemon.takeSteps();
    if (!planned) {
      this.perform(steps);
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
      this.perform(steps.filter((step) => !isFirst(step)));
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
      this.environment,
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
        failed: (why) => this.environment.say(`dockerd: containerd: ${why}`),
      },
    );
  }

  stop(respond: Respond, name: string): void {
    this.enqueue((done) => {
      const found = this.guard(respond, () => {
        const container = this.daemon.containerOf(apiWord(name));
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
    const container = this.daemon.containerOf(apiWord(name));
    const answer = () => this.json(respond, 200, { StatusCode: 0 });
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
      this.execute({ kind: "stop", containers: [apiWord(container.name)] });
      this.tell("die", container);
      for (const [who, answer] of this.waiting) if (who === container) answer();
      this.waiting = this.waiting.filter(([who]) => who !== container);
      then();
    });
  }

  restart(respond: Respond, name: string): void {
    this.enqueue((done) => {
      const found = this.guard(respond, () => {
        const container = this.daemon.containerOf(apiWord(name));
        const again = () => this.run(container, respond, done);
        if (container.state === "running") this.halt(container, again);
        else again();
      });
      if (!found) done();
    });
  }

  remove(respond: Respond, name: string): void {
    this.enqueue((done) => {
      const found = this.guard(respond, () => {
        const container = this.daemon.containerOf(apiWord(name));
        const finish = () => {
          this.execute({ kind: "remove", containers: [apiWord(container.name)] });
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

  pull({ target }: Received, respond: Respond): void {
    const given = (key: string) => decodeURIComponent(new RegExp(`[?&]${key}=([^&]*)`).exec(target)?.[1] ?? "");
    const image = given("fromImage");
    const tag = given("tag");
    const settings = { ...this.options.registries, client: "dockerd" } as const;
    pull(this.environment, `${image}${tag === "" ? "" : `:${tag}`}`, settings, ({ error, lines }) => {
      if (error !== null) this.fail(respond, 500, error);
      else respond({ status: 200, body: lines.map((status) => `${formatJson({ status })}\n`).join("") });
    });
  }

  private tell(action: string, { id, name, image, labels }: ContainerRecord): void {
    const Attributes = { ...Object.fromEntries(labels), image, name };
    const event = { Type: "container", Action: action, Actor: { ID: id, Attributes } };
    for (const watcher of this.watchers) watcher.push(`${formatJson(event)}\n`);
  }
}

const pathOf = ({ target }: Received): string => target.replace(/\?.*$/, "");

const sysctlsOf = (operations: readonly Operation[]): Record<string, string> =>
  Object.fromEntries(operations.flatMap((each) => (each.kind === "sysctl" ? [[each.key, String(each.value)]] : [])));

/** Docker's words around the reason why a container's networks could not be set up. */
function explained({ engine }: Daemon, { name, id }: ContainerRecord, says: string): string {
  const port = says.startsWith("Bind for");
  const what = port ? `driver failed programming external connectivity on endpoint ${name} (${id}): ${says}` : says;
  return Number.parseInt(engine.version, 10) >= 28 ? `failed to set up container networking: ${what}` : what;
}
