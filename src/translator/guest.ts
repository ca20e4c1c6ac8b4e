import type { Device, Receiver } from "../link/device.ts";
import { FRAME, NETWORK, type Packet } from "../packet/packet.ts";
import type { Timer } from "../sim/scheduler.ts";
import type { DropReason } from "../trace/reason.ts";
import { STEP, wordNumber } from "../trace/step.ts";
import * as arp from "../wire/arp.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as tcp from "../wire/tcp.ts";
import * as udp from "../wire/udp.ts";
import { GuestOutput, PAYLOAD } from "./guest-output.ts";
import type { HostSockets } from "./host-sockets.ts";
import { IcmpFlows } from "./icmp-flows.ts";
import { Impersonation } from "./impersonation.ts";
import { PublishedPorts } from "./published-ports.ts";
import { GuestReassembly } from "./reassembly.ts";
import { TcpFlows } from "./tcp-flows.ts";
import type { Translator } from "./translator.ts";
import { UdpFlows, unreachable } from "./udp-flows.ts";

const NEW = wordNumber("endpointChange", "new");
const FOUND = wordNumber("endpointChange", "found");
const EXPIRED = wordNumber("endpointChange", "expired");
const EVICTED = wordNumber("endpointChange", "evicted");
const ROLE = {
  remote: wordNumber("endpointRole", "remote"),
  gateway: wordNumber("endpointRole", "gateway"),
  host: wordNumber("endpointRole", "host"),
};
const DHCP_SERVER = 67;
const DHCP_CLIENT = 68;
const DNS = 53;
const SECOND = 1e9;

/** One machine behind the translator, and the port that it is plugged into. */
export class Guest implements Receiver {
  /** Learned from its frames; zero before the first. */
  macHigh = 0;
  macLow = 0;
  readonly output: GuestOutput;
  readonly udp: UdpFlows;
  /** Of ports that the gateway forwards: answers come from that port. */
  readonly gatewayUdp: UdpFlows;
  readonly icmp: IcmpFlows;
  readonly tcp: TcpFlows;
  readonly published: PublishedPorts;
  /** Sockets inside the guest, for published ports: vpnkit's forwarder at the other end of a side channel. Null for none. */
  forwarder: HostSockets | null = null;
  /** By the impersonated address, then the guest's. */
  private readonly impersonations = new Map<number, Map<number, Impersonation>>();
  impersonationCount = 0;
  private readonly reassembly: GuestReassembly;
  private readonly sweep: Timer;

  constructor(
    readonly translator: Translator,
    readonly device: Device,
    /** The address that DHCP gives it first. */
    readonly address: number,
  ) {
    const { fabric, place } = translator;
    this.output = new GuestOutput(this);
    this.udp = new UdpFlows(this, "true sender");
    this.gatewayUdp = new UdpFlows(this, "intercepted");
    this.icmp = new IcmpFlows(this);
    this.tcp = new TcpFlows(this);
    this.published = new PublishedPorts(this);
    this.reassembly = new GuestReassembly(fabric, place);
    this.sweep = fabric.scheduler.timer(() => this.sweepImpersonations(), true);
    device.receiver = this;
  }

  get name(): string {
    return this.device.name;
  }

  /** A frame to the guest. Takes ownership. */
  transmit(packet: Packet): void {
    this.translator.rings?.record(packet);
    if (packet.length > this.device.mtu + ethernet.ETHERNET_HEADER) this.drop(packet, "PKT_TOO_BIG");
    else this.device.send(packet);
  }

  drop(packet: Packet, reason: DropReason): void {
    this.translator.rings?.recordBad(packet);
    this.translator.fabric.drop(packet, this.translator.place, reason);
  }

