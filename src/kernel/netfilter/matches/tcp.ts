import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import * as tcp from "../../../wire/tcp.ts";
import type { MatchKind, Options } from "../extension.ts";
import { formatPortRange, type PortRange, readPortRange } from "../port.ts";
import type { Match, RuleContext } from "../rule.ts";
import { splitList, type Token, unexpected } from "../tokenizer.ts";
import { printOption, readInteger } from "../value.ts";

const FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
const ALL = 0x3f;
/** Behind the byte of flags. */
const FLAGS_END = 14;
const SYN_MASK = tcp.FIN | tcp.SYN | tcp.RST | tcp.ACK;

/** A port range that a rule wants or does not want. */
export interface PortTest extends PortRange {
  readonly not: boolean;
  /** It names all ports, and so nothing is compared, not even inverted. */
  readonly any: boolean;
}

interface FlagTest {
  readonly mask: number;
  readonly set: number;
  readonly not: boolean;
}

interface OptionTest {
  /** 0 for none. */
  readonly kind: number;
  readonly not: boolean;
}

/**
 * iptables-nft makes loads of the transport header from ports and flags: whatever stands at their offset is compared,
 * in later fragments too, and where the packet ends before it the rule does not match, inverted or not. With no option
 * at all, or with `--tcp-option`, it is `tcp_mt()` of xt_tcpudp.c, which drops what is cut short.
 */
class TcpMatch implements Match {
  readonly name = "tcp";
  private readonly strict: boolean;

  constructor(
    private readonly source: PortTest,
    private readonly destination: PortTest,
    private readonly flags: FlagTest,
    private readonly option: OptionTest,
  ) {
    this.strict = option.kind !== 0 || (isSilent(source) && isSilent(destination) && flags.mask === 0 && !flags.not);
  }

  matches(packet: Packet, context: RuleContext): boolean {
    const { view } = packet;
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    if (this.strict) {
      const offset = ipv4.fragmentWord(view, NETWORK) & ipv4.OFFSET_MASK;
      // RFC 1858: a fragment that would overwrite the flags.
      context.hotdrop = offset === 1 || (offset === 0 && packet.end - at < tcp.TCP_HEADER);
      if (offset !== 0 || context.hotdrop) return false;
    }
    if (!this.source.any && !loads(packet, at, this.source)) return false;
    if (!this.destination.any && !loads(packet, at + 2, this.destination)) return false;
    if ((this.flags.mask !== 0 || this.flags.not) && !this.matchesFlags(packet, at)) return false;
    return this.option.kind === 0 || this.matchesOption(packet, at, context);
  }

  private matchesFlags(packet: Packet, at: number): boolean {
    if (packet.end < at + FLAGS_END) return false;
    return ((tcp.flags(packet.view, at) & this.flags.mask) === this.flags.set) !== this.flags.not;
  }

  /** `tcp_find_option()`. */
  private matchesOption(packet: Packet, at: number, context: RuleContext): boolean {
    const end = at + tcp.headerLength(packet.view, at);
    if (end < at + tcp.TCP_HEADER || end > packet.end) {
      context.hotdrop = true;
      return false;
    }
    for (let i = at + tcp.TCP_HEADER; i < end; ) {
      const kind = packet.view.getUint8(i);
      if (kind === this.option.kind) return !this.option.not;
      i += kind < 2 ? 1 : packet.view.getUint8(i + 1) || 1;
    }
    return this.option.not;
  }

  print(): string {
    const { flags, option } = this;
    const words = [...printPorts("sport", this.source), ...printPorts("dport", this.destination)];
    if (option.kind !== 0) words.push(printOption("tcp-option", `${option.kind}`, option.not));
    if (flags.mask !== 0 || flags.not)
      words.push(printOption("tcp-flags", `${formatFlags(flags.mask)} ${formatFlags(flags.set)}`, flags.not));
    return words.join(" ");
  }
}

/** iptables-nft makes nothing of all ports, but inverted they still keep it from asking for the whole header. */
export const isSilent = (test: PortTest): boolean => test.any && !test.not;

/** The port at `at` passes; false where the packet ends before it. */
export function loads(packet: Packet, at: number, test: PortTest): boolean {
  if (packet.end < at + 2) return false;
  const port = packet.view.getUint16(at);
  return (port >= test.min && port <= test.max) !== test.not;
}

/** A test that all ports pass is not printed. */
export function printPorts(name: string, test: PortTest): string[] {
  if (isSilent(test)) return [];
  return [printOption(name, formatPortRange(test.min, test.max), test.not)];
}

export function readPorts(options: Options, name: string): PortTest {
  const given = options.get(name);
  if (given === null) return { min: 0, max: 0xffff, not: false, any: true };
  const { min, max } = readPortRange(given.values[0]!);
  return { min, max, not: given.not, any: min === 0 && max === 0xffff };
}

function readFlags(token: Token): number {
  let flags = 0;
  for (const item of splitList(token)) {
    const name = item.text.toUpperCase();
    const bit = FLAGS.indexOf(name);
    if (bit >= 0) flags |= 1 << bit;
    else if (name === "ALL") flags |= ALL;
    else if (name !== "NONE") throw unexpected(item, "a TCP flag (FIN, SYN, RST, PSH, ACK, URG, ALL or NONE)");
  }
  return flags;
}

const formatFlags = (flags: number): string => FLAGS.filter((_, bit) => flags & (1 << bit)).join(",") || "NONE";

export const tcpKind: MatchKind = {
  name: "tcp",
  options: [
    { name: "sport", aliases: ["source-port"], not: true },
    { name: "dport", aliases: ["destination-port"], not: true },
    { name: "tcp-flags", values: 2, not: true, excludes: ["syn"] },
    { name: "syn", values: 0, not: true },
    { name: "tcp-option", not: true },
  ],
  parse(options, scope) {
    options.needProtocol(scope, [ipv4.PROTOCOL_TCP], "-p tcp in a rule with the match tcp");
    const flags = options.get("tcp-flags");
    const syn = options.get("syn");
    const option = options.get("tcp-option");
    return new TcpMatch(
      readPorts(options, "sport"),
      readPorts(options, "dport"),
      {
        mask: flags ? readFlags(flags.values[0]!) : syn ? SYN_MASK : 0,
        set: flags ? readFlags(flags.values[1]!) : syn ? tcp.SYN : 0,
        not: (flags ?? syn)?.not ?? false,
      },
      {
        kind: option ? readInteger(option.values[0]!, 1, 255, "a TCP option") : 0,
        not: option?.not ?? false,
      },
    );
  },
};
