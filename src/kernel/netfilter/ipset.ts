import { NETWORK, type Packet } from "../../packet/packet.ts";
import { maskOf } from "../../wire/address.ts";
import * as icmp from "../../wire/icmp.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import { PROTOCOL_SCTP, PROTOCOL_UDPLITE } from "./protocol-name.ts";

/** A set of addresses that rules can name with `-m set`. Directions: bit i is set where dimension i is a source. */
export interface IpSet {
  readonly name: string;
  readonly type: "hash:ip" | "hash:net" | "hash:ip,port";
  /** How many directions a rule must give at least. */
  readonly dimensions: number;
  test(packet: Packet, directions: number): boolean;
  /** What `-j SET --add-set` does; `exist` changes what is there already. */
  add(packet: Packet, directions: number, exist: boolean): void;
  remove(packet: Packet, directions: number): void;
}

const addressOf = (packet: Packet, source: boolean): number =>
  source ? ipv4.source(packet.view, NETWORK) : ipv4.destination(packet.view, NETWORK);

/** `hash_ip4_kadt()` of ip_set_hash_ip.c. */
export class IpSetAddresses implements IpSet {
  readonly type = "hash:ip";
  readonly dimensions = 1;
  readonly members = new Set<number>();

  constructor(
    readonly name: string,
    readonly mask: number,
  ) {}

  test(packet: Packet, directions: number): boolean {
    return this.members.has(addressOf(packet, (directions & 1) !== 0) & this.mask);
  }

  add(packet: Packet, directions: number): void {
    const address = addressOf(packet, (directions & 1) !== 0) & this.mask;
    if (address !== 0) this.members.add(address);
  }

  remove(packet: Packet, directions: number): void {
    this.members.delete(addressOf(packet, (directions & 1) !== 0) & this.mask);
  }
}

/** `hash_net4_kadt()` of ip_set_hash_net.c: the longest prefix decides. */
export class IpSetNetworks implements IpSet {
  readonly type = "hash:net";
  readonly dimensions = 1;
  /** By prefix length; true for a member, false for `nomatch`. */
  private readonly members: (Map<number, boolean> | null)[] = new Array(33).fill(null);

  constructor(readonly name: string) {}

  insert(address: number, length: number, match: boolean): void {
    const members = (this.members[length] ??= new Map());
    members.set(address & maskOf(length), match);
  }

  delete(address: number, length: number): void {
    this.members[length]?.delete(address & maskOf(length));
  }

  test(packet: Packet, directions: number): boolean {
    const address = addressOf(packet, (directions & 1) !== 0);
    for (let length = 32; length > 0; length--) {
      const match = this.members[length]?.get(address & maskOf(length));
      if (match !== undefined) return match;
    }
    return false;
  }

  /** Its members but for `nomatch`, the shortest prefix first. */
  networks(): { readonly address: number; readonly length: number }[] {
    return this.members.flatMap((members, length) =>
      [...(members ?? [])].flatMap(([address, match]) => (match ? [{ address, length }] : [])),
    );
  }

  /** A packet's address is taken as a network of the longest prefix that is there. */
  add(packet: Packet, directions: number, exist: boolean): void {
    const length = this.longest;
    const address = addressOf(packet, (directions & 1) !== 0) & maskOf(length);
    if (exist || !this.members[length]?.has(address)) this.insert(address, length, true);
  }

  remove(packet: Packet, directions: number): void {
    const length = this.longest;
    this.members[length]?.delete(addressOf(packet, (directions & 1) !== 0) & maskOf(length));
  }

  private get longest(): number {
    for (let length = 32; length > 0; length--) if ((this.members[length]?.size ?? 0) > 0) return length;
    return 32;
  }
}

/** `hash_ipport4_kadt()` of ip_set_hash_ipport.c. */
export class IpSetPorts implements IpSet {
  readonly type = "hash:ip,port";
  readonly dimensions = 2;
  /** `protocol << 16 | port` by address. */
  private readonly members = new Map<number, Set<number>>();

  constructor(readonly name: string) {}

  insert(address: number, protocol: number, port: number): void {
    const ports = this.members.get(address) ?? new Set();
    ports.add((protocol << 16) | port);
    this.members.set(address, ports);
  }

  test(packet: Packet, directions: number): boolean {
    const ports = this.members.get(addressOf(packet, (directions & 1) !== 0));
    if (ports === undefined) return false;
    const port = portOf(packet, (directions & 2) !== 0);
    return port >= 0 && ports.has((ipv4.protocol(packet.view, NETWORK) << 16) | port);
  }

  add(packet: Packet, directions: number): void {
    const port = portOf(packet, (directions & 2) !== 0);
    if (port >= 0) this.insert(addressOf(packet, (directions & 1) !== 0), ipv4.protocol(packet.view, NETWORK), port);
  }

  remove(packet: Packet, directions: number): void {
    const port = portOf(packet, (directions & 2) !== 0);
    const ports = this.members.get(addressOf(packet, (directions & 1) !== 0));
    if (port >= 0) ports?.delete((ipv4.protocol(packet.view, NETWORK) << 16) | port);
  }
}

/** `ip_set_get_ip4_port()`: 0 for protocols without ports, -1 where the port is not in this packet. */
function portOf(packet: Packet, source: boolean): number {
  const view = packet.view;
  const at = NETWORK + ipv4.headerLength(view, NETWORK);
  switch (ipv4.protocol(view, NETWORK)) {
    case ipv4.PROTOCOL_TCP:
    case ipv4.PROTOCOL_UDP:
    case PROTOCOL_SCTP:
    case PROTOCOL_UDPLITE:
      if (ipv4.fragmentOffset(view, NETWORK) !== 0 || packet.end - at < 4) return -1;
      return view.getUint16(source ? at : at + 2);
    case ipv4.PROTOCOL_ICMP:
      if (ipv4.fragmentOffset(view, NETWORK) !== 0 || packet.end - at < 4) return -1;
      return (icmp.type(view, at) << 8) | icmp.code(view, at);
    default:
      return 0;
  }
}
