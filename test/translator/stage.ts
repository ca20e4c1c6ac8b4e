import { Fabric } from "../../src/link/fabric.ts";
import { Tap } from "../../src/link/tap.ts";
import { FRAME, NETWORK, type Packet } from "../../src/packet/packet.ts";
import { Pool } from "../../src/packet/pool.ts";
import { DROP_REASONS } from "../../src/trace/reason.ts";
import type { Guest } from "../../src/translator/guest.ts";
import type {
  Endpoint,
  HostDatagramEvents,
  HostListener,
  HostPingEvents,
  HostSockets,
  HostStream,
  HostStreamEvents,
} from "../../src/translator/host-sockets.ts";
import { type Behaviour, PRESETS, type PresetName } from "../../src/translator/preset.ts";
import { Translator, type TranslatorOptions } from "../../src/translator/translator.ts";
import { formatIpv4, formatMac, parseIpv4, parseMac } from "../../src/wire/address.ts";
import * as arp from "../../src/wire/arp.ts";
import * as ethernet from "../../src/wire/ethernet.ts";
import * as icmp from "../../src/wire/icmp.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import { TRANSPORT } from "../frames.ts";

export const GUEST = "192.168.65.3";
export const GATEWAY = "192.168.65.1";
export const HOST = "192.168.65.2";
export const REMOTE = "203.0.113.10";
export const SERVER_MAC = "f6:16:36:bc:f9:c6";
export const GUEST_MAC = "02:50:00:00:00:01";
export const SECOND = 1e9;

export const endpoint = (text: string): Endpoint => {
  const [address, port] = text.split(":");
  return { address: parseIpv4(address!), port: Number(port) };
};
export const format = ({ address, port }: Endpoint): string => `${formatIpv4(address)}:${port}`;

/** A datagram socket of the host that only remembers. */
export class FakeDatagrams {
  readonly sent: { readonly data: Uint8Array; readonly to: string; readonly ttl: number }[] = [];
  closed = false;
  refuses: "ENETUNREACH" | "EHOSTUNREACH" | null = null;

  constructor(
    readonly local: Endpoint,
    readonly peer: Endpoint | null,
    readonly events: HostDatagramEvents,
  ) {}

  send(data: Uint8Array, to: Endpoint, ttl: number) {
    if (this.refuses !== null) return this.refuses;
    this.sent.push({ data: data.slice(), to: format(to), ttl });
    return null;
  }

  close(): void {
    this.closed = true;
  }
}

export class FakePing {
  readonly sent: { readonly data: Uint8Array; readonly to: string; readonly sequence: number; readonly ttl: number }[] =
    [];
  closed = false;

  constructor(
    readonly identifier: number,
    readonly events: HostPingEvents,
  ) {}

  send(data: Uint8Array, to: number, sequence: number, ttl: number) {
    this.sent.push({ data: data.slice(), to: formatIpv4(to), sequence, ttl });
    return null;
  }

  close(): void {
    this.closed = true;
  }
}

/** A host whose sockets do what the test says. */
export class FakeHost implements HostSockets {
  readonly datagramSockets: FakeDatagrams[] = [];
  readonly pings: FakePing[] = [];
  pingAllowed = true;
  private lastPort = 40_000;

  connect(_to: Endpoint, _ttl: number, _events: HostStreamEvents): HostStream | "ECONNREFUSED" {
    return "ECONNREFUSED";
  }

  datagrams(local: Endpoint | null, peer: Endpoint | null, events: HostDatagramEvents): FakeDatagrams {
    const socket = new FakeDatagrams(local ?? { address: 0, port: ++this.lastPort }, peer, events);
    this.datagramSockets.push(socket);
    return socket;
  }

  ping(events: HostPingEvents): FakePing | null {
    if (!this.pingAllowed) return null;
    const socket = new FakePing(1000 + this.pings.length, events);
    this.pings.push(socket);
    return socket;
  }

  listen(): HostListener | "EADDRINUSE" {
    return "EADDRINUSE";
  }
}

/** A frame that the guest got, read for a test. */
export interface Seen {
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly type: number;
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly ttl: number;
  /** From the Ethernet header on. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where the transport header stands in `view`. */
  readonly at: number;
}

const NETWORK_AT = ethernet.ETHERNET_HEADER;

function see(frame: Uint8Array): Seen {
  const bytes = frame.slice();
  const view = new DataView(bytes.buffer);
  const type = ethernet.etherType(view, 0);
  const isArp = type === ethernet.ETHERTYPE_ARP;
  return {
    sourceMac: formatMac(ethernet.sourceHigh(view, 0), ethernet.sourceLow(view, 0)),
    destinationMac: formatMac(ethernet.destinationHigh(view, 0), ethernet.destinationLow(view, 0)),
    type,
    source: formatIpv4(isArp ? arp.senderAddress(view, NETWORK_AT) : ipv4.source(view, NETWORK_AT)),
    destination: formatIpv4(isArp ? arp.targetAddress(view, NETWORK_AT) : ipv4.destination(view, NETWORK_AT)),
    protocol: isArp ? 0 : ipv4.protocol(view, NETWORK_AT),
    ttl: isArp ? 0 : ipv4.ttl(view, NETWORK_AT),
    bytes,
    view,
    at: NETWORK_AT + (isArp ? 0 : ipv4.headerLength(view, NETWORK_AT)),
  };
}

