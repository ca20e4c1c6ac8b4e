import { formatIpv4, parseIpv4 } from "../wire/address.ts";
import { type DnsMessage, isDomainName, reverseName } from "../wire/dns.ts";
import { DnsQuery, type QueryEnd } from "./dns-query.ts";
import type { Environment } from "./program.ts";
import { lookUpHosts, parseResolvConf, type ResolverConfiguration, reverseHosts, searchNames } from "./resolv-conf.ts";

/** `getaddrinfo()`'s errors, in its own words (`gai_strerror()`). */
export type ResolutionError =
  | "Name or service not known"
  | "No address associated with hostname"
  | "Temporary failure in name resolution";

export type Resolution =
  | { readonly addresses: readonly number[]; readonly error: null; readonly packet: number }
  | { readonly addresses: readonly []; readonly error: ResolutionError; readonly packet: number };

/** A search that can be given up. */
export interface Pending {
  cancel(): void;
}

/** `AF_UNSPEC`. */
const FAMILIES = ["A", "AAAA"] as const;

const IDLE: Pending = { cancel() {} };

/** The servers that resolv.conf names, with the waiting time of `send_dg()`. */
export function planOf({ servers, attempts, timeout }: ResolverConfiguration) {
  return {
    servers,
    attempts,
    wait: (server: number) =>
      server === 0 ? timeout : Math.max(1e9, Math.floor((timeout << server) / servers.length)),
  };
}

/**
 * The addresses of a name as `getaddrinfo()` finds them: an address as it is, then `/etc/hosts`, then DNS by
 * `/etc/resolv.conf`, which is asked for IPv4 and IPv6 addresses in the same moment; those of IPv6 are left aside. `done`
 * may be called at once.
 */
export function resolve(environment: Environment, name: string, done: (found: Resolution) => void): Pending {
  const known = knownAddresses(environment, name);
  if (known.length > 0) {
    done({ addresses: known, error: null, packet: 0 });
    return IDLE;
  }
  const search = new Search(environment, name, done);
  search.start();
  return search;
}

function knownAddresses({ files }: Environment, name: string): number[] {
  try {
    return [parseIpv4(name)];
  } catch {
    return lookUpHosts(files.get("/etc/hosts") ?? "", name);
  }
}

/** `__res_context_search()`: one name after the other, until one has an address. */
class Search implements Pending {
  private readonly configuration: ResolverConfiguration;
  private readonly names: string[];
  private query: DnsQuery | null = null;
  /** How the name as it is ended, where it was asked for first: that outweighs the rest. */
  private first: ResolutionError | null = null;
  /** Some name exists without an address. */
  private exists = false;
  private servfail = false;

  constructor(
    private readonly environment: Environment,
    private readonly name: string,
    private readonly done: (found: Resolution) => void,
  ) {
    this.configuration = parseResolvConf(environment.files.get("/etc/resolv.conf") ?? "");
    this.names = searchNames(name, this.configuration).filter(isDomainName);
  }

  cancel(): void {
    this.query?.cancel();
  }

  start(): void {
    const name = this.names.shift();
    if (name === undefined) this.fail("Name or service not known", 0);
    else this.ask(name, (end, error) => this.endedFirst(end, error, name === this.name.replace(/\.$/, "")));
  }

  private ask(name: string, failed: (end: QueryEnd, error: ResolutionError) => void): void {
    const plan = planOf(this.configuration);
    this.query = new DnsQuery(
      this.environment,
      FAMILIES.map((type) => ({ name, type })),
      plan,
      (end) => {
        const { answer, answers, packet } = end;
        const addresses = answers.flatMap(addressesIn);
        if (addresses.length > 0) this.done({ addresses, error: null, packet });
        else failed(end, errorOf(answer));
      },
    ).start();
  }

  private endedFirst(end: QueryEnd, error: ResolutionError, asIs: boolean): void {
    if (!asIs) {
      this.endedSearched(end, error);
      return;
    }
    this.first = error;
    this.next(end, error);
  }

  private endedSearched(end: QueryEnd, error: ResolutionError): void {
    const { answer, silent, packet } = end;
    if (answer === null && !silent) {
      this.fail(error, packet);
      return;
    }
    this.exists ||= answer?.rcode === "NOERROR";
    this.servfail ||= answer?.rcode === "SERVFAIL";
    const goesOn = answer !== null && ["NOERROR", "NXDOMAIN", "SERVFAIL"].includes(answer.rcode);
    if (!goesOn) this.names.splice(0, this.names.length, ...this.names.slice(-1).filter((name) => name === this.name));
    this.next(end, error);
  }

  private next(end: QueryEnd, error: ResolutionError): void {
    const name = this.names.shift();
    if (name !== undefined) this.ask(name, (later, why) => this.endedSearched(later, why));
    else if (this.first !== null) this.fail(this.first, end.packet);
    else if (this.exists) this.fail("No address associated with hostname", end.packet);
    else this.fail(this.servfail ? "Temporary failure in name resolution" : error, end.packet);
  }

  private fail(error: ResolutionError, packet: number): void {
    this.done({ addresses: [], error, packet });
  }
}

function errorOf(answer: DnsMessage | null): ResolutionError {
  if (answer?.rcode === "NXDOMAIN") return "Name or service not known";
  return answer?.rcode === "NOERROR" ? "No address associated with hostname" : "Temporary failure in name resolution";
}

/** The addresses of an answer; those of the names that it says are the real ones, too. */
export const addressesIn = ({ rcode, answers }: DnsMessage): number[] =>
  rcode === "NOERROR" ? answers.filter(({ type }) => type === "A").map(({ data }) => parseIpv4(data)) : [];

/** The name of an address as `getnameinfo()` finds it: `/etc/hosts`, then a PTR record; the address for none. */
export function nameOf(environment: Environment, address: number, done: (name: string) => void): Pending {
  const known = reverseHosts(environment.files.get("/etc/hosts") ?? "", address);
  if (known !== null) {
    done(known);
    return IDLE;
  }
  const configuration = parseResolvConf(environment.files.get("/etc/resolv.conf") ?? "");
  const question = { name: reverseName(address), type: "PTR" };
  return new DnsQuery(environment, [question], planOf(configuration), ({ answer }) =>
    done(answer?.answers.find(({ type }) => type === "PTR")?.data ?? formatIpv4(address)),
  ).start();
}
