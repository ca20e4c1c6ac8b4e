import type { Timer } from "../sim/scheduler.ts";
import { type Errno, strerror } from "../socket/strerror.ts";
import type { TcpSocket } from "../socket/tcp-socket.ts";
import type { UdpSocket } from "../socket/udp.ts";
import { formatIpv4, parseIpv4 } from "../wire/address.ts";
import {
  DNS_DATAGRAM,
  DNS_PORT,
  type DnsMessage,
  type DnsRecord,
  formatDns,
  isDomainName,
  parseDns,
  reverseName,
  withDnsId,
} from "../wire/dns.ts";
import { DNS_STREAM, DnsFrames, frameDns } from "../wire/dns-frames.ts";
import type { Arguments, Word } from "./command-line.ts";
import { formatEndpoint } from "./datagram.ts";
import { askByTcp, askByUdp, type DnsExchange, type DnsSockets } from "./dns-exchange.ts";
import type { Environment, Program } from "./program.ts";
import { Stream } from "./stream.ts";
import { listen } from "./tcp-listener.ts";

export interface DnsServerOptions {
  /** 0 for every address. */
  readonly address?: number;
  readonly port?: number;
  readonly records: readonly DnsRecord[];
  /** Who is asked for names that have no record; without any, such a name does not exist. */
  readonly upstreams?: readonly number[];
  /** Whether names in its own answers point at where they stood before; they do where absent. */
  readonly compressed?: boolean;
  /** How long to wait for each of them, in nanoseconds. */
  readonly timeout?: number;
  /** The sockets from which they are asked, where those are another namespace's. */
  readonly outside?: DnsSockets;
  /** Where it listens for connections, where that is another port. */
  readonly tcpPort?: number;
}

const NAME = "dns-server";

/** `dns-server [-b address] [-p port] [-t ttl] [-W seconds] [-f upstream]... [name=address | alias=name]...` @throws {InputError}. */
export function parseDnsServer(words: Arguments): Program {
  const ttl = words.integer("t", 600, [0, 0x7fffffff]);
  const bind = words.option("b");
  const options: DnsServerOptions = {
    address: bind === null ? 0 : words.address(bind),
    port: words.integer("p", DNS_PORT, [1, 65_535]),
    timeout: words.seconds("W", 4),
    upstreams: words.all("f").map((word) => words.address(word)),
    records: words.operands.splice(0).map((word) => parseRecord(words, word, ttl)),
  };
  return dnsServer(options);
}

function parseRecord(words: Arguments, word: Word, ttl: number): DnsRecord {
  const [, name = "", data = ""] = /^([^=]+)=([^=]+)$/.exec(word.text) ?? [];
  if (!isDomainName(name) || !isDomainName(data))
    throw words.error(word, "a record such as web.example=10.0.0.2 or www.example=web.example");
  if (!/^[\d.]+$/.test(data)) return { name, type: "CNAME", ttl, data };
  return { name, type: "A", ttl, data: formatIpv4(words.address({ ...word, text: data })) };
}

/** Answers from its records, passes other questions on, and says who asked for what. */
export function dnsServer(options: DnsServerOptions): Program {
  return { name: NAME, serves: true, start: (environment) => new DnsServer(environment, options).start() };
}

/** A question, and the way back to who asked. */
interface Asked {
  readonly data: Uint8Array;
  readonly from: { readonly address: number; readonly port: number };
  /** The packet that brought it. */
  readonly packet: number;
  readonly byTcp: boolean;
  answer(bytes: Uint8Array, packet: number): Errno | null;
}

/** A question that was passed on. */
interface Passed {
  readonly asked: Asked;
  readonly id: number;
  readonly text: string;
  upstream: number;
  readonly timer: Timer;
  exchange: DnsExchange | null;
}

class DnsServer {
  private readonly socket: UdpSocket;

  constructor(
    private readonly environment: Environment,
    private readonly options: DnsServerOptions,
  ) {
    this.socket = environment.udp.open();
  }

  start(): void {
    const { address = 0, port = DNS_PORT } = this.options;
    const failed = this.socket.bind(address, port);
    if (failed !== null) {
      this.environment.say(`${NAME}: bind: ${strerror(failed)}`);
      this.environment.exit(1);
      return;
    }
    this.environment.say(`listening on ${formatIpv4(address)}:${port}/udp`);
    this.socket.onReceive = ({ data, from, packet }) =>
      this.received({
        data,
        from,
        packet,
        byTcp: false,
        answer: (bytes, cause) => this.socket.send(bytes, from, cause),
      });
    const { tcpPort = port } = this.options;
    listen(this.environment, NAME, { address, port: tcpPort }, (socket) => this.accepted(socket));
  }

  private accepted(socket: TcpSocket): void {
    const { tcp } = this.environment;
    const stream = new Stream(socket);
    const frames = new DnsFrames();
    const from = socket.peer!;
    const answer = (bytes: Uint8Array) => {
      stream.write(frameDns(bytes));
      return null;
    };
    stream.onEnd = () => stream.close();
    stream.onData = (data) => {
      for (const message of frames.add(data))
        this.received({ data: message, from, packet: tcp.cause, byTcp: true, answer });
    };
    stream.start();
  }

