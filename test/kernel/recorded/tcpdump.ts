import type { CapturedFrame } from "../../../src/trace/capture.ts";
import { formatIpv4 } from "../../../src/wire/address.ts";
import * as arp from "../../../src/wire/arp.ts";
import * as ethernet from "../../../src/wire/ethernet.ts";
import * as icmp from "../../../src/wire/icmp.ts";
import * as ipv4 from "../../../src/wire/ipv4.ts";
import * as tcp from "../../../src/wire/tcp.ts";
import * as udp from "../../../src/wire/udp.ts";

const IP = ethernet.ETHERNET_HEADER;
const DNS_PORT = 53;
const DIRECTIONS: Readonly<Record<string, string>> = { host: "In", broadcast: "B", multicast: "M", otherhost: "P" };

const macText = (high: number, low: number): string =>
  [high >> 8, high, low >> 24, low >> 16, low >> 8, low].map((byte) => (byte & 255).toString(16)).join(":");

/** Prints frames as `tcpdump -n -i any` does, which on lo shows arrivals alone; TCP options are left out. */
export class Tcpdump {
  /** Of each TCP conversation the numbers before its first bytes, by its two ends in their order. */
  private readonly conversations = new Map<string, { low: number; high: number }>();

  /** `print` is asked of every frame of a namespace, in order. */
  print(device: string, { direction, type, bytes }: CapturedFrame): string {
    const words = direction === "out" ? "Out" : DIRECTIONS[type]!;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return `${device.padEnd(5)} ${words.padEnd(3)} ${this.frame(view, bytes)}`;
  }

  private frame(view: DataView, bytes: Uint8Array): string {
    if (ethernet.etherType(view, 0) === ethernet.ETHERTYPE_ARP) return arpText(view);
    const [source, destination] = [ipv4.source(view, IP), ipv4.destination(view, IP)].map(formatIpv4);
    const at = IP + ipv4.headerLength(view, IP);
    const length = view.byteLength - at;
    const protocol = ipv4.protocol(view, IP);
    if (protocol === ipv4.PROTOCOL_ICMP) return `IP ${source} > ${destination}: ${icmpText(view, at, length)}`;
    const ports = [view.getUint16(at), view.getUint16(at + 2)];
    const [from, to] = [`${source}.${ports[0]}`, `${destination}.${ports[1]}`];
    if (protocol !== ipv4.PROTOCOL_UDP) return `IP ${from} > ${to}: ${this.segment(from, to, view, at)}`;
    const data = at + udp.UDP_HEADER;
    const text = ports.includes(DNS_PORT) ? dnsText(bytes.subarray(data)) : `UDP, length ${view.byteLength - data}`;
    return `IP ${from} > ${to}: ${text}`;
  }

  private segment(from: string, to: string, view: DataView, at: number): string {
    const flags = tcp.flags(view, at);
    const data = view.byteLength - at - tcp.headerLength(view, at);
    let sequence = tcp.sequenceNumber(view, at);
    let acknowledgement = tcp.acknowledgement(view, at);
    if (flags & tcp.ACK) {
      const key = [from, to].sort().join(" ");
      const known = this.conversations.get(key);
      const [mine, other] = from < to ? (["low", "high"] as const) : (["high", "low"] as const);
      if (known === undefined || flags & tcp.SYN) {
        const before = { low: 0, high: 0, [mine]: sequence, [other]: acknowledgement - 1 };
        this.conversations.set(key, before);
      } else {
        sequence -= known[mine];
        acknowledgement -= known[other];
      }
    }
    const range = `${sequence >>> 0}${data > 0 ? `:${(sequence + data) >>> 0}` : ""}`;
    return [
      `Flags [${letters(flags)}]`,
      ...(data > 0 || flags & (tcp.SYN | tcp.FIN | tcp.RST) ? [`seq ${range}`] : []),
      ...(flags & tcp.ACK ? [`ack ${acknowledgement >>> 0}`] : []),
      `win ${tcp.window(view, at)}`,
      `length ${data}`,
    ].join(", ");
  }
}

const letters = (flags: number): string =>
  (
    [
      [tcp.FIN, "F"],
      [tcp.SYN, "S"],
      [tcp.RST, "R"],
      [tcp.PSH, "P"],
      [tcp.ACK, "."],
    ] as const
  )
    .filter(([bit]) => flags & bit)
    .map(([, letter]) => letter)
    .join("");

function arpText(view: DataView): string {
  const [sender, target] = [arp.senderAddress(view, IP), arp.targetAddress(view, IP)].map(formatIpv4);
  const length = `length ${view.byteLength - IP}`;
  if (arp.operation(view, IP) === arp.ARP_REQUEST) return `ARP, Request who-has ${target} tell ${sender}, ${length}`;
  return `ARP, Reply ${sender} is-at ${macText(arp.senderHigh(view, IP), arp.senderLow(view, IP))}, ${length}`;
}

/** A question about one name, or its one address. */
function dnsText(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const id = view.getUint16(0);
  const answers = view.getUint16(6);
  if (answers > 0) return `${id} ${answers}/0/0 A ${formatIpv4(view.getInt32(bytes.length - 4))} (${bytes.length})`;
  let name = "";
  for (let at = 12; bytes[at] !== 0; at += 1 + bytes[at]!)
    name += `${new TextDecoder().decode(bytes.subarray(at + 1, at + 1 + bytes[at]!))}.`;
  return `${id}+ A? ${name} (${bytes.length})`;
}

function icmpText(view: DataView, at: number, length: number): string {
  const [type, code] = [icmp.type(view, at), icmp.code(view, at)];
  if (type === icmp.ECHO_REQUEST || type === icmp.ECHO_REPLY) {
    const kind = type === icmp.ECHO_REQUEST ? "request" : "reply";
    return `ICMP echo ${kind}, id ${icmp.identifier(view, at)}, seq ${icmp.sequence(view, at)}, length ${length}`;
  }
  const quoted = at + icmp.ICMP_HEADER;
  const about = formatIpv4(ipv4.destination(view, quoted));
  if (type === icmp.TIME_EXCEEDED && code === 0) return `ICMP time exceeded in-transit, length ${length}`;
  if (type === icmp.UNREACHABLE && code === icmp.PORT_UNREACHABLE) {
    const port = udp.destinationPort(view, quoted + ipv4.headerLength(view, quoted));
    return `ICMP ${about} udp port ${port} unreachable, length ${length}`;
  }
  if (type === icmp.UNREACHABLE && code === icmp.HOST_UNREACHABLE)
    return `ICMP host ${about} unreachable, length ${length}`;
  if (type === icmp.UNREACHABLE && code === icmp.FRAGMENTATION_NEEDED)
    return `ICMP ${about} unreachable - need to frag (mtu ${view.getUint16(at + 6)}), length ${length}`;
  return `ICMP type ${type} code ${code}, length ${length}`;
}
