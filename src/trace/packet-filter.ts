import { type Ipv4, parseIpv4, parseMac, parsePrefix } from "../wire/address.ts";
import * as arp from "../wire/arp.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";

/** Whether a frame passes; `view` begins at its Ethernet header. */
export type PacketFilter = (view: DataView) => boolean;

/** A filter that cannot be read; the message says where. */
export class FilterError extends Error {}

/** What names in a filter stand for; null for one that is not known. */
export interface FilterNames {
  address(name: string): Ipv4 | null;
  port(name: string): number | null;
}

const IP = ethernet.ETHERNET_HEADER;
const SCTP = 132;
const WITH_PORTS = [ipv4.PROTOCOL_TCP, ipv4.PROTOCOL_UDP, SCTP];
const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: ipv4.PROTOCOL_ICMP,
  tcp: ipv4.PROTOCOL_TCP,
  udp: ipv4.PROTOCOL_UDP,
  sctp: SCTP,
  igmp: 2,
};
const KNOWN = "host, net, port, portrange, src, dst, ether, ip, arp, icmp, tcp, udp, less, greater, and, or, not, ( )";

type Direction = "src" | "dst" | "either";
type Kind = "host" | "net" | "port" | "portrange";

/** The words before a name; what is absent comes from the words before the name before it. */
interface Qualifiers {
  readonly protocol: string | null;
  readonly direction: Direction;
  readonly kind: Kind | null;
}

/** pcap-filter(7), as far as hosts, nets, ports, protocols and sizes go. @throws {FilterError} */
export function parseFilter(words: readonly string[], names: FilterNames): PacketFilter {
  const tokens = words.join(" ").match(/&&|\|\||[()!]|[^\s()!&|]+|[&|]/g) ?? [];
  return tokens.length === 0 ? () => true : new Reader(tokens, names).all();
}

class Reader {
  private at = 0;
  private last: Qualifiers | null = null;

  constructor(
    private readonly tokens: readonly string[],
    private readonly names: FilterNames,
  ) {}

  all(): PacketFilter {
    const filter = this.chain();
    if (this.peek !== "") throw this.wrong(this.peek);
    return filter;
  }

  private get peek(): string {
    return this.tokens[this.at] ?? "";
  }

  private take(...words: string[]): string | null {
    if (!words.includes(this.peek)) return null;
    return this.tokens[this.at++]!;
  }

  private wrong(word: string): FilterError {
    return new FilterError(word === "" ? "it ends too early" : `"${word}" is not understood; hopscope knows ${KNOWN}`);
  }

  /** `and` and `or` weigh the same and are read from the left. */
  private chain(): PacketFilter {
    let left = this.negation();
    for (;;) {
      const sign = this.take("and", "&&", "or", "||");
      if (sign === null) return left;
      const [before, next] = [left, this.negation()];
      const both = sign === "and" || sign === "&&";
      left = both ? (view) => before(view) && next(view) : (view) => before(view) || next(view);
    }
  }

  private negation(): PacketFilter {
    if (this.take("not", "!") !== null) {
      const inner = this.negation();
      return (view) => !inner(view);
    }
    if (this.take("(") === null) return this.primitive();
    const inner = this.chain();
    if (this.take(")") === null) throw this.wrong(this.peek);
    return inner;
  }

  private primitive(): PacketFilter {
    const size = this.take("less", "greater");
    if (size !== null) return this.bySize(size);
    if (this.take("ether") !== null) return this.byMac();
    const protocol = this.take("ip", "ip6", "arp", ...Object.keys(PROTOCOLS));
    const direction = this.direction();
    const kind = this.take("host", "net", "port", "portrange") as Kind | null;
    if (direction === null && kind === null) {
      if (protocol !== null && this.endsHere()) return ofProtocol(protocol);
      if (protocol === null && this.last !== null) return this.named(this.last);
    }
    this.last = { protocol, direction: direction ?? "either", kind };
    return this.named(this.last);
  }

  private endsHere(): boolean {
    return ["", ")", "and", "&&", "or", "||"].includes(this.peek);
  }

  private direction(): Direction | null {
    const first = this.take("src", "dst") as "src" | "dst" | null;
    if (first === null || !["or", "and"].includes(this.peek)) return first;
    const second = this.tokens[this.at + 1];
    if (second !== "src" && second !== "dst") return first;
    if (this.peek === "and") throw new FilterError('"src and dst" is not modelled; name both: src ... and dst ...');
    this.at += 2;
    return "either";
  }

  private bySize(sign: string): PacketFilter {
    const size = Number(this.tokens[this.at++]);
    if (!Number.isInteger(size)) throw new FilterError(`a number of bytes is missing after ${sign}`);
    return sign === "less" ? (view) => view.byteLength <= size : (view) => view.byteLength >= size;
  }

