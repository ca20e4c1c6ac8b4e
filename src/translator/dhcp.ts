import type { Packet } from "../packet/packet.ts";
import { STEP } from "../trace/step.ts";
import { formatIpv4 } from "../wire/address.ts";
import * as dhcp from "../wire/dhcp.ts";
import * as udp from "../wire/udp.ts";
import type { Guest } from "./guest.ts";
import type { Translator } from "./translator.ts";

const SERVER_PORT = 67;
const CLIENT_PORT = 68;

/** The DHCP server of all guests, `hostnet_dhcp.ml`. */
export class Dhcp {
  /** Addresses by the client's MAC address, a number below 2^48. */
  readonly leases = new Map<number, number>();

  constructor(
    private readonly translator: Translator,
    private readonly searchDomains: readonly string[],
    /** Option 67; null for none. */
    private readonly bootFile: string | null,
  ) {}

  /** A datagram to port 67 or 68 whose UDP header stands at `at`. Takes ownership. */
  receive(packet: Packet, at: number, guest: Guest): void {
    const { view } = packet;
    const message = at + udp.UDP_HEADER;
    const end = Math.min(packet.end, at + udp.length(view, at));
    if (!dhcp.isValid(view, message, end) || dhcp.operation(view, message) !== dhcp.BOOTREQUEST) {
      guest.drop(packet, "DHCP_MALFORMED");
      return;
    }
    const { fabric, place } = this.translator;
    const type = view.getUint8(dhcp.findOption(view, message, end, dhcp.OPTION.messageType, 1));
    const address = type === dhcp.INFORM ? 0 : this.addressFor(packet, message, guest);
    if (address === null) {
      guest.drop(packet, "DHCP_NO_ADDRESS");
      return;
    }
    const answer = this.answerTo(packet, message, end, type, address);
    if (answer !== 0) this.reply(packet, message, guest, answer, address);
    fabric.consume(packet, place, "DHCP");
  }

  /** The client's lease, or a new one; null when there is none left. */
  private addressFor({ view }: Packet, at: number, guest: Guest): number | null {
    const { pool } = this.translator.behaviour.dhcp;
    if (pool === 1) return guest.address;
    const mac = dhcp.hardwareHigh(view, at) * 0x100000000 + (dhcp.hardwareLow(view, at) >>> 0);
    const known = this.leases.get(mac);
    if (known !== undefined) return known;
    const [first, last] = this.translator.addresses.guests;
    const taken = new Set(this.leases.values());
    for (const other of this.translator.guests) if (other !== guest) taken.add(other.address);
    const candidates = [guest.address];
    for (let address = first; address <= Math.min(last, first + pool - 1); address++) candidates.push(address);
    const free = candidates.find((address) => !taken.has(address));
    if (free === undefined) return null;
    this.leases.set(mac, free);
    return free;
  }

  /** The type of message that answers; 0 for none. */
  private answerTo({ view }: Packet, at: number, end: number, type: number, address: number): number {
    const { addresses, behaviour } = this.translator;
    if (type === dhcp.DISCOVER) return dhcp.OFFER;
    if (type === dhcp.INFORM) return dhcp.ACK;
    if (type !== dhcp.REQUEST) return 0;
    const server = dhcp.findOption(view, at, end, dhcp.OPTION.server, 4);
    if (server !== -1 && view.getInt32(server) !== addresses.gateway) return 0;
    const requested = dhcp.findOption(view, at, end, dhcp.OPTION.requestedAddress, 4);
    const wanted = requested === -1 ? dhcp.clientAddress(view, at) : view.getInt32(requested);
    return wanted === address || !behaviour.dhcp.refuses ? dhcp.ACK : dhcp.NAK;
  }

  private reply(packet: Packet, at: number, guest: Guest, type: number, address: number): void {
    const { addresses, fabric, place } = this.translator;
    const { gateway } = addresses;
    const { view } = packet;
    const refused = type === dhcp.NAK;
    const options = [
      { code: dhcp.OPTION.messageType, data: Uint8Array.of(type) },
      dhcp.addressOption(dhcp.OPTION.server, gateway),
      ...(refused ? [] : this.options(address !== 0)),
    ];
    const data = dhcp.formatReply(view, at, refused ? 0 : address, gateway, options);
    const own = dhcp.clientAddress(view, at);
    const to = refused || (own === 0 && dhcp.wantsBroadcast(view, at)) ? -1 : own !== 0 ? own : address;
    if (fabric.trace !== null) {
      const line = refused
        ? "DHCP: no, another address"
        : `DHCP: ${type === dhcp.OFFER ? "offers" : "acknowledges"} ${formatIpv4(address)}`;
      fabric.trace.step(STEP.translator, packet.id, place, fabric.names.text(line));
    }
    guest.output.udp({ address: gateway, port: SERVER_PORT }, { address: to, port: CLIENT_PORT }, data, packet.id);
  }

  private options(leases: boolean): dhcp.DhcpOption[] {
    const { addresses, behaviour } = this.translator;
    const { gateway, network, dns } = addresses;
    const { lease, mtu, ntp, domain } = behaviour.dhcp;
    const { OPTION } = dhcp;
    const text = (letters: string) => Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    const search = dhcp.domainSearch(this.searchDomains);
    return [
      ...(leases ? [dhcp.numberOption(OPTION.lease, lease)] : []),
      ...(domain === null ? [] : [{ code: OPTION.domainName, data: text(domain) }]),
      ...(this.bootFile === null ? [] : [{ code: OPTION.bootFile, data: text(this.bootFile) }]),
      ...(search.length === 0 ? [] : [{ code: OPTION.domainSearch, data: search }]),
      dhcp.addressOption(OPTION.routers, gateway),
      dhcp.addressOption(OPTION.dnsServers, dns),
      ...(ntp ? [dhcp.addressOption(OPTION.ntpServers, gateway)] : []),
      ...(mtu ? [{ code: OPTION.mtu, data: Uint8Array.of(behaviour.mtu >> 8, behaviour.mtu & 255) }] : []),
      dhcp.addressOption(OPTION.broadcast, network.address | ~network.mask),
      dhcp.addressOption(OPTION.subnetMask, network.mask),
    ];
  }
}