export interface StageOptions extends Partial<Omit<TranslatorOptions, "name" | "host" | "behaviour">> {
  readonly preset?: PresetName;
  readonly behaviour?: Partial<Behaviour>;
  readonly guests?: number;
}

/** A translator with guests on TAPs, and a host that the test plays. */
export class TranslatorStage {
  readonly fabric = new Fabric(1);
  readonly host = new FakeHost();
  readonly translator: Translator;
  readonly taps: Tap[] = [];
  readonly guests: Guest[] = [];
  /** Frames that each guest got. */
  readonly got: Seen[][] = [];
  /** Builds frames without touching the books of the fabric. */
  readonly pool = new Pool();

  constructor({ preset = "vpnkit", behaviour = {}, guests = 1, ...options }: StageOptions = {}) {
    this.translator = new Translator(this.fabric, {
      addresses: PRESETS[preset].addresses,
      ...options,
      behaviour: { ...PRESETS[preset].behaviour, ...behaviour },
      name: "translator",
      host: this.host,
    });
    for (let i = 0; i < guests; i++) {
      const tap = new Tap(this.fabric, { name: `vm${i}`, namespace: "translator", mac: parseMac("02:00:00:00:00:99") });
      const frames: Seen[] = [];
      tap.onFrame = (frame) => frames.push(see(frame));
      this.taps.push(tap);
      this.got.push(frames);
      this.guests.push(this.translator.addGuest(tap));
      tap.setUp(true);
    }
  }

  /** The guest sends a packet built by test/frames.ts. */
  send(packet: Packet, macs: { source?: string; destination?: string; guest?: number } = {}): void {
    const source = parseMac(macs.source ?? GUEST_MAC);
    const destination = macs.destination === undefined ? this.translator.addresses.mac : parseMac(macs.destination);
    ethernet.setSource(packet.view, FRAME, source.high, source.low);
    ethernet.setDestination(packet.view, FRAME, destination.high, destination.low);
    const refused = this.taps[macs.guest ?? 0]!.write(packet.bytes.subarray(FRAME, packet.end));
    if (refused !== null) throw new Error(`the TAP says ${refused}`);
    this.pool.release(packet);
  }

  sendArp(asked: string, sender = GUEST, guest = 0): void {
    const frame = new Uint8Array(NETWORK_AT + arp.ARP_LENGTH);
    const view = new DataView(frame.buffer);
    const mac = parseMac(GUEST_MAC);
    ethernet.setDestination(view, 0, 0xffff, -1);
    ethernet.setSource(view, 0, mac.high, mac.low);
    ethernet.setEtherType(view, 0, ethernet.ETHERTYPE_ARP);
    const nobody = { high: 0, low: 0, address: parseIpv4(asked) };
    arp.write(view, NETWORK_AT, arp.ARP_REQUEST, { ...mac, address: parseIpv4(sender) }, nobody);
    this.taps[guest]!.write(frame);
  }

  /** Frames of the first guest, which it has not looked at yet. */
  take(guest = 0): Seen[] {
    return this.got[guest]!.splice(0);
  }

  /** Lets virtual seconds pass. */
  pass(seconds: number): void {
    this.fabric.scheduler.run(this.fabric.scheduler.now + seconds * SECOND);
  }

  /** How often frames were dropped for each reason. */
  drops(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const [i, count] of this.fabric.drops.entries()) if (count > 0) counts[reasonName(i)] = count;
    return counts;
  }

  /** Every frame has ended. */
  get balanced(): boolean {
    const { injected, generated, cloned, delivered, consumed, dropped } = this.fabric.books;
    return injected + generated + cloned === delivered + consumed + dropped && this.fabric.pool.held === 0;
  }
}

const reasonName = (number: number): string => DROP_REASONS[number]!;

/** What an ICMP error says and quotes. */
export function readError({ view, at, bytes }: Seen) {
  const quoted = at + icmp.ICMP_HEADER;
  return {
    type: icmp.type(view, at),
    code: icmp.code(view, at),
    mtu: icmp.nextHopMtu(view, at),
    valid: icmp.isValid(view, at, bytes.length - at),
    quotedSource: formatIpv4(ipv4.source(view, quoted)),
    quotedDestination: formatIpv4(ipv4.destination(view, quoted)),
    quotedPort: view.getUint16(quoted + ipv4.IPV4_HEADER),
    quotedDestinationPort: view.getUint16(quoted + ipv4.IPV4_HEADER + 2),
  };
}

export { NETWORK, TRANSPORT };
