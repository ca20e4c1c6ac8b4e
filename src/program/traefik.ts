import type { Timer } from "../sim/scheduler.ts";
import { header } from "../wire/http-message.ts";
import type { Arguments, Grammar, Word } from "./command-line.ts";
import { formatEndpoint } from "./datagram.ts";
import { type DialTarget, dial } from "./dial.ts";
import { type HttpAnswer, HttpClient } from "./http-client.ts";
import { type Answering, HttpService, type Received } from "./http-service.ts";
import type { Environment, Program } from "./program.ts";
import { Stream } from "./stream.ts";
import { listen } from "./tcp-listener.ts";
import { type Backend, configure, type DockerContainer, type ProviderOptions } from "./traefik-docker.ts";
import { matches } from "./traefik-rule.ts";

const NAME = "traefik";
/** `serversTransport.forwardingTimeouts.dialTimeout`. */
const DIAL_TIMEOUT = 30e9;
/** How often it asks dockerd again that did not answer; unlike Traefik, which never gives up. */
const TRIES = 5;

export const TRAEFIK_GRAMMAR: Grammar = {
  letters: "",
  long: {
    "providers.docker": ":",
    "providers.docker.endpoint": ":",
    "providers.docker.exposedbydefault": ":",
    "providers.docker.network": ":",
    "providers.docker.defaultrule": ":",
    "entrypoints.web.address": ":",
  },
};

interface TraefikOptions extends ProviderOptions {
  readonly endpoint: DialTarget;
  /** As it was given. */
  readonly host: string;
  readonly port: number;
}

/** `traefik --providers.docker.endpoint=tcp://socket-proxy:2375 --providers.docker.network=proxy ...`. @throws {InputError} */
export function parseTraefik(words: Arguments): Program {
  const text = (name: string, otherwise: string) => words.option(`providers.docker.${name}`)?.text ?? otherwise;
  const endpoint = words.option("providers.docker.endpoint");
  const entry = words.option("entrypoints.web.address");
  const options: TraefikOptions = {
    endpoint: readEndpoint(words, endpoint),
    host: endpoint?.text ?? "unix:///var/run/docker.sock",
    exposedByDefault: words.word("providers.docker.exposedbydefault", "true", ["true", "false"]) === "true",
    network: text("network", ""),
    defaultRule: text("defaultrule", ""),
    port: entry === null ? 80 : words.port({ ...entry, text: entry.text.replace(/^.*:/, "") }),
  };
  words.finish();
  return traefik(options);
}

function readEndpoint(words: Arguments, word: Word | null): DialTarget {
  if (word === null) return { unix: "/var/run/docker.sock" };
  const [, path, host, port] = /^(?:unix:\/\/(\/.+)|(?:tcp|http):\/\/([^:/]+):(\d+))$/.exec(word.text) ?? [];
  if (path !== undefined) return { unix: path };
  if (host === undefined) throw words.error(word, "unix:///var/run/docker.sock, or tcp://HOST:PORT");
  return { host, port: Number(port), timeout: DIAL_TIMEOUT };
}

/**
 * Traefik with its Docker provider: it asks Docker for containers and their labels, takes an address of each, and passes
 * on what comes in by the entry point `web`.
 */
export function traefik(options: TraefikOptions): Program {
  return { name: NAME, serves: true, start: (environment) => new Traefik(environment, options).start() };
}

class Traefik {
  private backends: readonly Backend[] = [];
  /** How many requests each service had. */
  private readonly turns = new Map<string, number>();
  private readonly timer: Timer;
  private tries = 0;
  /** Something has changed while it asked. */
  private stale = false;
  private asking = false;

  constructor(
    private readonly environment: Environment,
    private readonly options: TraefikOptions,
  ) {
    this.timer = environment.scheduler.timer(() => this.discover());
  }

  private say(text: string): void {
    this.environment.say(text, this.environment.tcp.cause);
  }

  start(): void {
    const at = { address: 0, port: this.options.port };
    listen(this.environment, NAME, at, (socket) => {
      const from = formatEndpoint(socket.peer!);
      new HttpService(new Stream(socket), (request, respond) => this.route(from, request, respond)).start();
    });
    this.discover();
  }

  // What Docker says.

  private discover(): void {
    this.asking = true;
    this.connect((client) => {
      this.ask(client, "/version", () =>
        this.ask(client, "/containers/json", (list) => {
          const ids = (JSON.parse(list) as { readonly Id: string }[]).map(({ Id }) => Id);
          this.inspect(client, ids, [], (containers) => {
            this.configure(containers);
            this.watch(client);
          });
        }),
      );
    });
  }

  private connect(connected: (client: HttpClient) => void): void {
    dial(this.environment, this.options.endpoint, {
      connected: (stream) => {
        const client = new HttpClient(stream);
        client.onBroken = (why) => this.retry(why);
        connected(client);
      },
      failed: (why) => this.retry(`${this.options.host}: ${why}`),
    });
  }

