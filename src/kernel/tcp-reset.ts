import { NETWORK, type Packet } from "../packet/packet.ts";
import type { DropReason } from "../trace/reason.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as tcp from "../wire/tcp.ts";
import type { Route } from "./fib.ts";
import { echoOptions } from "./ip-options.ts";
import type { Namespace } from "./namespace.ts";
import type { SeenSocket } from "./protocol.ts";

/** The fields of the RST that answers a segment (RFC 9293, 3.5.2); `bytes` is the segment's length. */
export function resetFields(view: DataView, at: number, bytes: number) {
  const flags = tcp.flags(view, at);
  const answersAck = (flags & tcp.ACK) !== 0;
  const occupied = bytes - tcp.headerLength(view, at) + (flags & tcp.SYN ? 1 : 0) + (flags & tcp.FIN ? 1 : 0);
  return {
    source: tcp.destinationPort(view, at),
    destination: tcp.sourcePort(view, at),
    sequence: answersAck ? tcp.acknowledgement(view, at) : 0,
    acknowledgement: answersAck ? 0 : (tcp.sequenceNumber(view, at) + occupied) | 0,
    flags: answersAck ? tcp.RST : tcp.RST | tcp.ACK,
    window: 0,
  };
}

/** Why a segment deserves no answer, or null. */
export function segmentProblem(packet: Packet, at: number): DropReason | null {
  const { view } = packet;
  const bytes = packet.end - at;
  if (bytes < tcp.TCP_HEADER || tcp.headerLength(view, at) < tcp.TCP_HEADER || tcp.headerLength(view, at) > bytes)
    return "PKT_TOO_SMALL";
  const valid = tcp.isValid(view, at, bytes, ipv4.source(view, NETWORK), ipv4.destination(view, NETWORK));
  return valid ? null : "TCP_CSUM";
}

/** `tcp_v4_rcv()` without sockets: nobody listens on that port. Takes ownership. */
export function sendReset(net: Namespace, packet: Packet, at: number): void {
  const bad = packet.type !== "host" ? "OTHERHOST" : segmentProblem(packet, at);
  if (bad !== null) {
    net.fabric.drop(packet, net.place, bad);
    return;
  }
  answerReset(net, packet, at, null);
  net.fabric.drop(packet, net.place, "NO_SOCKET");
}

/** `tcp_v4_send_reset()`: a RST of the socket that the segment was for, if any; one is never answered. Borrows. */
export function answerReset(net: Namespace, packet: Packet, at: number, socket: SeenSocket | null): void {
  const { view } = packet;
  const here = socket !== null || (packet.route as Route).type === "local";
  const mayAnswer = here && (tcp.flags(view, at) & tcp.RST) === 0;
  const options = echoOptions(packet, net);
  if (mayAnswer && options !== null) {
    const fields = resetFields(view, at, packet.end - at);
    const source = ipv4.destination(view, NETWORK);
    const destination = ipv4.source(view, NETWORK);
    net.send({
      destination: options.firstHop || destination,
      source,
      tos: ipv4.tos(view, NETWORK) & 0xfc,
      mark: socket?.mark ?? 0,
      device: 0,
      anySource: socket?.transparent === true,
      protocol: ipv4.PROTOCOL_TCP,
      ttl: 0,
      dontFragment: true,
      withoutId: true,
      options,
      length: tcp.TCP_HEADER,
      parent: packet.id,
      socket,
      write(reset, start) {
        tcp.write(reset.view, start, fields);
        tcp.setChecksum(reset.view, start, tcp.TCP_HEADER, source, destination);
      },
    });
  }
}
