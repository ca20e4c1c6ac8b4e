import type { Fabric } from "../link/fabric.ts";
import { FRAME, NETWORK, type Packet } from "../packet/packet.ts";
import { STEP } from "../trace/step.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as udp from "../wire/udp.ts";
import type { Guest } from "./guest.ts";

/** An IPv4 packet to a guest, before its payload is there. */
export interface GuestHeader {
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  /** Bytes behind the IPv4 header. */
  readonly length: number;
  /** The packet that led to it. */
  readonly parent: number;
}

const HEADERS = ethernet.ETHERNET_HEADER + ipv4.IPV4_HEADER;
/** Where what follows the IPv4 header stands. */
export const PAYLOAD = NETWORK + ipv4.IPV4_HEADER;
/** What an ICMP error quotes behind the IPv4 header, RFC 792. */
const QUOTED = 8;

/** Makes the frames that one guest gets: each in the name of the host that the guest talks to. */
export class GuestOutput {
  private readonly fabric: Fabric;
  private identification = 0;

  constructor(private readonly guest: Guest) {
    this.fabric = guest.translator.fabric;
  }

  /** A packet with all headers but the transport's, which begins at PAYLOAD. */
  begin(header: GuestHeader): Packet {
    const { guest } = this;
    const packet = this.fabric.generate(HEADERS + header.length, header.parent);
    const { view } = packet;
    const broadcast = header.destination === -1;
    ethernet.setDestination(view, FRAME, broadcast ? 0xffff : guest.macHigh, broadcast ? -1 : guest.macLow);
    const { high, low } = guest.translator.macOf(header.source);
    ethernet.setSource(view, FRAME, high, low);
    ethernet.setEtherType(view, FRAME, ethernet.ETHERTYPE_IPV4);
    this.identification = (this.identification + 1) & 0xffff;
    ipv4.write(view, NETWORK, {
      source: header.source,
      destination: header.destination,
      protocol: header.protocol,
      length: ipv4.IPV4_HEADER + header.length,
      ttl: guest.translator.behaviour.ttl,
      identification: this.identification,
    });
    return packet;
  }

  /** Sends what is complete; a datagram longer than the link's MTU goes in fragments. Takes ownership. */
  send(packet: Packet): void {
    const { guest, fabric } = this;
    if (fabric.trace !== null) {
      fabric.trace.step(STEP.born, packet.id, guest.translator.place, 1, packet.parent);
      fabric.trace.ipv4(packet.id, guest.translator.place, packet.view, NETWORK, packet.end);
    }
    if (guest.macHigh === 0 && guest.macLow === 0) fabric.drop(packet, guest.translator.place, "GUEST_UNKNOWN");
    else if (packet.end - NETWORK > guest.device.mtu) this.fragment(packet);
    else guest.transmit(packet);
  }

  /** RFC 791, 3.2. Takes ownership. */
  private fragment(packet: Packet): void {
    const { fabric, guest } = this;
    const { place } = guest.translator;
    const room = (guest.device.mtu - ipv4.IPV4_HEADER) & ~7;
    const total = packet.end - PAYLOAD;
    fabric.trace?.step(STEP.fragment, packet.id, place, Math.ceil(total / room), guest.device.mtu);
    for (let offset = 0; offset < total; offset += room) {
      const size = Math.min(room, total - offset);
      const piece = fabric.generate(HEADERS + size, packet.id);
      piece.bytes.set(packet.bytes.subarray(FRAME, PAYLOAD), FRAME);
      piece.bytes.set(packet.bytes.subarray(PAYLOAD + offset, PAYLOAD + offset + size), PAYLOAD);
      piece.view.setUint16(NETWORK + 2, ipv4.IPV4_HEADER + size);
      piece.view.setUint16(NETWORK + 6, (offset + size < total ? ipv4.MORE_FRAGMENTS : 0) | (offset >> 3));
      ipv4.setChecksum(piece.view, NETWORK);
      if (fabric.trace !== null) {
        fabric.trace.step(STEP.born, piece.id, place, 1, packet.id);
        fabric.trace.ipv4(piece.id, place, piece.view, NETWORK, piece.end);
      }
      guest.transmit(piece);
    }
    fabric.consume(packet, place, "fragmentation");
  }

  /** `data` is borrowed. */
  udp(
    from: { address: number; port: number },
    to: { address: number; port: number },
    data: Uint8Array,
    parent: number,
  ) {
    const length = udp.UDP_HEADER + data.length;
    const addresses = { source: from.address, destination: to.address };
    const packet = this.begin({ ...addresses, protocol: ipv4.PROTOCOL_UDP, length, parent });
    packet.bytes.set(data, PAYLOAD + udp.UDP_HEADER);
    udp.write(packet.view, PAYLOAD, { source: from.port, destination: to.port }, length, addresses);
    this.send(packet);
  }

  /** The reply to an echo request, with the data behind its header. `data` is borrowed. */
  echoReply(
    from: number,
    to: number,
    echo: { identifier: number; sequence: number; data: Uint8Array },
    parent: number,
  ) {
    const length = icmp.ICMP_HEADER + echo.data.length;
    const packet = this.begin({ source: from, destination: to, protocol: ipv4.PROTOCOL_ICMP, length, parent });
    icmp.write(packet.view, PAYLOAD, icmp.ECHO_REPLY, 0, (echo.identifier << 16) | echo.sequence);
    packet.bytes.set(echo.data, PAYLOAD + icmp.ICMP_HEADER);
    icmp.setChecksum(packet.view, PAYLOAD, length);
    this.send(packet);
  }

  /** An ICMP error that says `from` about a packet which the guest has sent, because of the packet `cause`. Borrows. */
  errorAbout(
    packet: Packet,
    from: number,
    error: { readonly type: number; readonly code: number; readonly information: number },
    cause = packet.id,
  ): void {
    const header = ipv4.headerLength(packet.view, NETWORK);
    const quote = packet.bytes.subarray(NETWORK, Math.min(packet.end, NETWORK + header + QUOTED));
    const to = ipv4.source(packet.view, NETWORK);
    const id = this.error(from, to, error, quote, cause || packet.id);
    const { type, code, information } = error;
    this.fabric.trace?.step(STEP.error, packet.id, this.guest.translator.place, 0, type, code, information, id);
  }

  /** An ICMP error with the bytes that it quotes; returns its packet's id. `quote` is borrowed. */
  error(
    from: number,
    to: number,
    error: { readonly type: number; readonly code: number; readonly information: number },
    quote: Uint8Array,
    parent: number,
  ): number {
    const length = icmp.ICMP_HEADER + quote.length;
    const packet = this.begin({ source: from, destination: to, protocol: ipv4.PROTOCOL_ICMP, length, parent });
    icmp.write(packet.view, PAYLOAD, error.type, error.code, error.information);
    packet.bytes.set(quote, PAYLOAD + icmp.ICMP_HEADER);
    icmp.setChecksum(packet.view, PAYLOAD, length);
    const { id } = packet;
    this.send(packet);
    return id;
  }
}