  private ask(client: HttpClient, target: string, answered: (body: string) => void): void {
    client.send({ method: "GET", target, host: "docker" }, (answer: HttpAnswer) => {
      if (answer.status === 200) answered(answer.body);
      else {
        client.close();
        this.retry(`Error response from daemon: ${answer.head.start.replace(/^\S+ /, "")} for GET ${target}`);
      }
    });
  }

  private inspect(
    client: HttpClient,
    ids: readonly string[],
    found: readonly DockerContainer[],
    done: (containers: readonly DockerContainer[]) => void,
  ): void {
    const [id, ...rest] = ids;
    if (id === undefined) {
      done(found);
      return;
    }
    this.ask(client, `/containers/${id}/json`, (body) =>
      this.inspect(client, rest, [...found, JSON.parse(body) as DockerContainer], done),
    );
  }

  private retry(why: string): void {
    this.asking = false;
    const wait = 0.5 * 2 ** this.tries++;
    this.say(`ERR Provider error, retrying in ${wait}s error="${why}" providerName=docker`);
    if (this.tries < TRIES) this.timer.armIn(wait * 1e9);
  }

  private configure(containers: readonly DockerContainer[]): void {
    this.asking = false;
    this.tries = 0;
    const { environment, options } = this;
    const { backends, warnings } = configure(containers, options, environment);
    this.backends = backends;
    for (const line of warnings) this.say(line);
    for (const { service, address, rule } of backends) this.say(`service ${service}: http://${address} for ${rule}`);
  }

  /** `GET /events`: what starts or dies makes it ask again. */
  private watch(client: HttpClient): void {
    const streaming = {
      head: () => {},
      piece: (text: string) => {
        if (/"Action":"(start|die|health_status)/.test(text)) this.again();
      },
    };
    client.follow(
      { method: "GET", target: "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D", host: "docker" },
      streaming,
      () => this.retry("EOF"),
    );
    if (this.stale) this.again();
  }

  private again(): void {
    this.stale = this.asking;
    if (this.asking) return;
    this.asking = true;
    this.connect((client) =>
      this.ask(client, "/containers/json", (list) => {
        const ids = (JSON.parse(list) as { readonly Id: string }[]).map(({ Id }) => Id);
        this.inspect(client, ids, [], (containers) => {
          client.close();
          this.configure(containers);
          if (this.stale) this.again();
        });
      }),
    );
  }

  // What comes in.

  private route(from: string, request: Received, respond: (answer: Answering) => void): void {
    const { method, target, head } = request;
    const host = (header(head, "host") ?? "").replace(/:\d+$/, "");
    const path = target.replace(/\?.*$/, "");
    const done = (answer: Answering, to: string) => {
      this.say(`from ${from}: ${method} ${target} for ${host}, ${answer.status}${to}`);
      respond(answer);
    };
    const plain = (status: number, body: string, why: string) =>
      done({ status, headers: [["Content-Type", "text/plain; charset=utf-8"]], body }, why);
    const [first] = this.backends.filter(({ parsed }) => parsed !== null && matches(parsed, host, path));
    if (first === undefined) {
      plain(404, "404 page not found\n", "");
      return;
    }
    const servers = this.backends.filter(({ service }) => service === first.service);
    const turn = this.turns.get(first.service) ?? 0;
    this.turns.set(first.service, turn + 1);
    const { address } = servers[turn % servers.length]!;
    const [name = "", port = ""] = address.split(":");
    const broken = (why: string, slow: boolean) =>
      plain(slow ? 504 : 502, slow ? "Gateway Timeout" : "Bad Gateway", ` by http://${address}: ${why}`);
    dial(
      this.environment,
      { host: name, port: Number(port), timeout: DIAL_TIMEOUT },
      {
        connected: (stream) => {
          const client = new HttpClient(stream);
          client.onBroken = (why) => broken(why, false);
          client.send(forwarded(request, from), (answer) => {
            client.close();
            done(
              {
                status: answer.status,
                headers: answer.head.headers.filter(([key]) => !HOP_BY_HOP.test(key)),
                body: answer.body,
              },
              ` by http://${address}`,
            );
          });
        },
        failed: broken,
      },
    );
  }
}

const HOP_BY_HOP = /^(connection|content-length|transfer-encoding|keep-alive|proxy-connection|te|trailer|upgrade)$/i;

/** The request as the backend gets it: with the client's address in headers, for the packet has Traefik's. */
function forwarded({ method, target, head, body }: Received, from: string) {
  const client = from.replace(/:\d+$/, "");
  const host = header(head, "host") ?? "";
  const kept = head.headers.filter(
    ([name]) => !HOP_BY_HOP.test(name) && !/^(host|x-forwarded-.*|x-real-ip)$/i.test(name),
  );
  const headers = [
    ...kept,
    ["X-Forwarded-For", client],
    ["X-Forwarded-Host", host],
    ["X-Forwarded-Proto", "http"],
    ["X-Real-Ip", client],
  ] as const;
  return { method, target, host, headers, body: body === "" ? null : body };
}
