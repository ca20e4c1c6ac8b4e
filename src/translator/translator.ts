import type { Errno } from "../kernel/protocol.ts";
import type { Device } from "../link/device.ts";
import type { Fabric } from "../link/fabric.ts";
import type { Packet } from "../packet/packet.ts";
import type { Random } from "../sim/random.ts";
import type { ConnectionOptions } from "../tcp/connection.ts";
import type { Mac } from "../wire/address.ts";
import { CaptureRings } from "./capture-rings.ts";
import { Dhcp } from "./dhcp.ts";
import { DnsForwarder, type DnsOptions } from "./dns-forwarder.ts";
import { dnsStreamService } from "./dns-stream.ts";
import { Guest } from "./guest.ts";
import type { Endpoint, HostSockets } from "./host-sockets.ts";
import { type ProxyOptions, proxyFor } from "./http-proxy.ts";
import type { Role } from "./impersonation.ts";
import type { LocalService } from "./local-service.ts";
import { type Addresses, answerTo, type Behaviour } from "./preset.ts";
import { unreachable } from "./udp-flows.ts";

/** 127.0.0.1 */
const LOOPBACK = 0x7f000001;
const PREFIX_5255 = 0x5255;
const DNS = 53;

/** A port of the gateway that leads elsewhere, `--gateway-forwards`. */
export interface GatewayForward {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  readonly to: Endpoint;
}

export interface TranslatorOptions {
  readonly name: string;
  readonly behaviour: Behaviour;
  readonly addresses: Addresses;
  /** The machine that it runs on. */
  readonly host: HostSockets;
  readonly forwards?: readonly GatewayForward[];
  readonly dns?: DnsOptions;
  /** Without it there are no proxies. */
  readonly proxy?: ProxyOptions;
  /** Names that DHCP option 119 lists. */
  readonly searchDomains?: readonly string[];
  /** What DHCP option 67 tells a machine to boot: a URL for iPXE. */
  readonly bootFile?: string | null;
  /** Keeps what vpnkit serves as `capture/*.pcap`. */
  readonly capture?: boolean;
}

/**
 * Ethernet in, sockets out: frames of guests end here, and sockets of the host speak in their place; what the host
 * hears goes to the guests in frames that seem to come from whom it was.
 */
export class Translator {
  readonly name: string;
  readonly behaviour: Behaviour;
  readonly addresses: Addresses;
  readonly host: HostSockets;
  /** This translator in the trace's names. */
  readonly place: number;
  readonly guests: Guest[] = [];
  readonly rings: CaptureRings | null;
  readonly dhcp: Dhcp;
  readonly dns: DnsForwarder;
  readonly random: Random;
  private readonly dnsStream: LocalService;
  private readonly proxy: ProxyOptions | null;
  readonly forwards: readonly GatewayForward[];
  /** What all impersonated hosts' TCP has in common. */
  readonly tcp: { readonly options: ConnectionOptions; readonly random: Random };
  /** TCP flows of all guests, and those whose SYN waits for the host. */
  tcpFlows = 0;
  halfOpen = 0;
  private lastFlow = 0;

  constructor(
    readonly fabric: Fabric,
    options: TranslatorOptions,
  ) {
    this.name = options.name;
    this.behaviour = options.behaviour;
    this.addresses = options.addresses;
    this.host = options.host;
    const dns = options.dns ?? { servers: [], hosts: () => [] };
    this.forwards = [...(options.forwards ?? []), ...this.redirected(dns.servers)];
    this.random = fabric.random.fork(`translator/${options.name}`);
    this.place = fabric.names.add({ kind: "namespace", namespace: options.name });
    this.rings = options.capture === true ? new CaptureRings(fabric.scheduler) : null;
    // vpnkit: no Nagle, no keep-alive.
    this.tcp = {
      options: { mtu: options.behaviour.mtu, noDelay: true },
      random: this.random.fork("tcp"),
    };
    this.dhcp = new Dhcp(this, options.searchDomains ?? [], options.bootFile ?? null);
    this.dns = new DnsForwarder(this, dns);
    this.dnsStream = dnsStreamService(this.dns);
    this.proxy = options.proxy ?? null;
  }

