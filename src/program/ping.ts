import type { Timer } from "../sim/scheduler.ts";
import type { Echo, EchoError, PingSocket } from "../socket/ping.ts";
import { strerror } from "../socket/strerror.ts";
import { formatIpv4 } from "../wire/address.ts";
import type { Arguments } from "./command-line.ts";
import { describeError } from "./icmp-message.ts";
import type { Environment, Program } from "./program.ts";
import { nameOf, resolve } from "./resolver.ts";

/** Times in nanoseconds. */
export interface PingOptions {
  readonly destination: number;
  /** How many requests; 0 goes on for ever. */
  readonly count?: number;
  readonly interval?: number;
  /** How long to wait for an answer after the last request when there was none at all. */
  readonly timeout?: number;
  /** When to end in any case; 0 for never. */
  readonly deadline?: number;
  /** Bytes of data. */
  readonly size?: number;
  readonly ttl?: number;
  /** `-M`: "want" forbids fragments while the request fits, "do" always, "dont" never. */
  readonly discovery?: Discovery;
  /** The name that stood for the destination; null for an address. */
  readonly name?: string | null;
  /** Addresses alone, as `-n` has it; an address as the destination has it, too. */
  readonly numeric?: boolean;
}

type Discovery = (typeof DISCOVERY)[number];

/** In the order of `IP_MTU_DISCOVER`'s values. */
const DISCOVERY = ["dont", "want", "do"] as const;
const HEADERS = 28;
const SECOND = 1e9;

/** `ping` of iputils, as its options are read. @throws {InputError}. */
export function parsePing(words: Arguments): Program {
  const options = {
    count: words.integer("c", 0, [1, 1_000_000]),
    interval: words.seconds("i", 1),
    timeout: words.seconds("W", 10),
    deadline: words.seconds("w", 0),
    size: words.integer("s", 56, [0, 65_507]),
    ttl: words.integer("t", 0, [1, 255]),
    discovery: words.word("M", "want", DISCOVERY),
    numeric: words.has("n"),
  };
  const target = words.target(words.operand("the address to ping"));
  words.finish();
  return {
    ...ping({ ...options, destination: 0 }),
    start: (environment) =>
      resolve(environment, target, ({ addresses, error, packet }) => {
        const [destination] = addresses;
        if (destination !== undefined) {
          const name = target === formatIpv4(destination) ? null : target;
          new Ping(environment, { ...options, destination, name }).start();
          return;
        }
        environment.say(`ping: ${target}: ${error}`, packet);
        environment.exit(2);
      }),
  };
}

/** Asks a host for echoes and prints each answer with its time, as `ping` of iputils does. */
export function ping(options: PingOptions): Program {
  const { count = 0, deadline = 0 } = options;
  return {
    name: "ping",
    serves: false,
    endless: count === 0 && deadline === 0,
    start: (environment) => new Ping(environment, options).start(),
  };
}

class Ping {
  private readonly socket: PingSocket;
  private readonly next: Timer;
  private readonly last: Timer;
  private readonly deadline: Timer;
  private readonly sentAt = new Map<number, number>();
  private readonly answered = new Set<number>();
  private readonly times: number[] = [];
  private started = 0;
  private latest = 0;
  private sent = 0;
  private duplicates = 0;
  private errors = 0;
  /** The most requests that were under way at once. */
  private pipe = 0;
  private readonly names = new Map<number, string>();
  /** Lines that wait for the name of an address. */
  private unnamed = 0;
  private over = false;

  constructor(
    private readonly environment: Environment,
    private readonly options: PingOptions,
  ) {
    const { scheduler } = environment;
    this.socket = environment.ping.socket();
    this.socket.onReply = (echo) => this.replied(echo);
    this.socket.onError = (error) => this.failed(error);
    this.next = scheduler.timer(() => this.send());
    this.last = scheduler.timer(() => this.finish());
    this.deadline = scheduler.timer(() => this.finish());
    environment.onInterrupt?.(() => this.finish());
  }

  private get now(): number {
    return this.environment.scheduler.now;
  }

  start(): void {
    const { destination, size = 56, deadline = 0 } = this.options;
    const address = formatIpv4(destination);
    const target = this.options.name ?? address;
    this.started = this.latest = this.now;
    const probe = this.environment.udp.open({ broadcast: true });
    const failed = probe.connect(destination, 1025);
    probe.close();
    if (failed !== null) {
      this.environment.say(`ping: connect: ${strerror(failed)}`);
      this.socket.close();
      this.environment.exit(2);
      return;
    }
    this.environment.say(`PING ${target} (${address}) ${size}(${size + HEADERS}) bytes of data.`);
    if (deadline > 0) this.deadline.armIn(deadline);
    this.send();
  }

  /** Timers are armed first: the answer may come before the kernel returns from sending. */
  private send(): void {
    const { destination, count = 0, interval = SECOND, size = 56, ttl = 0, discovery = "want" } = this.options;
    const sequence = ++this.sent;
    this.latest = this.now;
    this.sentAt.set(sequence & 0xffff, this.now);
    if (count === 0 || sequence < count) this.next.armIn(interval);
    else this.last.armIn(this.lingering());
    const how = DISCOVERY.indexOf(discovery) as 0 | 1 | 2;
    const failed = this.socket.send(destination, sequence & 0xffff, { size, ttl, discovery: how });
    if (failed === "EMSGSIZE" && discovery === "do") this.tooLong();
    else if (failed !== null) this.environment.say(`ping: sendmsg: ${strerror(failed)}`);
  }

