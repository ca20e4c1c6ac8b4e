import type { Timer } from "../sim/scheduler.ts";
import type { UdpSocket } from "../socket/udp.ts";
import { DNS_PORT, type DnsMessage, type DnsQuestion, formatDns, parseDns } from "../wire/dns.ts";
import type { Environment } from "./program.ts";

/** Whom to ask, and how long to wait, in nanoseconds; `wait` is told which server of the list it is about, from 0. */
export interface QueryPlan {
  readonly servers: readonly number[];
  readonly port?: number;
  readonly attempts: number;
  wait(server: number): number;
}

/** How a query ended. `answer` is null when no server gave one; `server` is the last that was asked. */
export interface QueryEnd {
  readonly answer: DnsMessage | null;
  /** Some server did not say a word, not even by an ICMP error. */
  readonly silent: boolean;
  readonly server: number;
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

/**
 * Asks one question of one server after the other (`__res_context_send()`): the next after a timeout, an ICMP error or
 * a refusal, and all of them again as many times as there are attempts.
 */
export class DnsQuery {
  /** Told of each server that gave no answer. */
  onFailure: ((server: number, failure: QueryFailure) => void) | null = null;
  private readonly timer: Timer;
  private socket: UdpSocket | null = null;
  /** The question under way, counted over all servers and attempts. */
  private turn = -1;
  private id = 0;
  private sentAt = 0;
  /** What a server refused with; it is the end if no other does better. */
  private refusal: QueryEnd | null = null;
  private silent = false;
  private over = false;

  constructor(
    private readonly environment: Environment,
    private readonly question: DnsQuestion,
    private readonly plan: QueryPlan,
    private readonly done: (end: QueryEnd) => void,
  ) {
    this.timer = environment.scheduler.timer(() => this.failed("timed out"));
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
    this.socket?.close();
  }

  private next(): void {
    const { servers, attempts, port = DNS_PORT } = this.plan;
    this.socket?.close();
    if (++this.turn === servers.length * attempts) {
      this.turn--;
      const { silent } = this;
      this.end(this.refusal ?? { answer: null, silent, server: servers[this.server]!, bytes: 0, time: 0, packet: 0 });
      return;
    }
    const { scheduler, udp, random } = this.environment;
    const socket = udp.open();
    this.socket = socket;
    this.id = random.below(65_536);
    this.sentAt = scheduler.now;
    this.timer.armIn(this.plan.wait(this.server));
    socket.onReceive = ({ data, packet }) => this.received(data, packet);
    socket.onError = () => {
      if (socket.pending !== null) this.failed(failureOf(socket.pending));
    };
    const message = { id: this.id, response: false, rcode: "NOERROR", recursionDesired: true } as const;
    const refused =
      socket.connect(servers[this.server]!, port) ??
      socket.send(formatDns({ ...message, questions: [this.question], answers: [] }));
    if (refused !== null) this.failed(failureOf(refused));
  }

  private failed(failure: QueryFailure): void {
    if (this.over) return;
    this.silent ||= failure === "timed out";
    this.onFailure?.(this.plan.servers[this.server]!, failure);
    this.next();
  }

  private received(data: Uint8Array, packet: number): void {
    const answer = parseDns(data);
    if (answer === null || !answer.response || answer.id !== this.id || this.over) return;
    const { scheduler } = this.environment;
    const server = this.plan.servers[this.server]!;
    const end = { answer, silent: this.silent, server, bytes: data.length, time: scheduler.now - this.sentAt, packet };
    if (!NEXT_SERVER.includes(answer.rcode)) {
      this.end(end);
      return;
    }
    this.refusal = end;
    this.next();
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
    default:
      return "failure";
  }
}
