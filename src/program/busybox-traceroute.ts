import type { Timer } from "../sim/scheduler.ts";
import { strerror } from "../socket/strerror.ts";
import type { UdpSocket } from "../socket/udp.ts";
import { formatIpv4 } from "../wire/address.ts";
import * as icmp from "../wire/icmp.ts";
import type { Arguments } from "./command-line.ts";
import { type ErrorMessage, markOf } from "./icmp-message.ts";
import type { Environment, Program } from "./program.ts";
import { nameOf, resolve } from "./resolver.ts";

/** Times in nanoseconds. */
interface BusyboxTracerouteOptions {
  readonly destination: number;
  /** The name that stood for it. */
  readonly name: string;
  readonly firstHop: number;
  readonly maxHops: number;
  /** Probes for each hop. */
  readonly probes: number;
  /** How long to wait for each answer. */
  readonly timeout: number;
  /** The first UDP probe goes to the port behind it, each further one to the next. */
  readonly port: number;
  /** Addresses alone, as `-n` has it. */
  readonly numeric: boolean;
}

const PACKET = 46;
const HEADERS = 28;
const DATA = Uint8Array.from({ length: PACKET - HEADERS }, (_, i) => 0x40 + i);

/** `traceroute` of BusyBox 1.31 to 1.36 (`networking/traceroute.c`). @throws {InputError}. */
export function parseBusyboxTraceroute(words: Arguments): Program {
  const options = {
    firstHop: words.integer("f", 1, [1, 255]),
    maxHops: words.integer("m", 30, [1, 255]),
    probes: words.integer("q", 3, [1, 10]),
    timeout: words.seconds("w", 3),
    port: words.integer("p", 33_434, [1, 65_535]),
    numeric: words.has("n"),
  };
  const target = words.target(words.operand("the address to trace the route to"));
  words.finish();
  return {
    name: "traceroute",
    serves: false,
    start: (environment) =>
      resolve(environment, target, ({ addresses: [destination], packet }) => {
        if (destination !== undefined)
          new BusyboxTraceroute(environment, { ...options, destination, name: target }).start();
        else {
          environment.say(`traceroute: bad address '${target}'`, packet);
          environment.exit(1);
        }
      }),
  };
}

/** What came back for a probe: who sent it, and a mark where it tells more than "time exceeded". */
interface Answer {
  readonly from: number;
  readonly mark: string;
  /** It came from the destination. */
  readonly reached: boolean;
  readonly packet: number;
}

/** Finds the routers on the way by UDP probes, of which each waits for the answer to the last. */
class BusyboxTraceroute {
  private readonly waiting: Timer;
  private socket: UdpSocket | null = null;
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
  /** The port that all probes come from. */
  private port = 0;
  private readonly names = new Map<number, string>();
  private over = false;

  constructor(
    private readonly environment: Environment,
    private readonly options: BusyboxTracerouteOptions,
  ) {
    this.hop = options.firstHop;
    this.waiting = environment.scheduler.timer(() => this.settle());
  }

  start(): void {
    const { destination, name, maxHops } = this.options;
    this.environment.say(
      `traceroute to ${name} (${formatIpv4(destination)}), ${maxHops} hops max, ${PACKET} byte packets`,
    );
    this.next();
  }

  /** Sends the next probe, or ends. */
  private next(): void {
    const { probes, maxHops, timeout } = this.options;
    this.socket?.close();
    if (this.probe === probes) {
      this.environment.say(this.line, this.lastPacket);
      if (this.reached || this.refused >= Math.max(1, probes - 1) || this.hop === maxHops) {
        this.exit(0);
        return;
      }
      this.hop++;
      this.probe = 0;
    }
    if (this.probe++ === 0) {
      this.line = String(this.hop).padStart(2);
      this.refused = 0;
      this.lastFrom = null;
      this.lastPacket = 0;
    }
    this.sequence++;
    this.answer = false;
    this.sentAt = this.environment.scheduler.now;
    this.waiting.armIn(timeout);
    const failed = this.send();
    if (failed === null || this.over) return;
    this.environment.say(failed);
    this.exit(1);
  }

  /** Each probe has a socket of its own: its errors are about it alone. */
  private send(): string | null {
    const { destination, port } = this.options;
    const { sequence } = this;
    const socket = this.environment.udp.open({ ttl: this.hop, reportErrors: true });
    this.socket = socket;
    socket.onError = ({ error, packet }) => this.failed(sequence, error, packet);
    socket.onReceive = ({ from, packet }) =>
      this.answered(sequence, { from: from.address, mark: "", reached: true, packet });
    if (this.port !== 0) socket.bind(0, this.port);
    const refused = socket.connect(destination, ((port + sequence - 1) % 65_535) + 1);
    if (refused !== null) return `connect: ${strerror(refused)}`;
    this.port = socket.port;
    const failed = socket.send(DATA);
    return failed === null ? null : `send: ${strerror(failed)}`;
  }

  private failed(sequence: number, error: ErrorMessage, packet: number): void {
    const { from, type, code } = error;
    if (type === icmp.TIME_EXCEEDED) this.answered(sequence, { from, mark: "", reached: false, packet });
    else if (type === icmp.UNREACHABLE) {
      const reached = code === icmp.PORT_UNREACHABLE;
      if (!reached) this.refused++;
      this.answered(sequence, { from, mark: markOf(error), reached, packet });
    }
  }

  private answered(sequence: number, answer: Answer): void {
    if (sequence !== this.sequence || this.answer || this.over) return;
    this.answer = true;
    const time = this.environment.scheduler.now - this.sentAt;
    const { from } = answer;
    if (this.options.numeric || this.names.has(from)) {
      this.print(answer, time);
      return;
    }
    this.waiting.cancel();
    nameOf(this.environment, from, (name) => {
      this.names.set(from, name);
      if (!this.over) this.print(answer, time);
    });
  }

  private print({ from, mark, reached, packet }: Answer, time: number): void {
    const address = formatIpv4(from);
    const name = this.names.get(from) ?? address;
    if (from !== this.lastFrom) this.line += `  ${this.options.numeric ? address : `${name} (${address})`}`;
    this.lastFrom = from;
    this.lastPacket = packet;
    const micro = Math.floor(time / 1000);
    this.line += `  ${(micro / 1000).toFixed(3)} ms${mark === "" ? "" : ` ${mark}`}`;
    this.reached ||= reached;
    this.waiting.armIn(0);
  }

  /** The probe under way is settled: it was answered, or nobody did in time. */
  private settle(): void {
    if (!this.answer) this.line += "  *";
    this.next();
  }

  private exit(status: number): void {
    this.over = true;
    this.waiting.cancel();
    this.socket?.close();
    this.environment.exit(status);
  }
}
