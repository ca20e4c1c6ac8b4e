import type { Timer } from "../sim/scheduler.ts";
import { formatIpv4 } from "../wire/address.ts";
import * as icmp from "../wire/icmp.ts";
import type { Arguments } from "./command-line.ts";
import { type ErrorMessage, markOf } from "./icmp-message.ts";
import type { Environment, Program } from "./program.ts";
import { nameOf, resolve } from "./resolver.ts";
import { PROBE_METHODS, type ProbeMethod } from "./traceroute-probes.ts";
import { type Probe, replaceExpired, timeoutOf, type Waiting } from "./traceroute-waiting.ts";

/** What a command line asks for; times in nanoseconds. */
interface TracerouteOptions {
  readonly destination: number;
  /** The name that stood for it. */
  readonly name: string;
  readonly method: keyof typeof PROBE_METHODS;
  readonly firstHop: number;
  readonly maxHops: number;
  /** Probes for each hop. */
  readonly probes: number;
  /** Probes that may be under way at once. */
  readonly atOnce: number;
  readonly waiting: Waiting;
  readonly port: number;
  readonly dontFragment: boolean;
  /** Addresses alone, as `-n` has it. */
  readonly numeric: boolean;
}

const FIRST_PORT = { udp: 33_434, icmp: 1, tcp: 80 } as const;

