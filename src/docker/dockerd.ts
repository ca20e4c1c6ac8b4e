import { HttpService, type Received } from "../program/http-service.ts";
import type { Environment, Program } from "../program/program.ts";
import { type PullSettings, pull } from "../program/pull.ts";
import { Stream, type StreamSocket } from "../program/stream.ts";
import { type ListenAt, listen } from "../program/tcp-listener.ts";
import { apiWord, formatJson, readConnect, readContainer, readDisconnect, readNetwork } from "./api.ts";
import type { Command } from "./command.ts";
import { ContainerLife } from "./container-life.ts";
import { containerSummary, containerValue } from "./container-view.ts";
import type { Daemon } from "./daemon.ts";
import { type Respond, Work } from "./dockerd-work.ts";
import { networkValue } from "./network-view.ts";
import type { Operation } from "./operation.ts";
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
  ["POST", new RegExp(`^/containers${NAMED}/start$`), (api, _, respond, name) => api.life.start(respond, name)],
  ["POST", new RegExp(`^/containers${NAMED}/(?:stop|kill)$`), (api, _, respond, name) => api.life.stop(respond, name)],
  ["POST", new RegExp(`^/containers${NAMED}/wait$`), (api, _, respond, name) => api.life.wait(respond, name)],
  ["POST", new RegExp(`^/containers${NAMED}/restart$`), (api, _, respond, name) => api.life.restart(respond, name)],
  ["DELETE", new RegExp(`^/containers${NAMED}$`), (api, _, respond, name) => api.life.remove(respond, name)],
  ["POST", /^\/images\/create$/, (api, request, respond) => api.pull(request, respond)],
];

class Api {
  private readonly work: Work;
  readonly life: ContainerLife;
  /** Those who asked for `GET /events`. */
  private readonly watchers = new Set<HttpService>();

  constructor(
    private readonly environment: Environment,
    private readonly options: DockerdOptions,
  ) {
    this.work = new Work(environment, options.daemon, options.perform);
    this.life = new ContainerLife(this.work, (action, container) => this.tell(action, container));
  }

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
      this.work.guard(respond, () => action(this, request, respond, decodeURIComponent(match[1] ?? "")));
      return;
    }
    this.work.fail(respond, 404, "page not found");
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
    this.work.json(respond, 200, { Version: version, ApiVersion: api, Os: "linux" });
  }

  list(request: Received, respond: Respond): void {
    const all = /[?&]all=(1|true)/i.test(request.target);
    const shown = [...this.daemon.containers.values()].filter(({ state }) => all || state === "running").reverse();
    this.work.json(
      respond,
      200,
      shown.map((each) => containerSummary(each, this.daemon)),
    );
  }

  inspect(respond: Respond, name: string): void {
    this.work.json(respond, 200, containerValue(this.daemon.containerOf(apiWord(name)), this.daemon));
  }

  networks(respond: Respond): void {
    const { daemon } = this;
    this.work.json(
      respond,
      200,
      [...daemon.networks.values()].map((network) => networkValue(daemon, network)),
    );
  }

  network(respond: Respond, name: string): void {
    this.work.json(respond, 200, networkValue(this.daemon, this.daemon.networkOf(apiWord(name))));
  }

  // What changes it.

  /** A command that needs no containerd. */
  change(respond: Respond, status: number, command: Command): void {
    this.work.enqueue((done) => {
      if (this.work.guard(respond, () => this.work.execute(command)))
        if (status === 204) respond({ status });
        else this.work.json(respond, status, {});
      done();
    });
  }

  createNetwork({ body }: Received, respond: Respond): void {
    const network = readNetwork(body);
    this.work.enqueue((done) => {
      this.work.guard(respond, () => {
        this.work.execute({ kind: "network-create", network });
        this.work.json(respond, 201, { Id: this.daemon.networkOf(apiWord(network.name.text)).id, Warning: "" });
      });
      done();
    });
  }

  createContainer({ target, body }: Received, respond: Respond): void {
    const [, name = ""] = /[?&]name=([^&]*)/.exec(target) ?? [];
    const container = readContainer(decodeURIComponent(name), body);
    this.work.enqueue((done) => {
      this.work.guard(respond, () => {
        this.work.execute({ kind: "create", container, start: false });
        const made = this.daemon.containerOf(container.name);
        this.tell("create", made);
        this.work.json(respond, 201, { Id: made.id, Warnings: [] });
      });
      done();
    });
  }

  pull({ target }: Received, respond: Respond): void {
    const given = (key: string) => decodeURIComponent(new RegExp(`[?&]${key}=([^&]*)`).exec(target)?.[1] ?? "");
    const image = given("fromImage");
    const tag = given("tag");
    const settings = { ...this.options.registries, client: "dockerd" } as const;
    pull(this.environment, `${image}${tag === "" ? "" : `:${tag}`}`, settings, ({ error, lines }) => {
      if (error !== null) this.work.fail(respond, 500, error);
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
