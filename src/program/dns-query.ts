import type { Timer } from "../sim/scheduler.ts";
import { DNS_PORT, type DnsMessage, type DnsQuestion, formatDns, parseDns } from "../wire/dns.ts";
import { askByTcp, askByUdp, type DnsExchange } from "./dns-exchange.ts";
import type { Environment } from "./program.ts";

/** Whom to ask, and how long to wait, in nanoseconds; `wait` is told which server of the list it is about, from 0. */
export interface QueryPlan {
  readonly servers: readonly number[];
  readonly port?: number;
  readonly attempts: number;
  /** Asks by TCP from the beginning. */
  readonly byTcp?: boolean;
  wait(server: number): number;
}

/** How a query ended; `server` is the last that was asked. */
export interface QueryEnd {
  /** The answer to the first question, or to another where that has none; null when no server gave one. */
  readonly answer: DnsMessage | null;
  /** Every answer that came, in the order of the questions. */
  readonly answers: readonly DnsMessage[];
  /** Some server did not say a word, not even by an ICMP error. */
  readonly silent: boolean;
  readonly server: number;
  /** The answer came by TCP. */
  readonly byTcp: boolean;
  /** Of the answer that came last. */
  readonly bytes: number;
  /** Nanoseconds from the question to the answer. */
  readonly time: number;
  /** The packet that brought it, 0 for none. */
  readonly packet: number;
}

/** Why a server gave no answer. */
export type QueryFailure = "timed out" | "connection refused" | "host unreachable" | "network unreachable" | "failure";

/** Answers after which the next server is asked (`send_dg()`). */
const NEXT_SERVER = ["SERVFAIL", "NOTIMP", "REFUSED"];

/** One question of a query. */
interface Asked {
  readonly question: DnsQuestion;
  id: number;
  sent: boolean;
  /** It has an answer, or a refusal. */
  settled: boolean;
  answer: DnsMessage | null;
}

/**
 * Asks one server after the other (`__res_context_send()`): the next after a timeout, an ICMP error or a refusal, and all
 * of them again as many times as there are attempts. Two questions leave in the same moment by one socket; where one of
 * them stays without an answer, both are asked again, the second once the first is answered (`single-request`). What does
 * not fit a datagram is asked for by TCP.
 */
export class DnsQuery {
  /** Told of each server that gave no answer. */
  onFailure: ((server: number, failure: QueryFailure) => void) | null = null;
  /** Told that an answer was cut, and that it asks by TCP. */
  onTruncated: ((packet: number) => void) | null = null;
  private readonly timer: Timer;
  private readonly asked: Asked[];
  private exchange: DnsExchange | null = null;
  /** The server under way, counted over all servers and attempts. */
  private turn = -1;
  private byTcp = false;
  private oneByOne = false;
  private sentAt = 0;
  /** What a server refused with; it is the end if no other does better. */
  private refusal: QueryEnd | null = null;
  private silent = false;
  private over = false;

  constructor(
    private readonly environment: Environment,
    questions: readonly DnsQuestion[],
    private readonly plan: QueryPlan,
    private readonly done: (end: QueryEnd) => void,
  ) {
    this.timer = environment.scheduler.timer(() => this.timedOut());
    this.asked = questions.map((question) => ({ question, id: 0, sent: false, settled: false, answer: null }));
  }

  private get server(): number {
    return this.turn % this.plan.servers.length;
  }

  start(): this {
    this.next();
    return this;
  }

  /** Nobody wants the answer any more. */
  cancel(): void {
    this.over = true;
    this.timer.cancel();
    this.exchange?.close();
  }

  private next(): void {
    const { servers, attempts } = this.plan;
    this.exchange?.close();
    this.exchange = null;
    if (++this.turn === servers.length * attempts) {
      this.turn--;
      this.end(this.refusal ?? this.endWith(0, 0));
      return;
    }
    this.ask(this.plan.byTcp === true);
  }