  private received(asked: Asked): void {
    const query = parseDns(asked.data);
    if (query === null || query.response) return;
    const question = query.questions[0];
    if (question === undefined) {
      this.reply(asked, { ...query, response: true, rcode: "FORMERR", answers: [] }, "no question");
      return;
    }
    const text = `${question.type} ${question.name} from ${formatEndpoint(asked.from)}`;
    const answer = answerFrom(this.options.records, query);
    if (answer.rcode === "NXDOMAIN" && (this.options.upstreams ?? []).length > 0) this.pass(asked, query.id, text);
    else this.reply(asked, answer, text);
  }

  private reply({ packet, byTcp, ...asked }: Asked, answer: DnsMessage, text: string): void {
    const { say } = this.environment;
    say(`${text}: ${describeAnswer(answer)}`, packet);
    const { compressed = true } = this.options;
    const bytes = formatDns(answer, { limit: byTcp ? DNS_STREAM : DNS_DATAGRAM, compressed });
    const refused = asked.answer(bytes, packet);
    if (refused !== null) say(`${NAME}: sendto: ${strerror(refused)}`, packet);
  }

  private pass(asked: Asked, id: number, text: string): void {
    const timer = this.environment.scheduler.timer(() => this.askNext(passed));
    const passed: Passed = { asked, id, text, upstream: -1, timer, exchange: null };
    this.askNext(passed);
  }

  /** Asks the next upstream, as each has its own time to answer. */
  private askNext(passed: Passed): void {
    const { upstreams = [], timeout = 4e9, outside = this.environment } = this.options;
    const { asked, id, text } = passed;
    passed.exchange?.close();
    const upstream = upstreams[++passed.upstream];
    if (upstream === undefined) {
      const query = parseDns(asked.data)!;
      this.reply(asked, { ...query, response: true, rcode: "SERVFAIL", recursionAvailable: true, answers: [] }, text);
      return;
    }
    const sent = this.environment.random.below(65_536);
    passed.timer.armIn(timeout);
    this.environment.say(`${text}: asks ${formatIpv4(upstream)}`, asked.packet);
    const turn = passed.upstream;
    const exchange = (asked.byTcp ? askByTcp : askByUdp)(
      outside,
      { address: upstream, port: DNS_PORT },
      {
        received: (data, packet) => {
          const answer = parseDns(data);
          if (answer?.response === true && answer.id === sent)
            this.passBack(passed, answer, withDnsId(data, id)!, packet);
        },
        failed: () => {
          if (turn === passed.upstream) this.askNext(passed);
        },
      },
      asked.packet,
    );
    if (typeof exchange === "string") {
      this.askNext(passed);
      return;
    }
    passed.exchange = exchange;
    if (exchange.send(withDnsId(asked.data, sent)!) !== null) this.askNext(passed);
  }

  private passBack(passed: Passed, answer: DnsMessage, bytes: Uint8Array, packet: number): void {
    const { upstreams = [] } = this.options;
    if ((answer.rcode === "SERVFAIL" || answer.rcode === "REFUSED") && passed.upstream + 1 < upstreams.length) {
      this.askNext(passed);
      return;
    }
    const upstream = upstreams[passed.upstream]!;
    passed.timer.cancel();
    passed.exchange?.close();
    passed.upstream = upstreams.length;
    const { asked, text } = passed;
    this.environment.say(`${text}: ${describeAnswer(answer)}, says ${formatIpv4(upstream)}`, packet);
    const refused = asked.answer(bytes, packet);
    if (refused !== null) this.environment.say(`${NAME}: sendto: ${strerror(refused)}`, packet);
  }
}

/**
 * The answer that these records give: NXDOMAIN for a name that has none, and no answers for a type that the name has
 * not. An alias is followed as far as there are records.
 */
export function answerFrom(records: readonly DnsRecord[], query: DnsMessage): DnsMessage {
  const { name, type } = query.questions[0]!;
  const { id, questions, recursionDesired = false } = query;
  const reply = { id, response: true, recursionDesired, recursionAvailable: true, questions };
  if (type === "PTR") {
    const answers = pointers(records, name);
    return { ...reply, rcode: answers.length === 0 ? "NXDOMAIN" : "NOERROR", answers };
  }
  const answers: DnsRecord[] = [];
  let wanted = name.toLowerCase();
  let known = false;
  for (let alias = 0; alias < 8; alias++) {
    const own = records.filter((record) => record.name.toLowerCase() === wanted);
    known ||= own.length > 0;
    const next = type === "CNAME" ? undefined : own.find((record) => record.type === "CNAME");
    answers.push(...(next === undefined ? own.filter((record) => record.type === type) : [next]));
    if (next === undefined) break;
    wanted = next.data.toLowerCase();
  }
  return { ...reply, rcode: known ? "NOERROR" : "NXDOMAIN", answers };
}

function pointers(records: readonly DnsRecord[], name: string): DnsRecord[] {
  const found = records.find((record) => record.type === "A" && reverseName(parseIpv4(record.data)) === name);
  return found === undefined ? [] : [{ name, type: "PTR", ttl: found.ttl, data: found.name }];
}

function describeAnswer({ rcode, answers }: DnsMessage): string {
  if (answers.length > 0) return answers.map(({ type, data }) => (data === "" ? type : data)).join(", ");
  return rcode === "NOERROR" ? "no such record" : rcode;
}