  /** DNS as a port that leads to the first server, where the preset has no forwarder of its own. */
  private redirected([server]: readonly Endpoint[]): GatewayForward[] {
    if (!this.behaviour.dns.redirects || server === undefined) return [];
    return [
      { protocol: "udp", port: DNS, to: server },
      { protocol: "tcp", port: DNS, to: server },
    ];
  }

  /** Virtual nanoseconds. */
  get now(): number {
    return this.fabric.scheduler.now;
  }

  /** Plugs a guest in: `device` is the translator's end of its cable. @throws {RangeError} when all addresses are taken. */
  addGuest(device: Device): Guest {
    const [first, last] = this.addresses.guests;
    const address = first + this.guests.length;
    if (address > last) throw new RangeError(`translator ${this.name} has no address for another guest`);
    const guest = new Guest(this, device, address);
    this.guests.push(guest);
    return guest;
  }

  nextFlow(): number {
    return ++this.lastFlow;
  }

  // The switch between guests.

  /** The MAC address of what plays `address`. */
  macOf(address: number): Mac {
    return this.behaviour.macFromAddress && address === this.addresses.dns
      ? { high: PREFIX_5255, low: address }
      : this.addresses.mac;
  }

  isOwnMac(high: number, low: number): boolean {
    const { mac } = this.addresses;
    return (high === mac.high && low === mac.low) || (this.behaviour.macFromAddress && high === PREFIX_5255);
  }

  /** Who has an address, for ARP: what the translator itself plays, and its guests; null for all others. */
  macOfTable(address: number, asking: Guest): Mac | null {
    const { gateway, host, dns } = this.addresses;
    if (address === gateway || address === host || address === dns) return this.macOf(address);
    for (const guest of this.guests)
      if (guest !== asking && guest.address === address && (guest.macHigh !== 0 || guest.macLow !== 0))
        return { high: guest.macHigh, low: guest.macLow };
    return null;
  }

  /** A copy of a broadcast to every other guest. Borrows the packet. */
  flood(packet: Packet, from: Guest): void {
    if (!this.behaviour.floods.broadcast) return;
    for (const guest of this.guests) if (guest !== from) guest.transmit(this.fabric.clone(packet, this.place));
  }

  /** A frame from one guest to another, or to nobody known. Takes ownership. */
  bridge(packet: Packet, from: Guest, high: number, low: number): void {
    for (const guest of this.guests)
      if (guest !== from && guest.macHigh === high && guest.macLow === low) {
        guest.transmit(packet);
        return;
      }
    const others = this.guests.filter((guest) => guest !== from);
    if (!this.behaviour.floods.unknown || others.length === 0) {
      this.fabric.drop(packet, this.place, "NO_TX_TARGET");
      return;
    }
    for (const guest of others.slice(1)) guest.transmit(this.fabric.clone(packet, this.place));
    others[0]!.transmit(packet);
  }

  // Inside and outside.

  /** What the translator itself does with a TCP connection to `to`; null where the host connects. */
  serviceFor(to: Endpoint, role: Role): LocalService | null {
    if (to.port === DNS && to.address === this.addresses.dns && !this.behaviour.dns.redirects) return this.dnsStream;
    return this.proxy === null || role === "host" ? null : proxyFor(this, this.proxy, to, role === "remote");
  }

  roleOf(address: number): Role {
    if (address === this.addresses.host) return "host";
    return address === this.addresses.gateway || address === this.addresses.dns ? "gateway" : "remote";
  }

  /** Where the host connects to for a guest that wants `to`; null where the gateway serves nothing. */
  outsideOf(to: Endpoint, role: Role, protocol: "tcp" | "udp"): Endpoint | null {
    if (role === "remote") return to;
    if (role === "host") return { address: LOOPBACK, port: to.port };
    return this.forwards.find((forward) => forward.protocol === protocol && forward.port === to.port)?.to ?? null;
  }

  /** The name by which a guest knows an address of the host's: its loopback is another machine to the guest. */
  seenFromInside(address: number): number {
    return address === LOOPBACK ? (this.addresses.host ?? address) : address;
  }

  /** The ICMP error for an echo request or a datagram that the host refuses to send; null for silence. */
  answerToRefusal(errno: Errno) {
    const answer = answerTo(this.behaviour.udp.refused, errno);
    return typeof answer === "object" ? unreachable(answer.code) : null;
  }
}
