import { dial } from "../program/dial.ts";
import { type HttpAnswer, HttpClient } from "../program/http-client.ts";
import { familiarName, parseImage } from "../program/image.ts";
import type { Environment, Program } from "../program/program.ts";
import { header } from "../wire/http-message.ts";
import { type ApiCall, callsOf } from "./api.ts";
import { type Command, missingExternal } from "./command.ts";
import { DOCKER_SOCKET } from "./dockerd.ts";
import type { Engine } from "./engine.ts";

/** `DummyHost`: what a client at a socket calls the daemon. */
const HOST = "api.moby.localhost";
/** The time that an address may take to answer, as the kernel's own limit. */
const TIMEOUT = 135e9;

/** The `docker` command: it asks dockerd at `DOCKER_HOST` and prints what becomes of it. */
export function dockerClient(command: Command, engine: Engine): Program {
  return {
    name: "docker",
    serves: false,
    start: (environment) => new Client(environment, engine, [command], new DockerOutput(environment, command)).start(),
  };
}

/** `docker compose up -d`: the same requests, one command after the other. */
export function composeClient(commands: readonly Command[], engine: Engine): Program {
  return {
    name: "docker compose",
    serves: false,
    start: (environment) => new Client(environment, engine, commands, new ComposeOutput(environment)).start(),
  };
}

/** How a client tells what dockerd answered. */
interface Output {
  done(command: Command, call: ApiCall, answer: HttpAnswer): void;
  /** The exit status. */
  failed(why: string): number;
}

class Client {
  private readonly left: { readonly command: Command; readonly call: ApiCall }[];
  private client: HttpClient | null = null;
  private version = "";
  /** What the last call made. */
  private id = "";

  constructor(
    private readonly environment: Environment,
    private readonly engine: Engine,
    commands: readonly Command[],
    private readonly output: Output,
  ) {
    this.left = commands.flatMap((command) => callsOf(command).map((call) => ({ command, call })));
  }

  start(): void {
    const { env } = this.environment;
    const at = env.DOCKER_HOST || `unix://${DOCKER_SOCKET}`;
    const [, path, host, port] = /^(?:unix:\/\/(\/.*)|tcp:\/\/([^:/]+):(\d+)\/?)$/.exec(at) ?? [];
    if (path === undefined && host === undefined) {
      this.fail(`unable to parse docker host \`${at}\``);
      return;
    }
    const target = path === undefined ? { host: host!, port: Number(port), timeout: TIMEOUT } : { unix: path };
    dial(this.environment, target, {
      connected: (stream) => {
        this.client = new HttpClient(stream);
        this.client.onBroken = (why) => this.fail(why === "EOF" ? `${at}: EOF` : why);
        const call = { method: "HEAD", path: "/_ping", body: null } as const;
        this.send(call, (answer) => {
          const version = header(answer.head, "api-version") ?? this.engine.api;
          this.version = `/v${version}`;
          this.next();
        });
      },
      failed: (why) => this.fail(unreachable(this.engine, at, why)),
    });
  }

  private send(call: ApiCall, answered: (answer: HttpAnswer) => void): void {
    const headers = [["User-Agent", `Docker-Client/${this.engine.version} (linux)`]] as const;
    const target = `${this.version}${call.path.replace("{id}", this.id)}`;
    this.client!.send({ method: call.method, target, host: HOST, headers, body: call.body }, answered);
  }

  private next(): void {
    const step = this.left.shift();
    if (step === undefined) {
      this.end(0);
      return;
    }
    const { command, call } = step;
    this.send(call, (answer) => {
      if (answer.status >= 400) {
        const why = `Error response from daemon: ${messageOf(answer)}`;
        this.fail(command.kind === "network-external" ? missingExternal(command.network) : why);
        return;
      }
      this.id = /"Id":"([0-9a-f]+)"/.exec(answer.body)?.[1] ?? this.id;
      this.output.done(command, call, answer);
      this.next();
    });
  }

  private fail(why: string): void {
    this.end(this.output.failed(why));
  }

  private end(status: number): void {
    this.client?.close();
    this.environment.exit(status);
  }
}

/** `connectionFailed()` of Docker's client. */
export function unreachable({ name }: Engine, at: string, why: string): string {
  const missing = why.endsWith("no such file or directory");
  if (missing && name === "29")
    return `failed to connect to the docker API at ${at}; check if the path is correct and if the daemon is running: ${why}`;
  if (why.includes("lookup")) return `failed to connect to the docker API at ${at}: ${why.replace(/^dial tcp: /, "")}`;
  return `Cannot connect to the Docker daemon at ${at}. Is the docker daemon running?`;
}

/** The `message` of an error, or what stands in its place where it is not dockerd that answers. */
function messageOf({ body, head }: HttpAnswer): string {
  try {
    const { message } = JSON.parse(body) as { readonly message?: unknown };
    if (typeof message === "string") return message;
  } catch {
    // Not JSON: a proxy's page.
  }
  return body.trim() || head.start.replace(/^\S+ \d+ /, "");
}

const idOf = ({ body }: HttpAnswer): string => /"Id":"([0-9a-f]+)"/.exec(body)?.[1] ?? "";

class DockerOutput implements Output {
  private id = "";

  constructor(
    private readonly environment: Environment,
    private readonly command: Command,
  ) {}

  private say(text: string): void {
    this.environment.say(text, this.environment.tcp.cause);
  }

  done(command: Command, call: ApiCall, answer: HttpAnswer): void {
    switch (command.kind) {
      case "network-create":
        this.say(idOf(answer));
        return;
      case "create":
        this.id ||= idOf(answer);
        if (!command.start || call.path.endsWith("/start")) this.say(this.id);
        return;
      case "pull":
        for (const [, status] of answer.body.matchAll(/"status":"((?:[^"\\]|\\.)*)"/g)) this.say(status!);
        this.say(fullName(command.image.text));
        return;
      case "connect":
      case "disconnect":
        return;
      case "start":
        if (command.attached === true) return;
        break;
      default:
    }
    this.say(decodeURIComponent(/^\/[^/]+\/([^/?]+)/.exec(call.path)?.[1] ?? ""));
  }

  /** 125 is what `docker run` ends with where the container did not run. */
  failed(why: string): number {
    const { command } = this;
    const run = command.kind === "create" && command.start;
    this.say(run ? `docker: ${why}` : why);
    return run ? 125 : 1;
  }
}

function fullName(text: string): string {
  const reference = parseImage(text);
  return `${reference.registry === "docker.io" ? reference.image : familiarName(reference)}:${reference.tag}`;
}

class ComposeOutput implements Output {
  constructor(private readonly environment: Environment) {}

  done(command: Command, call: ApiCall): void {
    if (command.kind === "network-create") this.environment.say(`Network ${command.network.name.text}  Created`);
    else if (command.kind === "create") {
      const state = call.path.endsWith("/start") ? "Started" : "Created";
      this.environment.say(`Container ${command.container.name.text}  ${state}`);
    }
  }

  failed(why: string): number {
    this.environment.say(why);
    return 1;
  }
}