  /** A frame from the guest, `Switch.listen` of `slirp.ml`. Takes ownership. */
  receive(packet: Packet): void {
    const { translator } = this;
    const { view } = packet;
    translator.rings?.record(packet);
    if (packet.end < NETWORK) {
      this.drop(packet, "PKT_TOO_SMALL");
      return;
    }
    const sourceHigh = ethernet.sourceHigh(view, FRAME);
    if (ethernet.isGroup(sourceHigh)) {
      this.drop(packet, "MAC_INVALID_SOURCE");
      return;
    }
    this.macHigh = sourceHigh;
    this.macLow = ethernet.sourceLow(view, FRAME);
    const high = ethernet.destinationHigh(view, FRAME);
    const low = ethernet.destinationLow(view, FRAME);
    const broadcast = ethernet.isBroadcast(high, low);
    if (broadcast) translator.flood(packet, this);
    else if (!translator.isOwnMac(high, low) && !(high === this.macHigh && low === this.macLow)) {
      translator.bridge(packet, this, high, low);
      return;
    }
    const type = ethernet.etherType(view, FRAME);
    if (type === ethernet.ETHERTYPE_IPV4) this.ip(packet);
    else if (type === ethernet.ETHERTYPE_ARP) this.arp(packet);
    else this.drop(packet, "UNHANDLED_PROTO");
  }

  /** `Static_arp`: answers for what stands in the translator's table, and for nobody else. Takes ownership. */
  private arp(packet: Packet): void {
    const { translator } = this;
    const { view } = packet;
    const reason = arp.check(view, NETWORK, packet.end);
    if (reason !== null) {
      this.drop(packet, reason);
      return;
    }
    const { fabric, place } = translator;
    if (arp.operation(view, NETWORK) !== arp.ARP_REQUEST) {
      fabric.consume(packet, place, "ARP");
      return;
    }
    const asked = arp.targetAddress(view, NETWORK);
    const mac = translator.macOfTable(asked, this);
    const sender = arp.senderAddress(view, NETWORK);
    if (mac === null || asked === sender) {
      this.drop(packet, "ARP_NO_ENTRY");
      return;
    }
    const reply = fabric.generate(ethernet.ETHERNET_HEADER + arp.ARP_LENGTH, packet.id);
    ethernet.setDestination(reply.view, FRAME, this.macHigh, this.macLow);
    ethernet.setSource(reply.view, FRAME, mac.high, mac.low);
    ethernet.setEtherType(reply.view, FRAME, ethernet.ETHERTYPE_ARP);
    const target = { high: arp.senderHigh(view, NETWORK), low: arp.senderLow(view, NETWORK), address: sender };
    arp.write(reply.view, NETWORK, arp.ARP_REPLY, { ...mac, address: asked }, target);
    if (fabric.trace !== null) {
      fabric.trace.step(STEP.born, reply.id, place, 1, packet.id);
      fabric.trace.headers(reply.id, place, reply.view, FRAME, reply.end);
    }
    fabric.consume(packet, place, "ARP");
    this.transmit(reply);
  }

  /** Takes ownership. */
  private ip(packet: Packet): void {
    const { view } = packet;
    const { translator } = this;
    const reason = ipv4.check(view, NETWORK, packet.end);
    if (reason !== null) {
      this.drop(packet, reason);
      return;
    }
    packet.end = NETWORK + ipv4.totalLength(view, NETWORK);
    if (ipv4.isFragment(view, NETWORK) && translator.behaviour.reassembles) {
      const whole = this.reassembly.add(packet);
      if (whole !== null) this.datagram(whole);
    } else this.datagram(packet);
  }

  private datagram(packet: Packet): void {
    const { view } = packet;
    const { translator } = this;
    const protocol = ipv4.protocol(view, NETWORK);
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    if (protocol === ipv4.PROTOCOL_UDP && packet.end - at >= udp.UDP_HEADER) {
      const port = udp.destinationPort(view, at);
      if (port === DHCP_SERVER || port === DHCP_CLIENT) {
        translator.dhcp.receive(packet, at, this);
        return;
      }
    }
    const impersonation = this.impersonate(packet);
    if (impersonation === null) return;
    if (impersonation.role === "remote" && translator.behaviour.countsAsHop && !this.hop(packet)) return;
    if (protocol === ipv4.PROTOCOL_TCP) this.tcp.receive(packet, at, impersonation);
    else if (protocol === ipv4.PROTOCOL_UDP) this.udpDatagram(packet, at, impersonation);
    else if (protocol === ipv4.PROTOCOL_ICMP) this.icmpMessage(packet, at, impersonation);
    else {
      if (translator.behaviour.refusesClosedPorts)
        this.output.errorAbout(packet, translator.addresses.gateway, unreachable(icmp.PROTOCOL_UNREACHABLE));
      this.drop(packet, "IP_NOPROTO");
    }
  }

