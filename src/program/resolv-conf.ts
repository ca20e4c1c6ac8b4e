import { parseIpv4 } from "../wire/address.ts";

/** What `/etc/resolv.conf` says, as resolv.conf(5) has it. Times in nanoseconds. */
export interface ResolverConfiguration {
  /** In the order in which they are asked. */
  readonly servers: readonly number[];
  readonly search: readonly string[];
  /** A name with so many dots is asked for as it is first. */
  readonly ndots: number;
  readonly timeout: number;
  readonly attempts: number;
}

const MOST_SERVERS = 3;
const LOOPBACK = 0x7f000001;

/** `__resolv_conf_parse()`: lines that it does not know are left out, values beyond a bound are set to it. */
export function parseResolvConf(text: string): ResolverConfiguration {
  const servers: number[] = [];
  let search: readonly string[] = [];
  const options = { ndots: 1, timeout: 5, attempts: 2 };
  const most = { ndots: 15, timeout: 30, attempts: 5 };
  for (const line of text.split("\n")) {
    const [key, ...words] = line.split(/[;#]/, 1)[0]!.trim().split(/\s+/);
    if (key === "nameserver" && servers.length < MOST_SERVERS) servers.push(...addressOf(words[0]));
    else if (key === "search" || key === "domain") search = key === "search" ? words : words.slice(0, 1);
    else if (key === "options")
      for (const word of words) {
        const [, name, value] = /^(ndots|timeout|attempts):(\d+)$/.exec(word) ?? [];
        if (name === "ndots" || name === "timeout" || name === "attempts")
          options[name] = Math.min(Number(value), most[name]);
      }
  }
  return {
    servers: servers.length === 0 ? [LOOPBACK] : servers,
    search: search.map((domain) => domain.replace(/\.$/, "")).filter((domain) => domain !== ""),
    ndots: options.ndots,
    timeout: Math.max(1, options.timeout) * 1e9,
    attempts: Math.max(1, options.attempts),
  };
}

function addressOf(word = ""): number[] {
  try {
    return [parseIpv4(word)];
  } catch {
    return [];
  }
}

/** The IPv4 addresses of a name in an `/etc/hosts`, in its order; letters of either case are the same. */
export function lookUpHosts(text: string, name: string): number[] {
  const wanted = name.toLowerCase();
  const found: number[] = [];
  for (const line of text.split("\n")) {
    const [address, ...names] = line.split("#", 1)[0]!.trim().split(/\s+/);
    if (names.some((each) => each.toLowerCase() === wanted)) found.push(...addressOf(address));
  }
  return found;
}

/** The first name of an address in an `/etc/hosts`; null for none. */
export function reverseHosts(text: string, address: number): string | null {
  for (const line of text.split("\n")) {
    const [first, name] = line.split("#", 1)[0]!.trim().split(/\s+/);
    if (name !== undefined && addressOf(first)[0] === address) return name;
  }
  return null;
}

/**
 * The names to ask for, in this order (`res_nsearch()`): as it is, where it has `ndots` dots or ends with one; with each
 * domain of the search list; as it is, where that was not first.
 */
export function searchNames(name: string, { search, ndots }: ResolverConfiguration): string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const searched = search.map((domain) => `${name}.${domain}`);
  const dots = name.split(".").length - 1;
  return dots >= ndots ? [name, ...searched] : [...searched, name];
}
