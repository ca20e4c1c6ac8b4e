import type { Timer } from "../sim/scheduler.ts";
import { strerror } from "../socket/strerror.ts";
import type { TcpSocket } from "../socket/tcp-socket.ts";
import { bodyLength, describeStatus, formatHead, type HttpHead, HttpReader, keepsAlive } from "../wire/http-message.ts";
import { bytesOf } from "../wire/text.ts";
import type { Arguments } from "./command-line.ts";
import { formatEndpoint } from "./datagram.ts";
import type { Environment, Program } from "./program.ts";
import { Stream } from "./stream.ts";
import { type ListenAt, listen } from "./tcp-listener.ts";

export interface HttpServerOptions extends ListenAt {
  /** What it answers with; null tells clients who they are. */
  readonly text?: string | null;
  /** Answers with so many bytes instead. */
  readonly size?: number;
  readonly status?: number;
  /** How long it thinks about each request, in nanoseconds. */
  readonly delay?: number;
}

const NAME = "http-server";
/** `http-server [-b address] [-d text | -s bytes] [-S status] [-w seconds] port`. @throws {InputError}. */
export function parseHttpServer(words: Arguments): Program {
  const bind = words.option("b");
  const options: HttpServerOptions = {
    address: bind === null ? 0 : words.address(bind),
    text: words.option("d")?.text ?? null,
    size: words.integer("s", 0, [0, 1_000_000_000]),
    status: words.integer("S", 200, [200, 599]),
    delay: words.seconds("w", 0),
    port: words.port(words.operand("the port to listen on")),
  };
  words.finish();
  return httpServer(options);
}

/** Answers every request, and says whom it saw: `from 172.17.0.1:40000: GET / HTTP/1.1, 200`. */
export function httpServer(options: HttpServerOptions): Program {
  return {
    name: NAME,
    serves: true,
    start: (environment) =>
      listen(environment, NAME, options, (socket) => new Session(environment, options, socket).start()),
  };
}

/** One connection, with one request after the other. */
class Session {
  private readonly stream: Stream;
  private readonly reader: HttpReader;
  private readonly timer: Timer;
  private readonly from: string;
  private request: HttpHead | null = null;
  private over = false;

  constructor(
    private readonly environment: Environment,
    private readonly options: HttpServerOptions,
    socket: TcpSocket,
  ) {
    this.from = formatEndpoint(socket.peer!);
    this.stream = new Stream(socket);
    this.timer = environment.scheduler.timer(() => this.respond(this.options.status ?? 200));
    this.reader = new HttpReader({
      head: (head) => {
        this.request = head;
        return bodyLength(head, "request") ?? 0;
      },
      body: () => {},
      end: () => this.think(),
      bad: () => this.respond(400),
    });
    this.stream.onData = (data) => this.reader.push(data);
    this.stream.onEnd = () => this.end();
    this.stream.onError = (errno) => {
      environment.say(`from ${this.from}: ${strerror(errno)}`);
      this.end();
    };
  }

  start(): void {
    this.stream.start();
  }

  private end(): void {
    this.over = true;
    this.timer.cancel();
    this.stream.close();
  }

  private think(): void {
    const { delay = 0 } = this.options;
    if (delay === 0) this.respond(this.options.status ?? 200);
    else this.timer.armIn(delay);
  }

  private respond(status: number): void {
    if (this.over) return;
    const { from, request } = this;
    const start = request?.start ?? "no request";
    const last = status === 400 || request === null || !keepsAlive(request);
    this.environment.say(`from ${from}: ${start}, ${status}`, this.environment.tcp.cause);
    const body = status === 204 || status === 304 ? new Uint8Array(0) : this.body(status);
    const headers: (readonly [string, string])[] = [
      ["Server", "hopscope"],
      ["Content-Type", "text/plain"],
      ["Content-Length", `${body.length}`],
    ];
    if (last) headers.push(["Connection", "close"]);
    const head = bytesOf(formatHead({ start: `HTTP/1.1 ${describeStatus(status)}`, headers }));
    const whole = new Uint8Array(head.length + (start.startsWith("HEAD ") ? 0 : body.length));
    whole.set(head);
    if (whole.length > head.length) whole.set(body, head.length);
    this.stream.write(whole);
    this.request = null;
    if (last) this.end();
  }

  private body(status: number): Uint8Array {
    const { size = 0, text = null } = this.options;
    if (size > 0) return pattern(size);
    if (text !== null) return bytesOf(`${text}\n`);
    return bytesOf(status < 300 ? `hello ${this.from}\n` : `${describeStatus(status)}\n`);
  }
}

/** Lines of 64 letters. */
function pattern(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = i % 64 === 63 ? 10 : 97 + (i % 26);
  return bytes;
}
