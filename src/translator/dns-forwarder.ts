import type { Packet } from "../packet/packet.ts";
import type { Timer } from "../sim/scheduler.ts";
import { STEP, wordNumber } from "../trace/step.ts";
import { formatIpv4, parseIpv4 } from "../wire/address.ts";
import { type DnsMessage, type DnsRecord, formatDns, parseDns, withDnsId } from "../wire/dns.ts";
import { cutDns } from "../wire/dns-cut.ts";
import type { Guest } from "./guest.ts";
import type { Endpoint, HostDatagrams } from "./host-sockets.ts";
import type { Translator } from "./translator.ts";

const SENDTO = wordNumber("call", "sendto");
const SECOND = 1e9;

/** What the forwarder knows of the host it runs on. */
export interface DnsOptions {
  /** The servers that it passes questions on to. */
  readonly servers: readonly Endpoint[];
  /** The addresses of a name in the host's `/etc/hosts`; empty for one that it does not have. */
  hosts(name: string): readonly number[];
}

/** An answer that somebody waits for; `cause` is the packet that brought it. Null when there is none. */
export type Answered = (answer: Uint8Array | null, cause: number) => void;

/**
 * The DNS service of the gateway, `hostnet_dns.ml`: names that it knows itself, those of the host's `/etc/hosts`, and for
 * all others every upstream server at once, of which the first to answer wins.
 */
export class DnsForwarder {
  /** Questions that wait for a server. */
  waiting = 0;

  constructor(
    private readonly translator: Translator,
    private readonly options: DnsOptions,
  ) {}

  /** A question by UDP; `data` is borrowed. Takes ownership of the packet. */
  query(packet: Packet, from: Endpoint, to: Endpoint, data: Uint8Array, guest: Guest): void {
    const { translator } = this;
    const { fabric, place } = translator;
    const { longestUdp, marshalsAgain } = translator.behaviour.dns;
    const { id } = packet;
    const accepted = this.ask(data, id, (answer, cause) => {
      if (answer === null) return;
      const cut = marshalsAgain || answer.length > longestUdp ? cutDns(answer, longestUdp) : answer;
      if (cut !== null) guest.output.udp(to, from, cut, cause);
    });
    if (accepted) fabric.deliver(packet, place, "the DNS forwarder");
    else guest.drop(packet, "DNS_MALFORMED");
  }

  /** False for bytes that are no question. `done` may be called at once; `question` is borrowed. */
  ask(question: Uint8Array, packet: number, done: Answered): boolean {
    const message = parseDns(question);
    if (message === null || message.response || message.questions.length !== 1) return false;
    const own = this.ownAnswer(message);
    if (own !== null) {
      this.tell(packet, `DNS: ${message.questions[0]!.name} is known here`);
      done(formatDns(own, this.translator.behaviour.dns), packet);
    } else new Upstream(this.translator, this, this.options.servers, message, question.slice(), done).start(packet);
    return true;
  }

  private ownAnswer(message: DnsMessage): DnsMessage | null {
    const { addresses, behaviour } = this.translator;
    const { name, type } = message.questions[0]!;
    const wanted = name.toLowerCase();
    const { hostNames, gatewayNames, hidesAaaa } = behaviour.dns;
    const known =
      hostNames.includes(wanted) && addresses.host !== null
        ? [addresses.host]
        : gatewayNames.includes(wanted)
          ? [addresses.gateway]
          : this.options.hosts(wanted);
    if (known.length === 0 && !(hidesAaaa && type === "AAAA")) return null;
    const answers: DnsRecord[] =
      type === "A" ? known.map((each) => ({ name, type, ttl: 0, data: formatIpv4(each) })) : [];
    return { ...message, response: true, rcode: "NOERROR", recursionAvailable: true, answers };
  }

  /** The addresses of a name, for the translator's own use. */
  addressesOf(name: string, packet: number, done: (addresses: readonly number[], cause: number) => void): void {
    const question = { name, type: "A" };
    const id = this.translator.random.below(65_536);
    const message = formatDns({
      id,
      response: false,
      rcode: "NOERROR",
      recursionDesired: true,
      questions: [question],
      answers: [],
    });
    this.ask(message, packet, (answer, cause) => {
      const records = answer === null ? [] : (parseDns(answer)?.answers ?? []);
      done(
        records.filter(({ type }) => type === "A").map(({ data }) => parseIpv4(data)),
        cause,
      );
    });
  }

  tell(packet: number, line: string): void {
    const { fabric, place } = this.translator;
    fabric.trace?.step(STEP.translator, packet, place, fabric.names.text(line));
  }
}

/** One question on its way to all servers. */
class Upstream {
  private readonly id: number;
  private readonly again: Timer;
  private readonly deadline: number;
  /** Null before it is open and once it is closed. */
  private socket: HostDatagrams | null = null;

  constructor(
    private readonly translator: Translator,
    private readonly forwarder: DnsForwarder,
    private readonly servers: readonly Endpoint[],
    private readonly message: DnsMessage,
    private readonly question: Uint8Array,
    private readonly done: Answered,
  ) {
    this.id = translator.random.below(65_536);
    this.again = translator.fabric.scheduler.timer(() => this.resend());
    this.deadline = translator.now + translator.behaviour.dns.timeout * SECOND;
  }

  start(packet: number): void {
    const socket = this.translator.host.datagrams(null, null, {
      received: (data, from, cause) => this.received(data, from, cause),
      error: () => {},
    });
    if (typeof socket === "string" || this.servers.length === 0) {
      this.fail(packet);
      return;
    }
    this.socket = socket;
    this.forwarder.waiting++;
    this.send(packet);
  }

  private send(packet: number): void {
    const { fabric, place, behaviour } = this.translator;
    const bytes = withDnsId(this.question, this.id)!;
    this.again.armIn(behaviour.dns.resend * SECOND);
    for (const server of this.servers) {
      const refused = this.socket!.send(bytes, server, 0, packet);
      if (fabric.trace === null) continue;
      const result = refused === null ? 0 : fabric.names.text(refused);
      fabric.trace.step(STEP.call, packet, place, SENDTO, server.address, server.port, bytes.length, result);
    }
  }

  private resend(): void {
    if (this.translator.now < this.deadline) this.send(0);
    else {
      this.close();
      this.fail(0);
    }
  }

  private received(data: Uint8Array, from: Endpoint, cause: number): void {
    if (this.socket === null) return;
    const known = this.servers.some(({ address, port }) => address === from.address && port === from.port);
    const answer = known && parseDns(data)?.response === true ? withDnsId(data, this.message.id) : null;
    if (answer === null || ((data[0]! << 8) | data[1]!) !== this.id) return;
    this.close();
    this.done(answer, cause);
  }

  private close(): void {
    this.again.cancel();
    this.socket!.close();
    this.socket = null;
    this.forwarder.waiting--;
  }

  private fail(packet: number): void {
    const { failure } = this.translator.behaviour.dns;
    const { name } = this.message.questions[0]!;
    this.forwarder.tell(
      packet,
      `DNS: no server has answered for ${name}${failure === "silence" ? ", nor does this one" : ""}`,
    );
    if (failure === "silence") this.done(null, packet);
    else this.done(formatDns({ ...this.message, response: true, rcode: failure, answers: [] }), packet);
  }
}
