import type { Packet } from "../../../packet/packet.ts";
import { formatIpv4 } from "../../../wire/address.ts";
import type { Connection } from "../../conntrack/connection.ts";
import type { MatchKind, Options } from "../extension.ts";
import { formatPortRange, type PortRange, readPortRange } from "../port.ts";
import { readProtocol } from "../protocol-name.ts";
import type { Match, RuleContext } from "../rule.ts";
import { splitList, type Token, unexpected } from "../tokenizer.ts";
import { type Network, prefixLength, printOption, readIntegerRange, readNetwork } from "../value.ts";
import { DNAT_BIT, formatStates, readStates, SNAT_BIT, type StateName, stateBit } from "./state.ts";

const CTSTATES: readonly StateName[] = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"];

/** `ct->status`, in the order in which iptables prints it. */
const STATUS = ["EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"];

const NANOSECONDS = 1_000_000_000;

/** A test that can be inverted; null fields of {@link ConntrackMatch} stand for "do not care". */
interface Test<T> {
  readonly want: T;
  readonly not: boolean;
}

interface Wanted {
  readonly states: Test<number> | null;
  readonly protocol: Test<number> | null;
  /** In the order of {@link ADDRESSES}. */
  readonly addresses: readonly (Test<Network> | null)[];
  /** In the order of {@link PORTS}. */
  readonly ports: readonly (Test<PortRange> | null)[];
  readonly status: Test<number> | null;
  /** Seconds. */
  readonly expires: Test<PortRange> | null;
  readonly direction: "ORIGINAL" | "REPLY" | null;
}

const ADDRESSES = ["ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst"] as const;
const PORTS = ["ctorigsrcport", "ctorigdstport", "ctreplsrcport", "ctrepldstport"] as const;

/** `conntrack_mt()` of xt_conntrack.c. */
class ConntrackMatch implements Match {
  readonly name = "conntrack";
  private readonly states: number;
  private readonly notStates: boolean;
  private readonly onlyStates: boolean;

  constructor(private readonly wanted: Wanted) {
    this.states = wanted.states?.want ?? 0;
    this.notStates = wanted.states?.not ?? false;
    this.onlyStates =
      wanted.protocol === null &&
      wanted.status === null &&
      wanted.expires === null &&
      wanted.direction === null &&
      [...wanted.addresses, ...wanted.ports].every((test) => test === null);
  }

  matches(packet: Packet, context: RuleContext): boolean {
    const connection = packet.connection as Connection | null;
    if (this.wanted.states !== null) {
      let bit = stateBit(packet);
      if (connection !== null) {
        if (connection.sourceNat) bit |= SNAT_BIT;
        if (connection.destinationNat) bit |= DNAT_BIT;
      }
      if (((this.states & bit) !== 0) === this.notStates) return false;
    }
    if (connection === null) return this.wanted.states !== null;
    return this.onlyStates || this.matchesConnection(packet, connection, context);
  }

  private matchesConnection(packet: Packet, connection: Connection, context: RuleContext): boolean {
    const { protocol, addresses, ports, status, expires, direction } = this.wanted;
    const reply = packet.connectionState === "ESTABLISHED_REPLY" || packet.connectionState === "RELATED_REPLY";
    if (direction !== null && (direction === "REPLY") !== reply) return false;
    const original = connection.original;
    const back = connection.reply;
    if (!covers(addresses[0]!, original.source) || !covers(addresses[1]!, original.destination)) return false;
    if (!covers(addresses[2]!, back.source) || !covers(addresses[3]!, back.destination)) return false;
    if (protocol !== null && (original.protocol === protocol.want) === protocol.not) return false;
    if (!within(ports[0]!, original.sourcePort) || !within(ports[1]!, original.destinationPort)) return false;
    if (!within(ports[2]!, back.sourcePort) || !within(ports[3]!, back.destinationPort)) return false;
    if (status !== null && ((statusBits(connection) & status.want) !== 0) === status.not) return false;
    if (expires === null) return true;
    const left = connection.confirmed ? connection.expires - context.net.fabric.scheduler.now : 0;
    return within(expires, left > 0 ? Math.floor(left / NANOSECONDS) : 0);
  }

