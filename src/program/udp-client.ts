import type { Timer } from "../sim/scheduler.ts";
import { strerror } from "../socket/strerror.ts";
import type { Received, SocketError, UdpSocket } from "../socket/udp.ts";
import { bytesOf } from "../wire/text.ts";
import type { Arguments } from "./command-line.ts";
import { describeData, formatEndpoint } from "./datagram.ts";
import type { Environment, Program } from "./program.ts";

/** Times in nanoseconds. */
export interface UdpClientOptions {
  readonly address: number;
  readonly port: number;
  readonly text: string;
  /** Datagrams to send, each after the answer to the one before. */
  readonly count?: number;
  /** How long to wait for each answer. */
  readonly timeout?: number;
  /** 0 lets the kernel choose. */
  readonly sourcePort?: number;
  /** A socket that is not connected takes answers from anyone. */
  readonly connected?: boolean;
}

const NAME = "udp-client";

/** `udp-client [-c count] [-W seconds] [-p source port] [-u] address port text`. @throws {InputError}. */
export function parseUdpClient(words: Arguments): Program {
  const source = words.option("p");
  const options = {
    count: words.integer("c", 1, [1, 1_000_000]),
    timeout: words.seconds("W", 1),
    sourcePort: source === null ? 0 : words.port(source),
    connected: !words.has("u"),
    address: words.address(words.operand("the address to send to")),
    port: words.port(words.operand("the port to send to")),
    text: words.operand("the text to send").text,
  };
  words.finish();
  return udpClient(options);
}

/** Sends a text, waits for its echo and says who answered. */
export function udpClient(options: UdpClientOptions): Program {
  return { name: NAME, serves: false, start: (environment) => new UdpClient(environment, options).start() };
}

class UdpClient {
  private readonly socket: UdpSocket;
  private readonly waiting: Timer;
  private sent = 0;
  private answers = 0;
  /** The datagram under way was answered. */
  private answered = false;

  constructor(
    private readonly environment: Environment,
    private readonly options: UdpClientOptions,
  ) {
    this.socket = environment.udp.open();
    this.socket.onReceive = (datagram) => this.received(datagram);
    this.socket.onError = (error) => this.failed(error);
    this.waiting = environment.scheduler.timer(() => this.goOn());
  }

  start(): void {
    const { address, port, sourcePort = 0, connected = true } = this.options;
    let failed = sourcePort === 0 ? null : this.socket.bind(0, sourcePort);
    if (failed === null && connected) failed = this.socket.connect(address, port);
    if (failed !== null) {
      this.environment.say(`${NAME}: connect: ${strerror(failed)}`);
      this.exit(1);
    } else this.send();
  }

  private send(): void {
    const { address, port, text, timeout = 1e9 } = this.options;
    this.sent++;
    this.answered = false;
    this.waiting.armIn(timeout);
    const failed = this.socket.send(bytesOf(text), { address, port });
    if (failed === null) return;
    this.environment.say(`${NAME}: send: ${strerror(failed)}`);
    this.exit(1);
  }

  private received({ from, data, packet }: Received): void {
    this.environment.say(`from ${formatEndpoint(from)}: ${describeData(data)}`, packet);
    if (!this.answered) this.answers++;
    this.answered = true;
    this.waiting.armIn(0);
  }

  /** A connected socket hears of final errors alone (`__udp4_lib_err()`); one that is not hears of none. */
  private failed({ errno, packet }: SocketError): void {
    if (this.socket.pending === null) return;
    this.socket.pending = null;
    this.environment.say(`${NAME}: recv: ${strerror(errno)}`, packet);
    this.exit(1);
  }

  /** The datagram under way is settled: it was answered, or nobody did in time. */
  private goOn(): void {
    const { count = 1, timeout = 1e9 } = this.options;
    if (!this.answered) this.environment.say(`no answer after ${timeout / 1e9} s`);
    if (this.sent < count) this.send();
    else this.exit(this.answers === this.sent ? 0 : 1);
  }

  private exit(status: number): void {
    this.waiting.cancel();
    this.socket.close();
    this.environment.exit(status);
  }
}
