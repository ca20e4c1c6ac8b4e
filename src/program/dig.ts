import { formatIpv4 } from "../wire/address.ts";
import { DNS_PORT, type DnsMessage, reverseName } from "../wire/dns.ts";
import type { Arguments, Word } from "./command-line.ts";
import { DnsQuery, type QueryEnd } from "./dns-query.ts";
import type { Environment, Program } from "./program.ts";
import { parseResolvConf } from "./resolv-conf.ts";
import { resolve } from "./resolver.ts";

const TYPES = ["A", "AAAA", "CNAME", "PTR", "NS", "MX", "TXT", "SOA", "SRV", "ANY"];

interface DigOptions {
  readonly name: string;
  readonly type: string;
  /** Whom to ask; null asks those of resolv.conf. */
  readonly server: string | null;
  readonly port: number;
  readonly short: boolean;
  readonly byTcp: boolean;
  /** Nanoseconds. */
  readonly timeout: number;
  readonly tries: number;
  /** The command line, as the banner repeats it. */
  readonly words: string;
}

/** `dig [@server] [-p port] [-t type | -x address] [name] [type] [+short] [+tcp] [+time=s] [+tries=n]` @throws {InputError}. */
export function parseDig(words: Arguments): Program {
  const given = {
    server: null as string | null,
    name: "",
    type: words.option("t")?.text.toUpperCase() ?? "A",
    short: false,
    byTcp: false,
    timeout: 5e9,
    tries: 3,
  };
  const reverse = words.option("x");
  if (reverse !== null) Object.assign(given, { name: reverseName(words.address(reverse)), type: "PTR" });
  const text = words.operands.map((word) => word.text);
  for (const word of words.operands.splice(0)) {
    if (word.text.startsWith("@")) given.server = words.target({ ...word, text: word.text.slice(1) });
    else if (word.text.startsWith("+")) readSwitch(words, word, given);
    else if (given.name !== "" && TYPES.includes(word.text.toUpperCase())) given.type = word.text.toUpperCase();
    else if (given.name === "") given.name = words.target(word).replace(/\.$/, "");
    else throw words.error(word, `one name and its type (${TYPES.join(", ")})`);
  }
  if (given.name === "") throw words.error(null, "the name to ask for");
  if (!TYPES.includes(given.type)) throw words.error(words.option("t"), TYPES.join(", "));
  const options = { ...given, port: words.integer("p", DNS_PORT, [1, 65_535]), words: text.join(" ") };
  return { name: "dig", serves: false, start: (environment) => new Dig(environment, options).start() };
}

function readSwitch(
  words: Arguments,
  word: Word,
  given: { short: boolean; byTcp: boolean; timeout: number; tries: number },
): void {
  const [, key, value] = /^\+(short|tcp|vc|time|tries|retry)(?:=(\d{1,3}))?$/.exec(word.text) ?? [];
  if (key === "short") given.short = true;
  else if (key === "tcp" || key === "vc") given.byTcp = true;
  else if (key === "time" && value !== undefined) given.timeout = Math.max(1, Number(value)) * 1e9;
  else if (key === "tries" && value !== undefined) given.tries = Math.max(1, Number(value));
  else if (key === "retry" && value !== undefined) given.tries = Number(value) + 1;
  else throw words.error(word, "+short, +tcp, +time=SECONDS, +tries=N or +retry=N");
}

/**
 * Asks one question and prints the whole answer as `dig` of BIND does. Unlike it, it sends no EDNS option and prints no
 * date: virtual time has none.
 */
class Dig {
  constructor(
    private readonly environment: Environment,
    private readonly options: DigOptions,
  ) {}

  start(): void {
    const { server } = this.options;
    if (server === null) this.ask(parseResolvConf(this.environment.files.get("/etc/resolv.conf") ?? "").servers);
    else
      resolve(this.environment, server, ({ addresses }) => {
        if (addresses.length > 0) this.ask(addresses);
        else this.exit(`dig: couldn't get address for '${server}': not found`, 10);
      });
  }

  private exit(line: string, status: number): void {
    this.environment.say(line);
    this.environment.exit(status);
  }

  private ask(servers: readonly number[]): void {
    const { name, type, port, tries, timeout, byTcp } = this.options;
    const plan = { servers, port, attempts: tries, byTcp, wait: () => timeout };
    const query = new DnsQuery(this.environment, [{ name, type }], plan, (end) => this.ended(end));
    query.onTruncated = (packet) => this.environment.say(";; Truncated, retrying in TCP mode.", packet);
    query.onFailure = (address, failure) =>
      this.environment.say(`;; communications error to ${formatIpv4(address)}#${port}: ${failure}`);
    query.start();
  }

  private ended(end: QueryEnd): void {
    const { environment, options } = this;
    const { answer, packet } = end;
    if (options.short) {
      for (const { data } of answer?.answers ?? []) environment.say(data, packet);
    } else {
      environment.say("");
      environment.say(`; <<>> DiG 9.18 <<>> ${options.words}`);
      if (options.server !== null) environment.say("; (1 server found)");
      environment.say(";; global options: +cmd");
      if (answer !== null) this.printAnswer(answer, end);
    }
    if (answer === null) environment.say(";; no servers could be reached");
    environment.exit(answer === null ? 9 : 0);
  }

  private printAnswer(answer: DnsMessage, { server, bytes, byTcp, time, packet }: QueryEnd): void {
    const { say } = this.environment;
    const flags = ["qr", answer.authoritative && "aa", answer.truncated && "tc", answer.recursionDesired && "rd"];
    const set = [...flags, answer.recursionAvailable && "ra"].filter(Boolean).join(" ");
    const { questions, answers } = answer;
    const from = formatIpv4(server);
    say(";; Got answer:", packet);
    say(`;; ->>HEADER<<- opcode: QUERY, status: ${answer.rcode}, id: ${answer.id}`);
    say(`;; flags: ${set}; QUERY: ${questions.length}, ANSWER: ${answers.length}, AUTHORITY: 0, ADDITIONAL: 0`);
    say("");
    say(";; QUESTION SECTION:");
    for (const { name, type } of questions) say(formatColumns([`;${name}.`, "", "IN", type]));
    say("");
    if (answers.length > 0) say(";; ANSWER SECTION:");
    for (const { name, type, ttl, data } of answers)
      say(formatColumns([`${name}.`, `${ttl}`, "IN", type, /^(CNAME|NS|PTR)$/.test(type) ? `${data}.` : data]));
    if (answers.length > 0) say("");
    say(`;; Query time: ${Math.floor(time / 1e6)} msec`);
    say(`;; SERVER: ${from}#${this.options.port}(${from}) (${byTcp ? "TCP" : "UDP"})`);
    say(`;; MSG SIZE  rcvd: ${bytes}`);
    say("");
  }
}

/** Where the TTL, the class, the type and the data of a record stand. */
const COLUMNS = [0, 24, 32, 40, 48];

/** The parts at their columns, by tabs of 8; one blank at least stands before each (`indent()` of BIND). */
function formatColumns(parts: readonly string[]): string {
  let line = parts[0]!;
  let at = line.length;
  for (const [i, part] of parts.entries()) {
    if (i === 0 || part === "") continue;
    const to = Math.max(COLUMNS[i]!, at + 1);
    const tabs = Math.floor(to / 8) - Math.floor(at / 8);
    line += tabs > 0 ? "\t".repeat(tabs) + " ".repeat(to % 8) : " ".repeat(to - at);
    line += part;
    at = to + part.length;
  }
  return line;
}
