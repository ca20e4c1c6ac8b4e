import { NETWORK, type Packet } from "../packet/packet.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as udpLite from "../wire/udp-lite.ts";
import { icmpReceive } from "./icmp.ts";
import type { InDevice } from "./in-device.ts";
import type { Namespace } from "./namespace.ts";
import { sendReset } from "./tcp-reset.ts";

const IGMP = 2;

/** `ip_local_deliver()`: gathers fragments, asks INPUT, then hands over to the transport. Takes ownership. */
export function localDeliver(packet: Packet, device: InDevice): void {
  const { net } = device;
  if (ipv4.isFragment(packet.view, NETWORK) && !net.reassembly.add(packet, device, "local")) return;
  if (!net.netfilter.input.run(packet, device.device, null)) return;
  const { view } = packet;
  const at = NETWORK + ipv4.headerLength(view, NETWORK);
  const protocol = ipv4.protocol(view, NETWORK);
  const transport = net.transport(protocol);
  const tapped = net.raw?.receive(packet, at) === true;
  if (transport !== null || protocol === ipv4.PROTOCOL_TCP) {
    // nf_reset_ct(): what answers it is a packet of its own.
    packet.connection = null;
    packet.connectionState = "NONE";
    packet.attached = false;
  }
  if (protocol === ipv4.PROTOCOL_ICMP) {
    icmpReceive(net, packet, at);
    return;
  }
  if (transport !== null) transport.receive(packet, at);
  else if (protocol === ipv4.PROTOCOL_RAW && net.rawSockets > 0) net.deliver(packet, "a raw socket");
  else if (protocol === ipv4.PROTOCOL_TCP) sendReset(net, packet, at);
  else if (protocol === udpLite.PROTOCOL_UDP_LITE) refuseUdpLite(net, packet, at);
  else if (protocol === IGMP) net.fabric.consume(packet, net.place, "IGMP");
  else if (tapped) net.deliver(packet, "a raw socket");
  else {
    net.sendIcmpError(packet, icmp.UNREACHABLE, icmp.PROTOCOL_UNREACHABLE, 0);
    net.fabric.drop(packet, net.place, "IP_NOPROTO");
  }
}

/** `udplite_rcv()`, which no socket of this host ever waits for. Takes ownership. */
function refuseUdpLite(net: Namespace, packet: Packet, at: number): void {
  const { view } = packet;
  const valid = udpLite.isValid(view, at, packet.end - at, ipv4.source(view, NETWORK), ipv4.destination(view, NETWORK));
  if (valid) net.portUnreachable(packet);
  net.fabric.drop(packet, net.place, valid ? "NO_SOCKET" : "UDP_CSUM");
}