  /** It comes by the error queue, so it counts as an error. */
  private tooLong(): void {
    this.errors++;
    const mtu = this.socket.pathMtu(this.options.destination);
    this.environment.say(`ping: local error: message too long, mtu=${mtu}`);
    if (this.complete) this.finish();
  }

  /** `schedule_exit()`: two of the longest round trips once there was an answer, else the whole timeout. */
  private lingering(): number {
    const { timeout = 10 * SECOND, interval = SECOND } = this.options;
    return this.times.length > 0 ? Math.max(2 * Math.max(...this.times), interval) : timeout;
  }

  private get complete(): boolean {
    const { count = 0 } = this.options;
    return count > 0 && this.unnamed === 0 && this.answered.size + this.errors >= count;
  }

  /** `acknowledge()`. */
  private acknowledge(sequence: number): void {
    const behind = (this.sent - sequence) & 0xffff;
    if (behind <= 0x7fff) this.pipe = Math.max(this.pipe, behind + 1);
  }

  /** Prints a line about an address, once its name is known where names are wanted (`pr_addr()`). */
  private print(from: number, packet: number, line: (who: string) => string): void {
    const address = formatIpv4(from);
    const { name = null, numeric = false } = this.options;
    const known = this.names.get(from);
    if (name === null || numeric || known !== undefined) {
      this.environment.say(line(known === undefined ? address : `${known} (${address})`), packet);
      if (this.complete) this.finish();
      return;
    }
    this.unnamed++;
    nameOf(this.environment, from, (found) => {
      this.unnamed--;
      this.names.set(from, found);
      if (!this.over) this.print(from, packet, line);
    });
  }

  private replied({ from, sequence, ttl, bytes, packet }: Echo): void {
    const sentAt = this.sentAt.get(sequence);
    const duplicate = this.answered.has(sequence);
    this.latest = this.now;
    this.acknowledge(sequence);
    let rest = `icmp_seq=${sequence} ttl=${ttl}`;
    if (sentAt !== undefined) {
      const time = this.now - sentAt;
      this.times.push(time);
      rest += ` time=${formatTime(time)} ms`;
    }
    if (duplicate) this.duplicates++;
    else this.answered.add(sequence);
    if (duplicate) rest += " (DUP!)";
    this.print(from, packet, (who) => `${bytes} bytes from ${who}: ${rest}`);
  }

  private failed({ sequence, error, packet }: EchoError): void {
    this.errors++;
    this.latest = this.now;
    this.acknowledge(sequence);
    this.print(error.from, packet, (who) => `From ${who} icmp_seq=${sequence} ${describeError(error)}`);
  }

  private finish(): void {
    this.over = true;
    this.socket.close();
    for (const timer of [this.next, this.last, this.deadline]) timer.cancel();
    const { say, exit } = this.environment;
    const received = this.answered.size;
    const { sent, times } = this;
    say("");
    say(`--- ${this.options.name ?? formatIpv4(this.options.destination)} ping statistics ---`);
    const parts = [`${sent} packets transmitted`, `${received} received`];
    if (this.duplicates > 0) parts.push(`+${this.duplicates} duplicates`);
    if (this.errors > 0) parts.push(`+${this.errors} errors`);
    parts.push(`${formatShare((sent - received) / sent)}% packet loss`);
    parts.push(`time ${Math.floor((this.latest - this.started) / 1e6)}ms`);
    say(parts.join(", "));
    const pipe = this.pipe > 1 ? [`pipe ${this.pipe}`] : [];
    if (times.length > 0) say([`rtt min/avg/max/mdev = ${formatTimes(times)} ms`, ...pipe].join(", "));
    else if (pipe.length > 0) say(pipe[0]!);
    exit(received > 0 ? 0 : 1);
  }
}

/** Milliseconds with the digits that ping gives them: the more, the shorter the time. */
function formatTime(nanoseconds: number): string {
  const micro = Math.floor(nanoseconds / 1000);
  const digits = micro >= 99_950 ? 0 : micro >= 9_995 ? 1 : micro >= 1_000 ? 2 : 3;
  return (micro / 1000).toFixed(digits);
}

function formatTimes(times: readonly number[]): string {
  const micro = times.map((time) => Math.floor(time / 1000));
  const mean = micro.reduce((sum, time) => sum + time, 0) / micro.length;
  const square = micro.reduce((sum, time) => sum + time * time, 0) / micro.length;
  const deviation = Math.sqrt(Math.max(0, square - mean * mean));
  const values = [Math.min(...micro), mean, Math.max(...micro), deviation];
  return values.map((value) => (Math.floor(value) / 1000).toFixed(3)).join("/");
}

/** A percentage as `%g` prints it. */
const formatShare = (share: number): string => `${Number((share * 100).toPrecision(6))}`;