  /** `ip_forward()`'s part for a translator that is an honest hop. False when the packet ended here. */
  private hop(packet: Packet): boolean {
    const { fabric, place, addresses } = this.translator;
    const { view } = packet;
    const ttl = ipv4.ttl(view, NETWORK);
    if (ttl <= 1) {
      this.output.errorAbout(packet, addresses.gateway, { type: icmp.TIME_EXCEEDED, code: 0, information: 0 });
      this.drop(packet, "TTL_EXPIRED");
      return false;
    }
    ipv4.setTtl(view, NETWORK, ttl - 1);
    fabric.trace?.step(STEP.set, packet.id, place, wordNumber("field", "ttl"), ttl, ttl - 1);
    return true;
  }

  /** `find_endpoint`: the host that this packet is for, played from now on where it is the first. Null when it was dropped. */
  private impersonate(packet: Packet): Impersonation | null {
    const { translator } = this;
    const { fabric, place } = translator;
    const remote = ipv4.destination(packet.view, NETWORK);
    const local = ipv4.source(packet.view, NETWORK);
    let change = FOUND;
    let found = this.impersonations.get(remote)?.get(local);
    if (found === undefined) {
      change = NEW;
      const added = this.addImpersonation(remote, local);
      if (added === null) {
        this.drop(packet, "ENDPOINTS_FULL");
        return null;
      }
      found = added;
    }
    found.lastUse = translator.now;
    if (fabric.trace !== null) fabric.trace.step(STEP.endpoint, packet.id, place, change, ROLE[found.role], remote);
    return found;
  }

  /** For what arrives from outside, too: an answer comes from whoever sent it. */
  private addImpersonation(remote: number, local: number): Impersonation | null {
    const { translator } = this;
    const { endpoints } = translator.behaviour;
    if (this.impersonationCount >= endpoints.most && !this.evictImpersonation()) return null;
    const added = new Impersonation(translator.roleOf(remote), remote, local);
    const byLocal = this.impersonations.get(remote);
    if (byLocal === undefined) this.impersonations.set(remote, new Map([[local, added]]));
    else byLocal.set(local, added);
    this.impersonationCount++;
    if (endpoints.idle > 0 && !this.sweep.armed) this.sweep.armIn(endpoints.sweep * SECOND);
    return added;
  }

  /** For what comes from outside: whoever it is from is impersonated, too. Null when there are too many. */
  impersonationOf(remote: number, local: number): Impersonation | null {
    const found = this.impersonations.get(remote)?.get(local) ?? this.addImpersonation(remote, local);
    if (found !== null) found.lastUse = this.translator.now;
    return found;
  }

  *allImpersonations(): Iterable<Impersonation> {
    for (const byLocal of this.impersonations.values()) yield* byLocal.values();
  }

  /** The one that was made first and has no connection. False when all have one. */
  private evictImpersonation(): boolean {
    for (const impersonation of this.allImpersonations())
      if (impersonation.flows.size === 0) {
        this.removeImpersonation(impersonation, EVICTED);
        return true;
      }
    return false;
  }

  private removeImpersonation(impersonation: Impersonation, change: number): void {
    const { fabric, place } = this.translator;
    const { remote, local, role } = impersonation;
    const byLocal = this.impersonations.get(remote)!;
    byLocal.delete(local);
    if (byLocal.size === 0) this.impersonations.delete(remote);
    this.impersonationCount--;
    fabric.trace?.step(STEP.endpoint, 0, place, change, ROLE[role], remote);
    for (const flow of [...impersonation.flows.values()]) flow.abandon();
  }

  /** `delete_unused_endpoints`. */
  private sweepImpersonations(): void {
    const { endpoints } = this.translator.behaviour;
    for (const impersonation of [...this.allImpersonations()])
      if (this.translator.now - impersonation.lastUse > endpoints.idle * SECOND)
        this.removeImpersonation(impersonation, EXPIRED);
    if (this.impersonationCount > 0) this.sweep.armIn(endpoints.sweep * SECOND);
  }

