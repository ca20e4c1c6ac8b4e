import type { Timer } from "../sim/scheduler.ts";
import type { PingSocket } from "../socket/ping.ts";
import { strerror } from "../socket/strerror.ts";
import type { TcpSocket } from "../socket/tcp.ts";
import type { UdpSocket } from "../socket/udp.ts";
import { formatIpv4 } from "../wire/address.ts";
import * as icmp from "../wire/icmp.ts";
import type { Arguments } from "./command-line.ts";
import { type ErrorMessage, markOf } from "./icmp-message.ts";
import type { Environment, Program } from "./program.ts";
import { resolve } from "./resolver.ts";

/** Times in nanoseconds. */
export interface TracerouteOptions {
  readonly destination: number;
  /** The name that stood for it. */
  readonly name?: string;
  /** What the probes are: UDP datagrams to ports where nobody listens, ICMP echo requests, or TCP connections. */
  readonly method?: "udp" | "icmp" | "tcp";
  readonly firstHop?: number;
  readonly maxHops?: number;
  /** Probes for each hop. */
  readonly probes?: number;
  /** How long to wait for each answer. */
  readonly timeout?: number;
  /** The port of the first UDP probe; each further one goes to the next port. */
  readonly port?: number;
  /** Addresses alone, as `-n` has it. */
  readonly numeric?: boolean;
}

const PACKET = 60;
const UDP_DATA = new Uint8Array(PACKET - 28).map((_, i) => 0x40 + i);

/** `traceroute` of Linux, as its options are read. @throws {InputError}. */
export function parseTraceroute(words: Arguments): Program {
  const options = {
    method: words.has("I") ? ("icmp" as const) : words.has("T") ? ("tcp" as const) : ("udp" as const),
    firstHop: words.integer("f", 1, [1, 255]),
    maxHops: words.integer("m", 30, [1, 255]),
    probes: words.integer("q", 3, [1, 10]),
    timeout: words.seconds("w", 5),
    port: words.integer("p", words.has("T") ? 80 : 33_434, [1, 65_535]),
    numeric: words.has("n"),
  };
  const target = words.target(words.operand("the address to trace the route to"));
  words.finish();
  return {
    name: "traceroute",
    serves: false,
    start: (environment) =>
      resolve(environment, target, ({ addresses, error, packet }) => {
        const [destination] = addresses;
        if (destination !== undefined) {
          new Traceroute(environment, { ...options, destination, name: target }).start();
          return;
        }
        environment.say(`${target}: ${error}`, packet);
        environment.say(`Cannot handle "host" cmdline arg \`${target}' on position 1 (argc 1)`);
        environment.exit(2);
      }),
  };
}

/**
 * Finds the routers on the way by probes whose TTL ends at one after the other. Unlike Linux's, which sends sixteen
 * probes at once, it waits for each answer before the next, as `-N 1` does: the trace reads in order.
 */
export function traceroute(options: TracerouteOptions): Program {
  return { name: "traceroute", serves: false, start: (environment) => new Traceroute(environment, options).start() };
}

/** What came back for a probe: who sent it, and a mark where it tells more than "time exceeded". */
interface Answer {
  readonly from: number;
  readonly mark: string;
  /** No router behind this one will be reached. */
  readonly final: boolean;
  readonly packet: number;
}

class Traceroute {
  private readonly waiting: Timer;
  private readonly echo: PingSocket | null;
  private socket: UdpSocket | TcpSocket | null = null;
  private hop: number;
  /** The probe of this hop that is under way, from 1. */
  private probe = 0;
  private sequence = 0;
  private sentAt = 0;
  /** The probe under way was answered. */
  private answer = false;
  private line = "";
  private lastFrom: number | null = null;
  private lastPacket = 0;
  private final = false;
  private over = false;

  constructor(
    private readonly environment: Environment,
    private readonly options: TracerouteOptions,
  ) {
    this.hop = options.firstHop ?? 1;
    this.waiting = environment.scheduler.timer(() => this.settle());
    this.echo = options.method === "icmp" ? environment.ping.socket() : null;
    if (this.echo === null) return;
    this.echo.onReply = ({ from, sequence, packet }) =>
      this.answered(sequence, { from, mark: "", final: true, packet });
    this.echo.onError = ({ sequence, error, packet }) => this.failed(sequence, error, packet);
  }

  start(): void {
    const { destination, maxHops = 30 } = this.options;
    const address = formatIpv4(destination);
    const { name = address } = this.options;
    this.environment.say(`traceroute to ${name} (${address}), ${maxHops} hops max, ${PACKET} byte packets`);
    this.next();
  }

