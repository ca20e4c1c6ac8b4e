import type { Device } from "../../link/device.ts";
import { FRAME, NETWORK, type Packet } from "../../packet/packet.ts";
import * as ethernet from "../../wire/ethernet.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as tcp from "../../wire/tcp.ts";
import { attach } from "../conntrack/attach.ts";
import type { Route } from "../fib.ts";
import type { Namespace } from "../namespace.ts";
import { routeOutput } from "../route.ts";
import { resetFields, segmentProblem } from "../tcp-reset.ts";

/** `nf_send_reset()`: the RST of REJECT, which comes from where the segment was going. Borrows. */
export function sendRejectReset(net: Namespace, packet: Packet): void {
  const { view } = packet;
  const at = NETWORK + ipv4.headerLength(view, NETWORK);
  if (ipv4.fragmentOffset(view, NETWORK) !== 0 || segmentProblem(packet, at) !== null) return;
  const route = packet.route as Route | null;
  if ((tcp.flags(view, at) & tcp.RST) !== 0 || route?.type === "broadcast" || packet.type !== "host") return;
  const fields = resetFields(view, at, packet.end - at);
  const source = ipv4.destination(view, NETWORK);
  const destination = ipv4.source(view, NETWORK);
  const type = net.addressType(source, null);
  const found = routeOutput(net, {
    destination,
    source: type === "LOCAL" || type === "UNICAST" ? source : 0,
    anySource: true,
    tos: 0,
    mark: 0,
    device: 0,
  });
  if (found.error !== null) return;
  const length = ipv4.IPV4_HEADER + tcp.TCP_HEADER;
  const reset = net.fabric.generate(ethernet.ETHERNET_HEADER + length, packet.id);
  reset.route = found.route;
  reset.gateway = found.gateway;
  // nf_reject_ip_tcphdr_put()
  reset.partialChecksum = true;
  attach(reset, packet);
  net.tracker.close(packet);
  ethernet.setEtherType(reset.view, FRAME, ethernet.ETHERTYPE_IPV4);
  ipv4.write(reset.view, NETWORK, {
    source,
    destination,
    protocol: ipv4.PROTOCOL_TCP,
    length,
    ttl: net.sysctls.get("net.ipv4.ip_default_ttl"),
    fragment: ipv4.DONT_FRAGMENT,
  });
  tcp.write(reset.view, NETWORK + ipv4.IPV4_HEADER, fields);
  tcp.setChecksum(reset.view, NETWORK + ipv4.IPV4_HEADER, tcp.TCP_HEADER, source, destination);
  const port = net.inDevices.get(packet.bridgeIn)?.device;
  if (port === undefined) net.launch(reset);
  else sendBack(net, reset, packet, port);
}

/** The RST for a bridged segment leaves by the port that the segment came in on, as if its destination had sent it. */
function sendBack(net: Namespace, reset: Packet, packet: Packet, port: Device): void {
  const { view } = packet;
  ethernet.setDestination(reset.view, FRAME, ethernet.sourceHigh(view, FRAME), ethernet.sourceLow(view, FRAME));
  ethernet.setSource(reset.view, FRAME, ethernet.destinationHigh(view, FRAME), ethernet.destinationLow(view, FRAME));
  net.born(reset, port.place, FRAME);
  port.send(reset);
}
