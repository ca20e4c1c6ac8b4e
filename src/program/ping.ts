import type { Timer } from "../sim/scheduler.ts";
import type { Echo, EchoError, PingSocket } from "../socket/ping.ts";
import { type Errno, strerror } from "../socket/strerror.ts";
import { formatIpv4 } from "../wire/address.ts";
import type { Arguments } from "./command-line.ts";
import { describeError } from "./icmp-message.ts";
import { BUSYBOX, IPUTILS, type PingFamily } from "./ping-text.ts";
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
  /** Whose `ping` it is; that of iputils where absent. */
  readonly family?: PingFamily;
}

type Discovery = (typeof DISCOVERY)[number];

/** In the order of `IP_MTU_DISCOVER`'s values. */
const DISCOVERY = ["dont", "want", "do"] as const;
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
  return resolving(words, options, IPUTILS);
}

/** `ping` of BusyBox. @throws {InputError}. */
export function parseBusyboxPing(words: Arguments): Program {
  const options = {
    count: words.integer("c", 0, [1, 1_000_000]),
    interval: words.seconds("i", 1),
    timeout: words.seconds("W", 10),
    deadline: words.seconds("w", 0),
    size: words.integer("s", 56, [0, 65_507]),
    ttl: words.integer("t", 0, [1, 255]),
  };
  return resolving(words, options, BUSYBOX);
}

function resolving(words: Arguments, options: Omit<PingOptions, "destination">, family: PingFamily): Program {
  const target = words.target(words.operand("the address to ping"));
  words.finish();
  return {
    ...ping({ ...options, destination: 0 }),
    start: (environment) =>
      resolve(environment, target, ({ addresses, error, packet }) => {
        const [destination] = addresses;
        if (destination !== undefined) {
          const name = target === formatIpv4(destination) ? null : target;
          new Ping(environment, { ...options, family, destination, name }).start();
          return;
        }
        const [text, status] = family.unknown(target, error);
        environment.say(text, packet);
        environment.exit(status);
      }),
  };
}

/** Asks a host for echoes and prints each answer with its time. */
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
  private readonly family: PingFamily;

  constructor(
    private readonly environment: Environment,
    private readonly options: PingOptions,
  ) {
    this.family = options.family ?? IPUTILS;
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
    const failed = this.family.inquisitive ? this.probe() : null;
    if (failed !== null) {
      this.giveUp(`ping: connect: ${strerror(failed)}`, 2);
      return;
    }
    this.environment.say(this.family.head(target, address, size));
    if (deadline > 0) this.deadline.armIn(deadline);
    this.send();
  }

  /** Is there a route at all? */
  private probe(): Errno | null {
    const probe = this.environment.udp.open({ broadcast: true });
    const failed = probe.connect(this.options.destination, 1025);
    probe.close();
    return failed;
  }

  private giveUp(text: string, status: number): void {
    this.over = true;
    this.environment.say(text);
    this.stop();
    this.environment.exit(status);
  }

  private stop(): void {
    this.socket.close();
    for (const timer of [this.next, this.last, this.deadline]) timer.cancel();
  }

  /** Timers are armed first: the answer may come before the kernel returns from sending. */
  private send(): void {
    const { destination, count = 0, interval = SECOND, size = 56, ttl = 0, discovery = "want" } = this.options;
    const sequence = (this.sent++ + this.family.firstSequence) & 0xffff;
    this.latest = this.now;
    this.sentAt.set(sequence, this.now);
    if (count === 0 || this.sent < count) this.next.armIn(interval);
    else this.last.armIn(this.lingering());
    const how = DISCOVERY.indexOf(discovery) as 0 | 1 | 2;
    const failed = this.socket.send(destination, sequence, { size, ttl, discovery: how });
    if (failed === "EMSGSIZE" && discovery === "do") this.tooLong();
    else if (failed !== null && this.family.givesUp) this.giveUp(this.family.notSent(failed), 1);
    else if (failed !== null) this.environment.say(this.family.notSent(failed));
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
    const behind = (this.sent - 1 + this.family.firstSequence - sequence) & 0xffff;
    if (behind <= 0x7fff) this.pipe = Math.max(this.pipe, behind + 1);
  }

  /** Prints a line about an address, once its name is known where names are wanted (`pr_addr()`). */
  private print(from: number, packet: number, line: (who: string) => string): void {
    const address = formatIpv4(from);
    const { name = null, numeric = false } = this.options;
    const known = this.names.get(from);
    if (name === null || numeric || known !== undefined || !this.family.inquisitive) {
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
    const time = sentAt === undefined ? null : this.now - sentAt;
    if (time !== null) this.times.push(time);
    if (duplicate) this.duplicates++;
    else this.answered.add(sequence);
    this.print(from, packet, (who) => this.family.reply({ bytes, who, sequence, ttl, time, duplicate }));
  }

  private failed({ sequence, error, packet }: EchoError): void {
    if (!this.family.inquisitive) return;
    this.errors++;
    this.latest = this.now;
    this.acknowledge(sequence);
    this.print(error.from, packet, (who) => `From ${who} icmp_seq=${sequence} ${describeError(error)}`);
  }

  private finish(): void {
    this.over = true;
    this.stop();
    const { say, exit } = this.environment;
    const { sent, times, duplicates, errors, pipe } = this;
    const received = this.answered.size;
    const duration = this.latest - this.started;
    say("");
    say(`--- ${this.options.name ?? formatIpv4(this.options.destination)} ping statistics ---`);
    for (const line of this.family.totals({ sent, received, duplicates, errors, times, pipe, duration })) say(line);
    exit(received > 0 ? 0 : 1);
  }
}