  print(): string {
    const { states, protocol, addresses, ports, status, expires, direction } = this.wanted;
    const words: string[] = [];
    if (states !== null) words.push(printOption("ctstate", formatStates(states.want), states.not));
    if (protocol !== null) words.push(printOption("ctproto", `${protocol.want}`, protocol.not));
    for (const [i, test] of addresses.entries())
      if (test !== null) words.push(printOption(ADDRESSES[i]!, formatAddress(test.want), test.not));
    for (const [i, test] of ports.entries())
      if (test !== null) words.push(printOption(PORTS[i]!, formatPortRange(test.want.min, test.want.max), test.not));
    if (status !== null) words.push(printOption("ctstatus", formatStatus(status.want), status.not));
    if (expires !== null)
      words.push(printOption("ctexpire", formatPortRange(expires.want.min, expires.want.max), expires.not));
    if (direction !== null) words.push(printOption("ctdir", direction));
    return words.join(" ");
  }
}

function covers(test: Test<Network> | null, address: number): boolean {
  return test === null || (((test.want.address ^ address) & test.want.mask) === 0) !== test.not;
}

function within(test: Test<PortRange> | null, value: number): boolean {
  return test === null || (value >= test.want.min && value <= test.want.max) !== test.not;
}

function statusBits(connection: Connection): number {
  return (
    (connection.expected ? 1 : 0) |
    (connection.seenReply ? 2 : 0) |
    (connection.assured ? 4 : 0) |
    (connection.confirmed ? 8 : 0)
  );
}

function readStatus(token: Token): number {
  let bits = 0;
  for (const item of splitList(token)) {
    const name = item.text.toUpperCase();
    const bit = STATUS.indexOf(name);
    if (bit >= 0) bits |= 1 << bit;
    else if (name !== "NONE") throw unexpected(item, `a connection status (NONE, ${STATUS.join(", ")})`);
  }
  return bits;
}

const formatStatus = (bits: number): string => STATUS.filter((_, bit) => bits & (1 << bit)).join(",") || "NONE";

function readTracked(token: Token): number {
  const protocol = readProtocol(token);
  if (protocol === 0) throw unexpected(token, "one protocol");
  return protocol;
}

function readConntrackNetwork(token: Token): Network {
  const network = readNetwork(token);
  if (prefixLength(network.mask) < 0) throw unexpected(token, "an address with a prefix length (0-32)");
  return network;
}

function formatAddress(network: Network): string {
  const length = prefixLength(network.mask);
  return formatIpv4(network.address) + (length === 32 ? "" : `/${length}`);
}

function readExpires(token: Token): PortRange {
  const range = readIntegerRange(token, 0xffffffff, "a time in seconds");
  if (range.max < range.min) throw unexpected(token, "a range of seconds whose first is not above its last");
  return range;
}

function readDirection(token: Token): "ORIGINAL" | "REPLY" {
  const text = token.text.toUpperCase();
  if (text !== "ORIGINAL" && text !== "REPLY") throw unexpected(token, "ORIGINAL or REPLY");
  return text;
}

function read<T>(options: Options, name: string, parse: (token: Token) => T): Test<T> | null {
  const given = options.get(name);
  return given === null ? null : { want: parse(given.values[0]!), not: given.not };
}

export const conntrackKind: MatchKind = {
  name: "conntrack",
  options: [
    { name: "ctstate", not: true },
    { name: "ctproto", not: true },
    ...[...ADDRESSES, ...PORTS].map((name) => ({ name, not: true })),
    { name: "ctstatus", not: true },
    { name: "ctexpire", not: true },
    { name: "ctdir" },
  ],
  parse(options) {
    options.needAny("at least one option", "conntrack: At least one option is required");
    return new ConntrackMatch({
      states: read(options, "ctstate", (token) => readStates(token, CTSTATES)),
      protocol: read(options, "ctproto", readTracked),
      addresses: ADDRESSES.map((name) => read(options, name, readConntrackNetwork)),
      ports: PORTS.map((name) => read(options, name, readPortRange)),
      status: read(options, "ctstatus", readStatus),
      expires: read(options, "ctexpire", readExpires),
      direction: read(options, "ctdir", readDirection)?.want ?? null,
    });
  },
};
