import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import * as udp from "../../../wire/udp.ts";
import type { MatchKind } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { isSilent, loads, type PortTest, printPorts, readPorts } from "./tcp.ts";

/** As the match tcp: loads of ports, or without any `udp_mt()` of xt_tcpudp.c, which drops what is cut short. */
class UdpMatch implements Match {
  readonly name = "udp";

  constructor(
    private readonly source: PortTest,
    private readonly destination: PortTest,
  ) {}

  matches(packet: Packet, context: RuleContext): boolean {
    const { view } = packet;
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    if (isSilent(this.source) && isSilent(this.destination)) {
      if ((ipv4.fragmentWord(view, NETWORK) & ipv4.OFFSET_MASK) !== 0) return false;
      context.hotdrop = packet.end - at < udp.UDP_HEADER;
      return !context.hotdrop;
    }
    return (
      (this.source.any || loads(packet, at, this.source)) &&
      (this.destination.any || loads(packet, at + 2, this.destination))
    );
  }

  print(): string {
    return [...printPorts("sport", this.source), ...printPorts("dport", this.destination)].join(" ");
  }
}

export const udpKind: MatchKind = {
  name: "udp",
  options: [
    { name: "sport", aliases: ["source-port"], not: true },
    { name: "dport", aliases: ["destination-port"], not: true },
  ],
  parse(options, scope) {
    options.needProtocol(scope, [ipv4.PROTOCOL_UDP], "-p udp in a rule with the match udp");
    return new UdpMatch(readPorts(options, "sport"), readPorts(options, "dport"));
  },
};