/** `traceroute` of Linux (2.1), as its options are read. @throws {InputError}. */
export function parseTraceroute(words: Arguments): Program {
  const method = words.has("I") ? "icmp" : words.has("T") ? "tcp" : "udp";
  const maxHops = words.integer("m", 30, [1, 255]);
  const options = {
    method,
    firstHop: words.integer("f", 1, [1, maxHops]),
    maxHops,
    probes: words.integer("q", 3, [1, 10]),
    atOnce: words.integer("N", 16, [1, 65_535]),
    waiting: readWaiting(words),
    port: words.integer("p", FIRST_PORT[method], [1, 65_535]),
    dontFragment: words.has("F"),
    numeric: words.has("n"),
  } as const;
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

/** `-w MAX[,HERE[,NEAR]]`; without HERE and NEAR every probe waits as long as MAX. */
function readWaiting(words: Arguments): Waiting {
  const word = words.option("w");
  if (word === null) return { most: 5e9, here: 3, near: 10 };
  const parts = word.text.split(",").map((part) => (/^\d+(\.\d+)?$/.test(part) ? Number(part) : -1));
  const [most = 0, here = 0, near = 0] = parts;
  if (parts.length > 3 || parts.some((part) => part < 0 || part > 1e6))
    throw words.error(word, "seconds such as 2 or 0.2, or MAX,HERE,NEAR");
  return { most: Math.round(most * 1e9), here, near };
}

/**
 * Finds the routers on the way by probes whose TTL ends at one after the other. Many are under way at once, yet they are
 * printed in order (`do_it()` of traceroute): a round goes over those that are not printed yet, prints the first where it
 * is settled, sends what may be sent, and sleeps in `poll()`.
 */
class Traceroute {
  private readonly timer: Timer;
  private readonly all: Probe[];
  private method: ProbeMethod | null = null;
  /** What the sockets hold, in the order of their file descriptors or of arrival. */
  private readonly inbox: { probe: Probe; from: number; error: ErrorMessage | null; at: number; packet: number }[] = [];
  /** The first probe that is not printed, and the first that nobody needs. */
  private first: number;
  private end: number;
  /** The round under way: where it is, when it began, how many are under way, until when to sleep; null: not at all. */
  private at = 0;
  private now = 0;
  private pending = 0;
  private until: number | null = null;
  private sleeping = false;
  private line = "";
  private linePacket = 0;
  /** The name of the address to be printed; null while it is not known. */
  private found: string | null = null;
  private asking = false;
  private over = false;

  constructor(
    private readonly environment: Environment,
    private readonly options: TracerouteOptions,
  ) {
    const { firstHop, maxHops, probes } = options;
    this.all = Array.from({ length: maxHops * probes }, (_, index) => newProbe(index, Math.floor(index / probes) + 1));
    this.first = (firstHop - 1) * probes;
    this.end = this.all.length;
    this.timer = environment.scheduler.timer(() => this.wake());
  }

  start(): void {
    const { destination, name, maxHops, method } = this.options;
    const made = PROBE_METHODS[method](this.environment, this.options, (index, from, error, packet) => {
      const ignored = error?.type === icmp.REDIRECT || error?.type === icmp.SOURCE_QUENCH;
      if (this.over || ignored) return;
      this.inbox.push({ probe: this.all[index]!, from, error, at: this.environment.scheduler.now, packet });
      // What arrives in one instant is there when the process runs.
      if (this.sleeping) this.timer.armIn(0);
    });
    if (typeof made === "string") {
      this.fail(made);
      return;
    }
    this.method = made;
    const address = formatIpv4(destination);
    this.environment.say(`traceroute to ${name} (${address}), ${maxHops} hops max, ${made.size} byte packets`);
    this.begin();
    this.turn();
  }

  /** Goes on from where it stopped, until it sleeps, waits for a name, or ends. */
  private turn(): void {
    while (!this.over) {
      if (!this.round()) return;
      if (this.first >= this.end) {
        this.finish(0);
        return;
      }
      if (this.until !== null && !this.poll(this.until)) return;
      this.begin();
    }
  }

  private begin(): void {
    this.at = this.first;
    this.now = this.environment.scheduler.now;
    this.pending = 0;
    this.until = null;
  }

  /** False where it has to go on later, or ended. */
  private round(): boolean {
    const { probes, atOnce, waiting } = this.options;
    for (; this.at < this.end; this.at++) {
      const probe = this.all[this.at]!;
      if (this.at === this.first && !probe.done && probe.sentAt !== null) {
        const expires = probe.sentAt + timeoutOf(this.all, probe, probes, waiting);
        if (expires > this.now) this.until = expires;
        else this.expire(probe);
      }
      if (probe.done) {
        if (this.at === this.first) {
          if (!this.print(probe)) return false;
          this.first++;
        }
        if (probe.final) this.end = probe.hop * probes;
        continue;
      }
      if (probe.sentAt === null && !this.send(probe)) return false;
      this.until ??= probe.sentAt! + timeoutOf(this.all, probe, probes, waiting);
      if (++this.pending >= atOnce) break;
    }
    return true;
  }

  private send(probe: Probe): boolean {
    probe.sentAt = this.environment.scheduler.now;
    const failed = this.method!.send(probe.index, probe.hop);
    if (failed !== null) this.fail(failed);
    return failed === null;
  }

  private expire(probe: Probe): void {
    this.method!.release(probe.index);
    probe.done = true;
    replaceExpired(this.all, probe, this.options.probes);
  }

  /** Reads what is there, or sleeps; true where it read. One message of each socket is read, errors first. */
  private poll(until: number): boolean {
    if (this.inbox.length === 0) {
      this.sleeping = true;
      this.timer.arm(Math.max(until, this.environment.scheduler.now));
      return false;
    }
    if (this.method!.oneSocket) {
      const error = this.inbox.findIndex((message) => message.error !== null);
      this.settle(this.inbox.splice(Math.max(error, 0), 1));
    } else this.settle(this.inbox.splice(0).sort((one, other) => one.probe.index - other.probe.index));
    return true;
  }

  private wake(): void {
    this.sleeping = false;
    if (this.inbox.length > 0) this.poll(0);
    this.begin();
    this.turn();
  }

  private settle(messages: typeof this.inbox): void {
    for (const { probe, from, error, at, packet } of messages) {
      if (probe.done) continue;
      const exceeded = error?.type === icmp.TIME_EXCEEDED && error.code === 0;
      const answer = {
        from,
        receivedAt: at,
        mark: error === null ? "" : markOf(error),
        ttl: error?.ttl ?? null,
        packet,
      };
      Object.assign(probe, { done: true, final: !exceeded, answer });
      this.method!.release(probe.index);
    }
  }

  /** False where the name of its address is not known yet: `getnameinfo()` keeps the process waiting. */
  private print(probe: Probe): boolean {
    const { probes, numeric } = this.options;
    const { answer } = probe;
    const place = probe.index % probes;
    const heading = answer !== null && this.isNews(probe, place);
    if (heading && !numeric && !this.lookUp(answer.from)) return false;
    if (place === 0) {
      this.flush();
      this.line = `${String(probe.hop).padStart(2)} `;
    }
    if (answer === null) {
      this.line += " *";
      return true;
    }
    const address = formatIpv4(answer.from);
    if (heading) this.line += numeric ? ` ${address}` : ` ${this.found} (${address})`;
    this.found = null;
    this.linePacket = answer.packet;
    const micro = Math.floor((answer.receivedAt - probe.sentAt!) / 1000);
    this.line += `  ${(micro / 1000).toFixed(3)} ms${answer.mark === "" ? "" : ` ${answer.mark}`}`;
    return true;
  }

  /** The first answer of its hop, or one from another address than the last. */
  private isNews({ index, answer }: Probe, place: number): boolean {
    const last = this.all
      .slice(index - place, index)
      .reverse()
      .find((probe) => probe.answer !== null);
    return last?.answer?.from !== answer!.from;
  }

  private lookUp(address: number): boolean {
    if (this.found !== null) return true;
    this.asking = false;
    nameOf(this.environment, address, (name) => {
      this.found = name;
      if (this.asking) this.turn();
    });
    this.asking = this.found === null;
    return !this.asking;
  }

  private flush(): void {
    if (this.line !== "") this.environment.say(this.line, this.linePacket);
    this.line = "";
    this.linePacket = 0;
  }

  private fail(line: string): void {
    this.flush();
    this.environment.say(line);
    this.finish(1);
  }

  private finish(status: number): void {
    this.flush();
    this.over = true;
    this.timer.cancel();
    this.method?.close();
    this.environment.exit(status);
  }
}

const newProbe = (index: number, hop: number): Probe => ({
  index,
  hop,
  sentAt: null,
  done: false,
  final: false,
  answer: null,
});
