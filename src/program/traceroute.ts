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
import { nameOf, resolve } from "./resolver.ts";

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
  /** Whose `traceroute` it is; that of Linux where absent. */
  readonly family?: TracerouteFamily;
}

/** How one implementation of `traceroute` probes and prints. */
interface TracerouteFamily {
  /** Bytes of a probe with its IP header. */
  readonly packet: number;
  /** What the first probe adds to the base port. */
  readonly firstPort: 0 | 1;
  /** All probes come from one port. */
  readonly onePort: boolean;
  /** It looks up the names of those who answer. */
  readonly names: boolean;
  /** What stands between the hop's number and the first answer's gap, before a name, and for no answer. */
  readonly margin: string;
  readonly gap: string;
  readonly silence: string;
  /** So many of a hop's probes, told of an unreachable destination, end it. */
  refusals(probes: number): number;
  /** What it says of a name that is not found, and the exit status. */
  unknown(target: string, error: string | null): readonly [lines: readonly string[], status: number];
}

/** Traceroute 2.1 for Linux. */
const LINUX: TracerouteFamily = {
  packet: 60,
  firstPort: 0,
  onePort: false,
  names: false,
  margin: " ",
  gap: " ",
  silence: " *",
  refusals: () => 1,
  unknown: (target, error) => [
    [`${target}: ${error}`, `Cannot handle "host" cmdline arg \`${target}' on position 1 (argc 1)`],
    2,
  ],
};

/** BusyBox 1.31 to 1.36, `networking/traceroute.c`. */
const BUSYBOX: TracerouteFamily = {
  packet: 46,
  firstPort: 1,
  onePort: true,
  names: true,
  margin: "",
  gap: "  ",
  silence: "  *",
  refusals: (probes) => Math.max(1, probes - 1),
  unknown: (target) => [[`traceroute: bad address '${target}'`], 1],
};

const HEADERS = 28;

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
  return resolving(words, options, LINUX);
}

/** `traceroute` of BusyBox. @throws {InputError}. */
export function parseBusyboxTraceroute(words: Arguments): Program {
  const options = {
    firstHop: words.integer("f", 1, [1, 255]),
    maxHops: words.integer("m", 30, [1, 255]),
    probes: words.integer("q", 3, [1, 10]),
    timeout: words.seconds("w", 3),
    port: words.integer("p", 33_434, [1, 65_535]),
    numeric: words.has("n"),
  };
  return resolving(words, options, BUSYBOX);
}

