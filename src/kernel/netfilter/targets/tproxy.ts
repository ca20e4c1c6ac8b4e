import { NETWORK, type Packet } from "../../../packet/packet.ts";
import { formatIpv4 } from "../../../wire/address.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "../../../wire/ipv4.ts";
import * as tcp from "../../../wire/tcp.ts";
import * as udp from "../../../wire/udp.ts";
import type { Namespace } from "../../namespace.ts";
import type { SeenSocket } from "../../protocol.ts";
import type { TargetKind } from "../extension.ts";
import { readPort } from "../port.ts";
import type { RuleContext, Target, TargetVerdict } from "../rule.ts";
import { hex, readAddress, readMasked } from "../value.ts";

/** `tproxy_tg4_v1()` of xt_TPROXY.c: gives a packet to a transparent socket and marks it, or drops it where there is none. */
class TproxyTarget implements Target {
  readonly name = "TPROXY";

  constructor(
    private readonly port: number,
    private readonly address: number,
    private readonly mark: number,
    private readonly mask: number,
  ) {}

  apply(packet: Packet, { net }: RuleContext): TargetVerdict {
    const { view } = packet;
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    if (at + udp.UDP_HEADER > packet.end) return "DROP";
    const socket = this.find(packet, at, net);
    if (socket === null || !socket.transparent) return "DROP";
    packet.mark = (packet.mark & ~this.mask) ^ this.mark;
    packet.socket = socket;
    return "ACCEPT";
  }

  /** Who has the flow as it is, else who waits where it is to go. */
  private find(packet: Packet, at: number, net: Namespace): SeenSocket | null {
    const { view, device } = packet;
    const protocol = ipv4.protocol(view, NETWORK);
    const transport = net.transport(protocol);
    if (transport?.lookup === undefined) return null;
    if (protocol === PROTOCOL_TCP && at + tcp.TCP_HEADER > packet.end) return null;
    const from = ipv4.source(view, NETWORK);
    const fromPort = udp.sourcePort(view, at);
    const to = ipv4.destination(view, NETWORK);
    const known = transport.lookup(to, udp.destinationPort(view, at), from, fromPort, device);
    if (known?.connected === true && (known.address !== 0 || protocol === PROTOCOL_TCP)) return known;
    const port = this.port || udp.destinationPort(view, at);
    const waiting = transport.lookup(this.address || firstAddress(net, device) || to, port, from, fromPort, device);
    return waiting !== null && !waiting.connected ? waiting : null;
  }

  print(): string {
    const { port, address, mark, mask } = this;
    return `--on-port ${port} --on-ip ${formatIpv4(address)} --tproxy-mark ${hex(mark)}/${hex(mask)}`;
  }
}

/** `nf_tproxy_laddr4()`. */
function firstAddress(net: Namespace, device: number): number {
  const primary = net.inDevices.get(device)?.addresses.find(({ secondary }) => !secondary);
  return primary?.address ?? 0;
}

export const tproxyKind: TargetKind = {
  name: "TPROXY",
  tables: ["mangle"],
  hooks: ["prerouting"],
  options: [{ name: "on-port" }, { name: "on-ip" }, { name: "tproxy-mark" }],
  parse(options, scope) {
    options.needProtocol(scope, [PROTOCOL_TCP, PROTOCOL_UDP], "TPROXY only in a rule with -p tcp or -p udp");
    const port = readPort(options.need("on-port").values[0]!);
    const address = options.value("on-ip");
    const mark = options.value("tproxy-mark");
    const { value, mask } = mark === null ? { value: 0, mask: 0 } : readMasked(mark);
    return new TproxyTarget(port, address === null ? 0 : readAddress(address), value, mask);
  },
};