  private byMac(): PacketFilter {
    if (this.take("broadcast") !== null) return (view) => ethernet.destinationHigh(view, 0) === 0xffff;
    if (this.take("multicast") !== null) return (view) => ethernet.isGroup(ethernet.destinationHigh(view, 0));
    const direction = this.direction() ?? "either";
    this.take("host");
    const word = this.tokens[this.at++] ?? "";
    let mac: ReturnType<typeof parseMac>;
    try {
      mac = parseMac(word);
    } catch {
      throw new FilterError(`a MAC address is missing after ether, not "${word}"`);
    }
    const { high, low } = mac;
    const source: PacketFilter = (view) => ethernet.sourceHigh(view, 0) === high && ethernet.sourceLow(view, 0) === low;
    const destination: PacketFilter = (view) =>
      ethernet.destinationHigh(view, 0) === high && ethernet.destinationLow(view, 0) === low;
    return sided(direction, source, destination);
  }

  /** A name or a number, with what stands before it. */
  private named({ protocol, direction, kind }: Qualifiers): PacketFilter {
    const word = this.peek;
    if (this.endsHere() || word === "(" || word === "not" || word === "!") throw this.wrong(word);
    this.at++;
    const only = protocol === null ? () => true : ofProtocol(protocol);
    const test =
      kind === "port" || kind === "portrange" ? this.byPort(word, direction) : this.byAddress(word, direction, kind);
    return (view) => only(view) && test(view);
  }

  private byPort(word: string, direction: Direction): PacketFilter {
    const [low, high = low] = word.split("-").map((text) => this.port(text));
    const within = (port: number) => port >= low! && port <= high!;
    return sided(
      direction,
      (view) => hasPorts(view) && within(view.getUint16(IP + ipv4.headerLength(view, IP))),
      (view) => hasPorts(view) && within(view.getUint16(IP + ipv4.headerLength(view, IP) + 2)),
    );
  }

  private port(word: string): number {
    const port = /^\d+$/.test(word) ? Number(word) : this.names.port(word);
    if (port === null || port > 65_535) throw new FilterError(`no port is called "${word}"`);
    return port;
  }

  private byAddress(word: string, direction: Direction, kind: Kind | null): PacketFilter {
    const { address, mask } = kind === "net" ? network(word) : { address: this.address(word, kind), mask: -1 };
    const is = (found: number) => (found & mask) === address;
    return sided(
      direction,
      (view) => (isIp(view) ? is(ipv4.source(view, IP)) : isArp(view) && is(arp.senderAddress(view, IP))),
      (view) => (isIp(view) ? is(ipv4.destination(view, IP)) : isArp(view) && is(arp.targetAddress(view, IP))),
    );
  }

  private address(word: string, kind: Kind | null): number {
    try {
      return parseIpv4(word);
    } catch {
      const known = this.names.address(word);
      if (known !== null) return known;
      if (kind === null) throw this.wrong(word);
      throw new FilterError(`unknown host "${word}"`);
    }
  }
}

function network(word: string): { address: number; mask: number } {
  const [start = "", length] = word.split("/");
  const octets = start.split(".");
  try {
    const { address, mask } = parsePrefix(
      `${[...octets, "0", "0", "0"].slice(0, 4).join(".")}/${length ?? octets.length * 8}`,
    );
    return { address: address & mask, mask };
  } catch {
    throw new FilterError(`"${word}" is no network such as 172.17.0.0/16`);
  }
}

const sided = (direction: Direction, source: PacketFilter, destination: PacketFilter): PacketFilter => {
  if (direction === "src") return source;
  return direction === "dst" ? destination : (view) => source(view) || destination(view);
};

const isIp = (view: DataView): boolean =>
  ethernet.etherType(view, 0) === ethernet.ETHERTYPE_IPV4 && view.byteLength >= IP + ipv4.IPV4_HEADER;
const isArp = (view: DataView): boolean =>
  ethernet.etherType(view, 0) === ethernet.ETHERTYPE_ARP && view.byteLength >= IP + arp.ARP_LENGTH;

/** Ports stand in the first fragment alone. */
const hasPorts = (view: DataView): boolean =>
  isIp(view) &&
  WITH_PORTS.includes(ipv4.protocol(view, IP)) &&
  ipv4.fragmentOffset(view, IP) === 0 &&
  view.byteLength >= IP + ipv4.headerLength(view, IP) + 4;

function ofProtocol(name: string): PacketFilter {
  if (name === "ip") return isIp;
  if (name === "arp") return isArp;
  if (name === "ip6") return (view) => ethernet.etherType(view, 0) === ethernet.ETHERTYPE_IPV6;
  const number = PROTOCOLS[name]!;
  return (view) => isIp(view) && ipv4.protocol(view, IP) === number;
}