function resolving(
  words: Arguments,
  options: Omit<TracerouteOptions, "destination">,
  family: TracerouteFamily,
): Program {
  const target = words.target(words.operand("the address to trace the route to"));
  words.finish();
  return {
    name: "traceroute",
    serves: false,
    start: (environment) =>
      resolve(environment, target, ({ addresses, error, packet }) => {
        const [destination] = addresses;
        if (destination !== undefined) {
          new Traceroute(environment, { ...options, family, destination, name: target }).start();
          return;
        }
        const [lines, status] = family.unknown(target, error);
        for (const line of lines) environment.say(line, packet);
        environment.exit(status);
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
  /** It came from the destination. */
  readonly reached: boolean;
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
  /** Probes of this hop that were told that the destination cannot be reached. */
  private refused = 0;
  private reached = false;
  /** The port of the first UDP probe. */
  private port = 0;
  private readonly names = new Map<number, string>();
  private over = false;
  private readonly family: TracerouteFamily;

  constructor(
    private readonly environment: Environment,
    private readonly options: TracerouteOptions,
  ) {
    this.family = options.family ?? LINUX;
    this.hop = options.firstHop ?? 1;
    this.waiting = environment.scheduler.timer(() => this.settle());
    this.echo = options.method === "icmp" ? environment.ping.socket() : null;
    if (this.echo === null) return;
    this.echo.onReply = ({ from, sequence, packet }) =>
      this.answered(sequence, { from, mark: "", reached: true, packet });
    this.echo.onError = ({ sequence, error, packet }) => this.failed(sequence, error, packet);
  }

  start(): void {
    const { destination, maxHops = 30 } = this.options;
    const address = formatIpv4(destination);
    const { name = address } = this.options;
    this.environment.say(`traceroute to ${name} (${address}), ${maxHops} hops max, ${this.family.packet} byte packets`);
    this.next();
  }

  /** Sends the next probe, or ends. */
  private next(): void {
    const { probes = 3, maxHops = 30 } = this.options;
    this.socket?.close();
    if (this.probe === probes) {
      this.environment.say(this.line, this.lastPacket);
      if (this.reached || this.refused >= this.family.refusals(probes) || this.hop === maxHops) {
        this.exit(0);
        return;
      }
      this.hop++;
      this.probe = 0;
    }
    if (this.probe++ === 0) {
      this.line = `${String(this.hop).padStart(2)}${this.family.margin}`;
      this.refused = 0;
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
    const reached = () => this.answered(sequence, { from: destination, mark: "", reached: true, packet: tcp.cause });
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
    const failed = socket.send(this.options.destination, this.sequence, {
      size: this.family.packet - HEADERS,
      ttl: this.hop,
    });
    return failed === null ? null : `send: ${strerror(failed)}`;
  }

  /** Each probe has a socket of its own: its errors are about it alone. */
  private sendUdp(): string | null {
    const { destination, port = 33_434 } = this.options;
    const { sequence, family } = this;
    const socket = this.environment.udp.open({ ttl: this.hop, reportErrors: true });
    this.socket = socket;
    socket.onError = ({ error, packet }) => this.failed(sequence, error, packet);
    socket.onReceive = ({ from, packet }) =>
      this.answered(sequence, { from: from.address, mark: "", reached: true, packet });
    if (family.onePort && this.port !== 0) socket.bind(0, this.port);
    const refused = socket.connect(destination, ((port + family.firstPort + sequence - 2) % 65_535) + 1);
    if (refused !== null) return `connect: ${strerror(refused)}`;
    this.port = socket.port;
    const failed = socket.send(new Uint8Array(family.packet - HEADERS).map((_, i) => 0x40 + i));
    return failed === null ? null : `send: ${strerror(failed)}`;
  }

  private failed(sequence: number, error: ErrorMessage, packet: number): void {
    const { from } = error;
    if (error.type === icmp.TIME_EXCEEDED) this.answered(sequence, { from, mark: "", reached: false, packet });
    else if (error.type === icmp.UNREACHABLE) {
      const reached = error.code === icmp.PORT_UNREACHABLE;
      if (!reached) this.refused++;
      this.answered(sequence, { from, mark: markOf(error), reached, packet });
    }
  }

  private answered(sequence: number, answer: Answer): void {
    if (sequence !== this.sequence || this.answer || this.over) return;
    this.answer = true;
    const time = this.environment.scheduler.now - this.sentAt;
    const { from } = answer;
    const known = this.options.numeric === true || !this.family.names || this.names.has(from);
    if (known) this.print(answer, time);
    else {
      this.waiting.cancel();
      nameOf(this.environment, from, (name) => {
        this.names.set(from, name);
        if (!this.over) this.print(answer, time);
      });
    }
  }

  private print({ from, mark, reached, packet }: Answer, time: number): void {
    const address = formatIpv4(from);
    const { gap } = this.family;
    const name = this.names.get(from) ?? address;
    if (from !== this.lastFrom) this.line += gap + (this.options.numeric === true ? address : `${name} (${address})`);
    this.lastFrom = from;
    this.lastPacket = packet;
    const micro = Math.floor(time / 1000);
    this.line += `  ${(micro / 1000).toFixed(3)} ms${mark === "" ? "" : ` ${mark}`}`;
    this.reached ||= reached;
    this.waiting.armIn(0);
  }

  /** The probe under way is settled: it was answered, or nobody did in time. */
  private settle(): void {
    if (!this.answer) this.line += this.family.silence;
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