  /** Sends the next probe, or ends. */
  private next(): void {
    const { probes = 3, maxHops = 30 } = this.options;
    this.socket?.close();
    if (this.probe === probes) {
      this.environment.say(this.line, this.lastPacket);
      if (this.final || this.hop === maxHops) {
        this.exit(0);
        return;
      }
      this.hop++;
      this.probe = 0;
    }
    if (this.probe++ === 0) {
      this.line = `${String(this.hop).padStart(2)} `;
      this.lastFrom = null;
      this.lastPacket = 0;
    }
    this.sequence++;
    this.answer = false;
    this.sentAt = this.environment.scheduler.now;
    this.waiting.armIn(this.options.timeout ?? 5e9);
    const failed = this.probeBy();
    if (failed === null || this.over) return;
    this.environment.say(failed);
    this.exit(1);
  }

  private probeBy(): string | null {
    if (this.echo !== null) return this.sendEcho(this.echo);
    return this.options.method === "tcp" ? this.connect() : this.sendUdp();
  }

  /** A connection that is given up at once: who answers its SYN, be it by a RST, was reached. */
  private connect(): string | null {
    const { destination, port = 80 } = this.options;
    const { sequence } = this;
    const { tcp } = this.environment;
    const socket = tcp.open({ ttl: this.hop });
    this.socket = socket;
    const reached = () => this.answered(sequence, { from: destination, mark: "", final: true, packet: tcp.cause });
    socket.onConnect = reached;
    socket.onError = (errno) => {
      const { lastIcmp } = socket;
      if (lastIcmp !== null) this.failed(sequence, lastIcmp, tcp.cause);
      else if (errno === "ECONNREFUSED") reached();
    };
    const refused = socket.connect(destination, port);
    // An error that comes during the call is kept by the socket, as Linux keeps it (`sk_err_soft`).
    if (refused === null && socket.lastIcmp !== null) this.failed(sequence, socket.lastIcmp, 0);
    return refused === null ? null : `connect: ${strerror(refused)}`;
  }

  private sendEcho(socket: PingSocket): string | null {
    const failed = socket.send(this.options.destination, this.sequence, { size: PACKET - 28, ttl: this.hop });
    return failed === null ? null : `send: ${strerror(failed)}`;
  }

  /** Each probe has a socket of its own, so that each is a flow of its own. */
  private sendUdp(): string | null {
    const { destination, port = 33_434 } = this.options;
    const { sequence } = this;
    const socket = this.environment.udp.open({ ttl: this.hop, reportErrors: true });
    this.socket = socket;
    socket.onError = ({ error, packet }) => this.failed(sequence, error, packet);
    socket.onReceive = ({ from, packet }) =>
      this.answered(sequence, { from: from.address, mark: "", final: true, packet });
    const refused = socket.connect(destination, ((port + sequence - 2) % 65_535) + 1);
    if (refused !== null) return `connect: ${strerror(refused)}`;
    const failed = socket.send(UDP_DATA);
    return failed === null ? null : `send: ${strerror(failed)}`;
  }

  private failed(sequence: number, error: ErrorMessage, packet: number): void {
    const { from } = error;
    if (error.type === icmp.TIME_EXCEEDED) this.answered(sequence, { from, mark: "", final: false, packet });
    else if (error.type === icmp.UNREACHABLE)
      this.answered(sequence, { from, mark: markOf(error), final: true, packet });
  }

  private answered(sequence: number, { from, mark, final, packet }: Answer): void {
    if (sequence !== this.sequence || this.answer || this.over) return;
    this.answer = true;
    const name = formatIpv4(from);
    if (from !== this.lastFrom) this.line += this.options.numeric === true ? ` ${name}` : ` ${name} (${name})`;
    this.lastFrom = from;
    this.lastPacket = packet;
    const micro = Math.floor((this.environment.scheduler.now - this.sentAt) / 1000);
    this.line += `  ${(micro / 1000).toFixed(3)} ms${mark === "" ? "" : ` ${mark}`}`;
    this.final ||= final;
    this.waiting.armIn(0);
  }

  /** The probe under way is settled: it was answered, or nobody did in time. */
  private settle(): void {
    if (!this.answer) this.line += " *";
    this.next();
  }

  private exit(status: number): void {
    this.over = true;
    this.waiting.cancel();
    this.socket?.close();
    this.echo?.close();
    this.environment.exit(status);
  }
}