  /** Takes ownership. */
  private icmpMessage(packet: Packet, at: number, { role }: Impersonation): void {
    const { view } = packet;
    const length = packet.end - at;
    if (length < icmp.ICMP_HEADER) this.drop(packet, "PKT_TOO_SMALL");
    else if (!icmp.isValid(view, at, length)) this.drop(packet, "ICMP_CSUM");
    else if (icmp.type(view, at) !== icmp.ECHO_REQUEST) this.drop(packet, "UNHANDLED_PROTO");
    else if (role === "remote") this.icmp.send(packet, at);
    else {
      const data = packet.bytes.subarray(at + icmp.ICMP_HEADER, packet.end);
      const echo = { identifier: icmp.identifier(view, at), sequence: icmp.sequence(view, at), data };
      this.output.echoReply(ipv4.destination(view, NETWORK), ipv4.source(view, NETWORK), echo, packet.id);
      this.translator.fabric.consume(packet, this.translator.place, "echo");
    }
  }

  /** Takes ownership. */
  private udpDatagram(packet: Packet, at: number, impersonation: Impersonation): void {
    const { view } = packet;
    const { translator } = this;
    const { mostWithDf, checksums } = translator.behaviour.udp;
    const source = ipv4.source(view, NETWORK);
    const destination = ipv4.destination(view, NETWORK);
    const length = packet.end - at < udp.UDP_HEADER ? 0 : udp.length(view, at);
    if (length < udp.UDP_HEADER || length > packet.end - at) {
      this.drop(packet, ipv4.isFragment(view, NETWORK) ? "GUEST_FRAGMENT" : "PKT_TOO_SMALL");
      return;
    }
    if (checksums && !udp.isValid(view, at, length, source, destination)) {
      this.drop(packet, "UDP_CSUM");
      return;
    }
    const data = packet.bytes.subarray(at + udp.UDP_HEADER, at + length);
    const from = { address: source, port: udp.sourcePort(view, at) };
    const to = { address: destination, port: udp.destinationPort(view, at) };
    const ttl = ipv4.ttl(view, NETWORK);
    if (to.port === DNS && destination === translator.addresses.dns && !translator.behaviour.dns.redirects) {
      translator.dns.query(packet, from, to, data, this);
      return;
    }
    if (impersonation.role === "gateway" && this.published.answered(packet, from, to, data)) return;
    const outside = translator.outsideOf(to, impersonation.role, "udp");
    if (outside === null) {
      if (translator.behaviour.refusesClosedPorts)
        this.output.errorAbout(packet, destination, unreachable(icmp.PORT_UNREACHABLE));
      this.drop(packet, "NO_SERVICE");
    } else if (mostWithDf > 0 && ipv4.dontFragment(view, NETWORK) && data.length > mostWithDf) {
      const error = { type: icmp.UNREACHABLE, code: icmp.FRAGMENTATION_NEEDED, information: mostWithDf };
      this.output.errorAbout(packet, destination, error);
      this.drop(packet, "PKT_TOO_BIG");
    } else {
      const flows = impersonation.role === "gateway" ? this.gatewayUdp : this.udp;
      flows.send(packet, { from, to, outside, data, ttl });
    }
  }

  /** The answer to a segment of no connection, RFC 9293, 3.5.2, because of the packet `cause`. Borrows. */
  reset(packet: Packet, at: number, cause = packet.id): void {
    const { view } = packet;
    const flags = tcp.flags(view, at);
    if ((flags & tcp.RST) !== 0) return;
    const source = ipv4.destination(view, NETWORK);
    const destination = ipv4.source(view, NETWORK);
    const protocol = ipv4.PROTOCOL_TCP;
    const reply = this.output.begin({
      source,
      destination,
      protocol,
      length: tcp.TCP_HEADER,
      parent: cause || packet.id,
    });
    const acknowledges = (flags & tcp.ACK) !== 0;
    const data = packet.end - at - tcp.headerLength(view, at);
    const taken = data + ((flags & tcp.SYN) !== 0 ? 1 : 0) + ((flags & tcp.FIN) !== 0 ? 1 : 0);
    tcp.write(reply.view, PAYLOAD, {
      source: tcp.destinationPort(view, at),
      destination: tcp.sourcePort(view, at),
      sequence: acknowledges ? tcp.acknowledgement(view, at) : 0,
      acknowledgement: acknowledges ? 0 : (tcp.sequenceNumber(view, at) + taken) | 0,
      flags: acknowledges ? tcp.RST : tcp.RST | tcp.ACK,
      window: 0,
    });
    tcp.setChecksum(reply.view, PAYLOAD, tcp.TCP_HEADER, source, destination);
    this.output.send(reply);
  }
}
