import type { Timer } from "../sim/scheduler.ts";
import type { Errno } from "../socket/strerror.ts";
import { strerror } from "../socket/strerror.ts";
import type { TcpSocket } from "../socket/tcp-socket.ts";
import { bytesOf } from "../wire/text.ts";
import type { Arguments } from "./command-line.ts";
import { describeData, formatEndpoint } from "./datagram.ts";
import type { Environment, Program } from "./program.ts";
import { Stream } from "./stream.ts";

/** Times in nanoseconds. */
export interface TcpClientOptions {
  readonly address: number;
  readonly port: number;
  /** What to send; null only connects. */
  readonly text: string | null;
  /** How long to wait for the connection, and for its end. */
  readonly timeout: number;
  /** 0 lets the kernel choose. */
  readonly sourcePort: number;
}

const NAME = "tcp-client";

/** `tcp-client [-W seconds] [-p source port] address port [text]`. @throws {InputError}. */
export function parseTcpClient(words: Arguments): Program {
  const source = words.option("p");
  const options = {
    timeout: words.seconds("W", 10),
    sourcePort: source === null ? 0 : words.port(source),
    address: words.address(words.operand("the address to connect to")),
    port: words.port(words.operand("the port to connect to")),
    text: words.operands.length === 0 ? null : words.operand("a text").text,
  };
  words.finish();
  return tcpClient(options);
}

/** Connects, sends a text and says what came back until the other side ends, as `nc -N` does. */
export function tcpClient(options: TcpClientOptions): Program {
  return { name: NAME, serves: false, start: (environment) => new TcpClient(environment, options).start() };
}

class TcpClient {
  private readonly socket: TcpSocket;
  private readonly timer: Timer;
  private connected = false;

  constructor(
    private readonly environment: Environment,
    private readonly options: TcpClientOptions,
  ) {
    this.socket = environment.tcp.open();
    this.timer = environment.scheduler.timer(() => this.expire());
  }

  start(): void {
    const { address, port, sourcePort, timeout } = this.options;
    this.timer.armIn(timeout);
    this.socket.onConnect = () => this.converse();
    this.socket.onError = (errno) => this.fail("connect", errno);
    const failed = (sourcePort === 0 ? null : this.socket.bind(0, sourcePort)) ?? this.socket.connect(address, port);
    if (failed !== null) this.fail("connect", failed);
  }

  private converse(): void {
    const { socket, environment } = this;
    const { text } = this.options;
    this.connected = true;
    environment.say(
      `connected to ${formatEndpoint(socket.peer!)} from ${formatEndpoint(socket.local)}`,
      environment.tcp.cause,
    );
    const stream = new Stream(socket);
    stream.onData = (data) => environment.say(`received ${describeData(data)}`, environment.tcp.cause);
    stream.onEnd = () => this.end(stream, 0);
    stream.onError = (errno) => this.fail("recv", errno);
    if (text !== null) stream.write(bytesOf(text));
    stream.end();
    stream.start();
  }

  private end(stream: Stream, status: number): void {
    this.timer.cancel();
    stream.close();
    this.environment.exit(status);
  }

  private fail(call: string, errno: Errno): void {
    this.environment.say(`${NAME}: ${call}: ${strerror(errno)}`);
    this.timer.cancel();
    this.socket.close();
    this.environment.exit(1);
  }

  private expire(): void {
    const what = this.connected ? "the other side did not end" : "no answer";
    this.environment.say(`${NAME}: ${what} after ${this.options.timeout / 1e9} s`);
    this.socket.abort();
    this.environment.exit(1);
  }
}
