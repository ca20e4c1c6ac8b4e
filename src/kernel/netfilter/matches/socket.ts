import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as icmp from "../../../wire/icmp.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import * as tcp from "../../../wire/tcp.ts";
import * as udp from "../../../wire/udp.ts";
import type { Connection } from "../../conntrack/connection.ts";
import type { SeenSocket } from "../../protocol.ts";
import type { MatchKind } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";

const FLAGS = ["transparent", "nowildcard", "restore-skmark"] as const;
type Flag = (typeof FLAGS)[number];

/** `socket_match()` of xt_socket.c: would a socket of this host take the packet, or hear of the ICMP error? */
class SocketMatch implements Match {
  readonly name = "socket";
  private readonly transparent: boolean;
  private readonly noWildcard: boolean;
  private readonly restoreMark: boolean;

  constructor(private readonly flags: readonly Flag[]) {
    this.transparent = flags.includes("transparent");
    this.noWildcard = flags.includes("nowildcard");
    this.restoreMark = flags.includes("restore-skmark");
  }

  matches(packet: Packet, context: RuleContext): boolean {
    const socket = (packet.socket as SeenSocket | null) ?? find(packet, context);
    if (socket === null || (!this.noWildcard && socket.full && socket.address === 0)) return false;
    if (this.transparent && !socket.transparent) return false;
    if (this.restoreMark && socket.full) packet.mark = socket.mark;
    return true;
  }

  print(): string {
    return this.flags.map((flag) => `--${flag}`).join(" ");
  }
}

/** `nf_sk_lookup_slow_v4()`. */
function find(packet: Packet, { net, in: device }: RuleContext): SeenSocket | null {
  const { view, end } = packet;
  const outer = ipv4.protocol(view, NETWORK);
  const at = NETWORK + ipv4.headerLength(view, NETWORK);
  const isError = outer === ipv4.PROTOCOL_ICMP;
  let protocol = outer;
  let ports = at;
  if (isError) {
    const quote = at + icmp.ICMP_HEADER;
    if (quote + ipv4.IPV4_HEADER > end || !icmp.isError(icmp.type(view, at))) return null;
    protocol = ipv4.protocol(view, quote);
    ports = quote + ipv4.headerLength(view, quote);
    if (ports + 4 > end) return null;
  }
  if (protocol !== ipv4.PROTOCOL_TCP && protocol !== ipv4.PROTOCOL_UDP) return null;
  const header = protocol === ipv4.PROTOCOL_TCP ? tcp.TCP_HEADER : udp.UDP_HEADER;
  if (!isError && at + header > end) return null;
  const transport = net.transport(protocol);
  if (transport?.lookup === undefined) return null;
  const one = udp.sourcePort(view, ports);
  const other = udp.destinationPort(view, ports);
  // What is quoted went out from here.
  const quote = at + icmp.ICMP_HEADER;
  let local = isError ? ipv4.source(view, quote) : ipv4.destination(view, NETWORK);
  let localPort = isError ? one : other;
  const remote = isError ? ipv4.destination(view, quote) : ipv4.source(view, NETWORK);
  const connection = packet.connection as Connection | null;
  const fromPeer = packet.connectionState === (isError ? "RELATED_REPLY" : "ESTABLISHED_REPLY");
  if (connection !== null && fromPeer && connection.sourceNatDone) {
    local = connection.original.source;
    localPort = connection.original.sourcePort;
  }
  return transport.lookup(local, localPort, remote, isError ? other : one, device?.index ?? 0);
}

export const socketKind: MatchKind = {
  name: "socket",
  options: [
    { name: "transparent", values: 0 },
    { name: "nowildcard", values: 0 },
    { name: "restore-skmark", values: 0 },
  ],
  parse(options) {
    options.limit(["prerouting", "input"]);
    return new SocketMatch(FLAGS.filter((name) => options.has(name)));
  },
};
