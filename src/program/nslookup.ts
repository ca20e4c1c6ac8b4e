import { formatIpv4 } from "../wire/address.ts";
import { DNS_PORT, type DnsMessage, isDomainName } from "../wire/dns.ts";
import type { Arguments } from "./command-line.ts";
import { DnsQuery, type QueryEnd } from "./dns-query.ts";
import type { Environment, Program } from "./program.ts";
import { parseResolvConf, searchNames } from "./resolv-conf.ts";
import { planOf, resolve } from "./resolver.ts";

interface NslookupOptions {
  readonly name: string;
  readonly server: string | null;
  /** Nanoseconds; null for what resolv.conf says. */
  readonly timeout: number | null;
}

/** `nslookup [-timeout=s] name [server]` @throws {InputError}. */
export function parseNslookup(words: Arguments): Program {
  const timeout = words.has("timeout") ? words.seconds("timeout", 5) : null;
  const name = words.target(words.operand("the name to look up"));
  const server = words.operands.length === 0 ? null : words.target(words.operand("a server"));
  words.finish();
  const options = { name, server, timeout };
  return { name: "nslookup", serves: false, start: (environment) => new Nslookup(environment, options).start() };
}

/** Looks a name up as `nslookup` of BIND does: its IPv4 addresses, then its IPv6 ones. */
class Nslookup {
  private names: string[] = [];
  private servers: readonly number[] = [];
  private heading = false;

  constructor(
    private readonly environment: Environment,
    private readonly options: NslookupOptions,
  ) {}

  private get configuration() {
    return parseResolvConf(this.environment.files.get("/etc/resolv.conf") ?? "");
  }

  start(): void {
    const { server, name } = this.options;
    const reverse = /^[\d.]+$/.test(name);
    this.names = reverse ? [name] : searchNames(name, this.configuration).filter(isDomainName);
    if (server === null) this.begin(this.configuration.servers);
    else
      resolve(this.environment, server, ({ addresses, packet }) => {
        if (addresses.length > 0) this.begin(addresses);
        else this.exit(`nslookup: couldn't get address for '${server}': not found`, 1, packet);
      });
  }

  private exit(line: string, status: number, packet = 0): void {
    this.environment.say(line, packet);
    this.environment.exit(status);
  }

  private begin(servers: readonly number[]): void {
    this.servers = servers;
    const { name } = this.options;
    if (/^[\d.]+$/.test(name)) this.ask({ name: reverseOf(name), type: "PTR" }, (end) => this.endedReverse(end, name));
    else this.next();
  }

  private next(): void {
    const name = this.names.shift()!;
    this.ask({ name, type: "A" }, (end) => this.ended(end, name));
  }

  private ask(question: { name: string; type: string }, done: (end: QueryEnd) => void): void {
    const { timeout } = this.options;
    const plan = { ...planOf(this.configuration), servers: this.servers };
    const query = new DnsQuery(
      this.environment,
      [question],
      timeout === null ? plan : { ...plan, wait: () => timeout },
      done,
    );
    query.onTruncated = (packet) => this.environment.say(";; Truncated, retrying in TCP mode.", packet);
    query.onFailure = (address, failure) =>
      this.environment.say(`;; communications error to ${formatIpv4(address)}#${DNS_PORT}: ${failure}`);
    query.start();
  }

  private ended(end: QueryEnd, name: string): void {
    const { answer, packet } = end;
    if (answer === null) {
      this.exit(";; no servers could be reached", 1);
      return;
    }
    if (answer.rcode === "NXDOMAIN" && this.names.length > 0) {
      this.next();
      return;
    }
    this.head(end);
    if (answer.rcode !== "NOERROR") {
      this.exit(`** server can't find ${this.options.name}: ${answer.rcode}`, 1, packet);
      return;
    }
    this.print(answer, packet);
    this.ask({ name, type: "AAAA" }, (later) => {
      const addresses = [...answer.answers, ...(later.answer?.answers ?? [])].filter(({ type }) => type !== "CNAME");
      if (addresses.length === 0) this.environment.say(`*** Can't find ${this.options.name}: No answer`, packet);
      if (later.answer !== null && later.answer.rcode === "NOERROR") this.print(later.answer, later.packet, true);
      this.environment.exit(addresses.length === 0 ? 1 : 0);
    });
  }

  private head({ server, answer, packet }: QueryEnd): void {
    if (this.heading) return;
    this.heading = true;
    const { say } = this.environment;
    const address = formatIpv4(server);
    say(`Server:\t\t${this.options.server ?? address}`, packet);
    say(`Address:\t${address}#${DNS_PORT}`);
    say("");
    if (answer?.rcode === "NOERROR" && answer.authoritative !== true) say("Non-authoritative answer:");
  }

  private print({ answers }: DnsMessage, packet: number, again = false): void {
    for (const { name, type, data } of answers)
      if (type === "A" || type === "AAAA") {
        this.environment.say(`Name:\t${name}`, packet);
        this.environment.say(`Address: ${data}`);
      } else if (type === "CNAME" && !again) this.environment.say(`${name}\tcanonical name = ${data}.`, packet);
  }

  private endedReverse({ answer, packet }: QueryEnd, address: string): void {
    if (answer === null) this.exit(";; no servers could be reached", 1);
    else if (answer.rcode !== "NOERROR")
      this.exit(`** server can't find ${reverseOf(address)}: ${answer.rcode}`, 1, packet);
    else {
      for (const { name, data } of answer.answers) this.environment.say(`${name}\tname = ${data}.`, packet);
      this.environment.exit(0);
    }
  }
}

function reverseOf(text: string): string {
  return `${text.split(".").reverse().join(".")}.in-addr.arpa`;
}
