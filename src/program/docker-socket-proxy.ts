import type { Arguments } from "./command-line.ts";
import { formatEndpoint } from "./datagram.ts";
import { dial } from "./dial.ts";
import { HttpClient } from "./http-client.ts";
import { type Answering, HttpService, type Received } from "./http-service.ts";
import type { Environment, Program } from "./program.ts";
import { Stream } from "./stream.ts";
import { listen } from "./tcp-listener.ts";

const NAME = "docker-socket-proxy";
const PORT = 2375;
const FORBIDDEN = "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n";
const UNAVAILABLE =
  "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n";

/** What its image sets; every other endpoint is closed. */
const DEFAULTS: Readonly<Record<string, string>> = { EVENTS: "1", PING: "1", VERSION: "1" };
const ONE_CONTAINER = "containers/[a-zA-Z0-9_.-]+";
/** Where a path of the API begins, by the variable that opens it. */
const ENDPOINTS: Readonly<Record<string, string>> = {
  ALLOW_RESTARTS: `${ONE_CONTAINER}/(stop|restart|kill)`,
  ALLOW_START: `${ONE_CONTAINER}/start`,
  ALLOW_STOP: `${ONE_CONTAINER}/stop`,
  AUTH: "auth",
  BUILD: "build",
  COMMIT: "commit",
  CONFIGS: "configs",
  CONTAINERS: "containers",
  DISTRIBUTION: "distribution",
  EVENTS: "events",
  EXEC: "exec",
  GRPC: "grpc",
  IMAGES: "images",
  INFO: "info",
  NETWORKS: "networks",
  NODES: "nodes",
  PING: "_ping",
  PLUGINS: "plugins",
  SECRETS: "secrets",
  SERVICES: "services",
  SESSION: "session",
  SWARM: "swarm",
  SYSTEM: "system",
  TASKS: "tasks",
  VERSION: "version",
  VOLUMES: "volumes",
};

/** HAProxy's `bool`. */
const isOn = (value = ""): boolean => /^(1|true|yes|on)$/i.test(value);

/** `docker-socket-proxy`. @throws {InputError} */
export function parseDockerSocketProxy(words: Arguments): Program {
  words.finish();
  return dockerSocketProxy();
}

/**
 * Before Docker's socket, at port 2375: it lets pass what the variables of its environment allow (`CONTAINERS=1`,
 * `POST=1`), as Tecnativa's docker-socket-proxy does, and answers 403 to all else.
 */
export function dockerSocketProxy(): Program {
  return {
    name: NAME,
    serves: true,
    start(environment) {
      listen(environment, NAME, { address: 0, port: PORT }, (socket) => {
        const from = formatEndpoint(socket.peer!);
        const service = new HttpService(new Stream(socket), (request, respond) => {
          const allowed = allows(environment.env, request);
          const say = (status: number) =>
            environment.say(`from ${from}: ${request.method} ${request.target}, ${status}`, environment.tcp.cause);
          if (!allowed) {
            say(403);
            respond({ status: 403, headers: [["Content-Type", "text/html"]], body: FORBIDDEN });
            return;
          }
          passOn(environment, service, request, (answer) => {
            say(answer.status);
            respond(answer);
          });
        });
        service.start();
      });
    },
  };
}

function allows(env: Readonly<Record<string, string>>, { method, target }: Received): boolean {
  const value = (name: string) => env[name] ?? DEFAULTS[name];
  if (method !== "GET" && method !== "HEAD" && !isOn(value("POST"))) return false;
  const path = decoded(target.replace(/\?.*$/, ""));
  return Object.entries(ENDPOINTS).some(
    ([name, start]) => isOn(value(name)) && new RegExp(`^(/v[\\d.]+)?(/\\w+)?/${start}`, "i").test(path),
  );
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function passOn(
  environment: Environment,
  service: HttpService,
  { method, target, body }: Received,
  respond: (answer: Answering) => void,
): void {
  const failed = () => respond({ status: 503, headers: [["Content-Type", "text/html"]], body: UNAVAILABLE });
  dial(
    environment,
    { unix: environment.env.SOCKET_PATH ?? "/var/run/docker.sock" },
    {
      connected(stream) {
        const client = new HttpClient(stream);
        client.onBroken = failed;
        service.onGone = () => client.close();
        const request = { method, target, host: "docker", body: body === "" ? null : body };
        let chunked = false;
        let text = "";
        let answer: Answering = { status: 502 };
        const streaming = {
          head(head: { readonly headers: Answering["headers"] }, status: number) {
            const headers = (head.headers ?? []).filter(([name]) => !/^(content-length|connection)$/i.test(name));
            answer = { status, headers };
            chunked = headers.some(([name]) => /^transfer-encoding$/i.test(name));
            if (chunked) respond(answer);
          },
          piece(piece: string) {
            if (chunked) service.push(piece);
            else text += piece;
          },
        };
        client.follow(request, streaming, () => {
          client.close();
          if (!chunked) respond({ ...answer, body: text });
        });
      },
      failed,
    },
  );
}