  /** Asks the server whose turn it is, from the beginning. */
  private ask(byTcp: boolean): void {
    const { plan, environment, server } = this;
    const { scheduler, random } = environment;
    this.exchange?.close();
    this.exchange = null;
    this.byTcp = byTcp;
    this.sentAt = scheduler.now;
    this.timer.armIn(plan.wait(server));
    for (const asked of this.asked)
      Object.assign(asked, { id: random.below(65_536), sent: false, settled: false, answer: null });
    const { turn } = this;
    const exchange = (byTcp ? askByTcp : askByUdp)(
      environment,
      { address: plan.servers[server]!, port: plan.port ?? DNS_PORT },
      {
        received: (data, packet) => this.received(data, packet),
        failed: (errno) => {
          if (turn === this.turn) this.failed(failureOf(errno));
        },
      },
    );
    if (typeof exchange === "string") {
      this.failed(failureOf(exchange));
      return;
    }
    this.exchange = exchange;
    for (const asked of this.oneByOne ? this.asked.slice(0, 1) : this.asked) this.send(asked, exchange);
  }

  private send(asked: Asked, exchange: DnsExchange): void {
    // What the first question met has closed the socket.
    if (this.exchange !== exchange || this.over) return;
    asked.sent = true;
    const message = { id: asked.id, response: false, rcode: "NOERROR", recursionDesired: true } as const;
    const refused = exchange.send(formatDns({ ...message, questions: [asked.question], answers: [] }));
    if (refused !== null) this.failed(failureOf(refused));
  }

  private timedOut(): void {
    if (this.asked.every(({ answer }) => answer === null)) {
      this.silent = true;
      this.failed("timed out");
    } else if (this.oneByOne) this.end(this.endWith(0, 0));
    else {
      this.oneByOne = true;
      this.ask(this.byTcp);
    }
  }

  private failed(failure: QueryFailure): void {
    if (this.over) return;
    this.onFailure?.(this.plan.servers[this.server]!, failure);
    this.next();
  }

  private received(data: Uint8Array, packet: number): void {
    const answer = parseDns(data);
    if (answer === null || !answer.response || this.over) return;
    const asked = this.asked.find(({ id, sent, settled }) => id === answer.id && sent && !settled);
    if (asked === undefined) return;
    if (answer.truncated === true && !this.byTcp) {
      this.onTruncated?.(packet);
      this.ask(true);
      return;
    }
    asked.settled = true;
    if (!NEXT_SERVER.includes(answer.rcode)) asked.answer = answer;
    else this.refusal = { ...this.endWith(data.length, packet), answer };
    const waiting = this.asked.find(({ settled }) => !settled);
    if (waiting !== undefined && !this.refused(answer)) {
      if (this.oneByOne) this.send(waiting, this.exchange!);
      return;
    }
    if (this.asked.some((each) => each.answer !== null)) this.end(this.endWith(data.length, packet));
    else this.next();
  }

  /** A refusal ends the wait where the other question has its answer. */
  private refused({ rcode }: DnsMessage): boolean {
    return NEXT_SERVER.includes(rcode) && this.asked.some(({ answer }) => answer !== null);
  }

  private endWith(bytes: number, packet: number): QueryEnd {
    const answers = this.asked.flatMap(({ answer }) => answer ?? []);
    const { silent, byTcp } = this;
    const time = this.environment.scheduler.now - this.sentAt;
    const server = this.plan.servers[this.server]!;
    return { answer: answers[0] ?? null, answers, silent, server, byTcp, bytes, time, packet };
  }

  private end(end: QueryEnd): void {
    this.cancel();
    this.done(end);
  }
}

function failureOf(errno: string): QueryFailure {
  switch (errno) {
    case "ECONNREFUSED":
      return "connection refused";
    case "EHOSTUNREACH":
      return "host unreachable";
    case "ENETUNREACH":
      return "network unreachable";
    case "ETIMEDOUT":
      return "timed out";
    default:
      return "failure";
  }
}
