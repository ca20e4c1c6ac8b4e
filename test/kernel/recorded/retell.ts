import type { Connection, Tuple } from "../../../src/kernel/conntrack/connection.ts";
import { Capture, type CapturedFrame } from "../../../src/trace/capture.ts";
import { type Recorder, ROW } from "../../../src/trace/recorder.ts";
import { STEP, WORDS } from "../../../src/trace/step.ts";
import { formatIpv4 } from "../../../src/wire/address.ts";
import * as arp from "../../../src/wire/arp.ts";
import * as ethernet from "../../../src/wire/ethernet.ts";
import * as icmp from "../../../src/wire/icmp.ts";
import * as ipv4 from "../../../src/wire/ipv4.ts";
import * as tcp from "../../../src/wire/tcp.ts";
import * as udp from "../../../src/wire/udp.ts";
import type { World } from "../../../src/world/world.ts";
import { HookLines } from "./digest.ts";

const IP = ethernet.ETHERNET_HEADER;
const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17 };
const DIRECTIONS: Readonly<Record<string, string>> = { host: "In", broadcast: "B", multicast: "M", otherhost: "P" };

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Listens to a world, and tells what happened in its namespace `host` as the recorder told it of the kernel. */
export class Listener {
  private readonly capture = new Capture();
  private readonly recorder: Recorder;
  private readonly connections: string[] = [];

  constructor(private readonly world: World) {
    this.recorder = world.fabric.record();
    this.recorder.clear();
    world.fabric.capture = this.capture;
    world.host("host").net.tracker.listener = (event, connection) => {
      if (event !== "DESTROY") this.connections.push(`CT  [${event}] ${this.connection(connection)}`);
    };
  }

  /** `protocol` is the one that the recorder traced through the hooks. */
  retell(commandLines: readonly string[], protocol: string): string {
    const crossings = this.framesOf("host").map(({ device, frame }) => deviceLine(device, frame));
    const told = [...commandLines.map((line) => `CMD ${line}`), ...this.connections, ...crossings];
    return [...told, ...this.hooks(PROTOCOLS[protocol]!), ""].join("\n");
  }

  /** What the taps of one namespace saw. */
  framesOf(namespace: string): { device: string; frame: CapturedFrame }[] {
    return this.capture.frames.flatMap((frame) => {
      const name = this.recorder.names.get(frame.place);
      return name?.kind === "device" && name.namespace === namespace ? [{ device: name.device, frame }] : [];
    });
  }

  private connection({ original, reply, seenReply, assured, expires }: Connection): string {
    const protocol = Object.keys(PROTOCOLS).find((name) => PROTOCOLS[name] === original.protocol)!;
    const seconds = (expires - this.world.fabric.scheduler.now) / 1e9;
    return [
      `${protocol.padEnd(8)} ${original.protocol} ${seconds}`,
      tupleText(original),
      ...(seenReply ? [] : ["[UNREPLIED]"]),
      tupleText(reply),
      ...(assured ? ["[ASSURED]"] : []),
    ].join(" ");
  }

  /** The rows of the trace, read as `xtables-monitor --trace` tells them. */
  private hooks(protocol: number): string[] {
    const { rows, length, names } = this.recorder;
    const told = new HookLines();
    /** Each packet as it last looked: as a tap saw it, then as the trace says it was changed. */
    const looks = new Map<number, Uint8Array>();
    let devices: string[] = [];
    let frames = 0;
    for (let row = 0; row < length; row++) {
      const [kind, packet, , a, b, c, d, e] = rows.subarray(row * ROW, (row + 1) * ROW) as unknown as number[];
      const look = looks.get(packet!);
      if (kind === STEP.rx || kind === STEP.tx) looks.set(packet!, this.capture.frames[frames++]!.bytes.slice());
      else if (look === undefined) continue;
      else if (kind === STEP.set && WORDS.field[a!] === "ttl") ipv4.setTtl(viewOf(look), IP, c!);
      else if (kind === STEP.rewrite && WORDS.layer[e!] === "packet") readdress(viewOf(look), a!, c!, d! & 0xffff);
      else if (kind === STEP.hook) {
        const [into, out] = [names.get(c!), names.get(d!)];
        devices = [
          ...(into?.kind === "device" ? [`IN=${into.device}`] : []),
          ...(out?.kind === "device" ? [`OUT=${out.device}`] : []),
        ];
      } else if (kind === STEP.rule || kind === STEP.policy) {
        const name = names.get(a!);
        if (name === null || !("chain" in name) || name.namespace !== "host") continue;
        if (ipv4.protocol(viewOf(look), IP) !== protocol) continue;
        told.packet([...devices, ...packetWords(look)]);
        const to = kind === STEP.rule ? names.get(c!) : null;
        const verdict = `${WORDS.verdict[b!]!.toUpperCase()}${to?.kind === "chain" ? `:${to.chain}` : ""}`;
        const where = `${name.table}:${name.chain}`;
        if (name.kind === "rule") told.line(where, verdict, name.text);
        else told.line(where, `policy:${verdict}`, "");
      }
    }
    return told.lines;
  }
}

function tupleText({ source, destination, protocol, sourcePort, destinationPort }: Tuple): string {
  const addresses = `src=${formatIpv4(source)} dst=${formatIpv4(destination)}`;
  if (protocol !== ipv4.PROTOCOL_ICMP) return `${addresses} sport=${sourcePort} dport=${destinationPort}`;
  return `${addresses} type=${destinationPort >> 8} code=${destinationPort & 255} id=${sourcePort}`;
}

function readdress(view: DataView, manip: number, address: number, port: number): void {
  const source = WORDS.manip[manip] === "source";
  view.setInt32(IP + (source ? 12 : 16), address);
  const transport = IP + ipv4.headerLength(view, IP);
  const isIcmp = ipv4.protocol(view, IP) === ipv4.PROTOCOL_ICMP;
  view.setUint16(transport + (isIcmp ? 4 : source ? 0 : 2), port);
}

const macText = (high: number, low: number): string =>
  [high >> 8, high, low >> 24, low >> 16, low >> 8, low].map((byte) => (byte & 255).toString(16)).join(":");

function packetWords(bytes: Uint8Array): string[] {
  const view = viewOf(bytes);
  const transport = IP + ipv4.headerLength(view, IP);
  const protocol = ipv4.protocol(view, IP);
  const hasPorts = protocol === ipv4.PROTOCOL_TCP || protocol === ipv4.PROTOCOL_UDP;
  return [
    `MACSRC=${macText(ethernet.sourceHigh(view, 0), ethernet.sourceLow(view, 0))}`,
    `MACDST=${macText(ethernet.destinationHigh(view, 0), ethernet.destinationLow(view, 0))}`,
    `SRC=${formatIpv4(ipv4.source(view, IP))}`,
    `DST=${formatIpv4(ipv4.destination(view, IP))}`,
    `LEN=${ipv4.totalLength(view, IP)}`,
    `TOS=0x${ipv4.tos(view, IP).toString(16)}`,
    `TTL=${ipv4.ttl(view, IP)}`,
    `ID=${ipv4.identification(view, IP)}`,
    ...(ipv4.dontFragment(view, IP) ? ["DF"] : []),
    ...(hasPorts ? [`SPORT=${view.getUint16(transport)}`, `DPORT=${view.getUint16(transport + 2)}`] : []),
    ...(protocol === ipv4.PROTOCOL_TCP && tcp.flags(view, transport) & tcp.SYN ? ["SYN"] : []),
  ];
}

/** A line of `tcpdump -i any`; TCP options are left out. */
function deviceLine(device: string, { direction, type, bytes }: CapturedFrame): string {
  const words = direction === "out" ? "Out" : DIRECTIONS[type]!;
  return `DEV ${device.padEnd(5)} ${words.padEnd(3)} ${frameText(bytes)}`;
}

function frameText(bytes: Uint8Array): string {
  const view = viewOf(bytes);
  if (ethernet.etherType(view, 0) === ethernet.ETHERTYPE_ARP) {
    const [sender, target] = [arp.senderAddress(view, IP), arp.targetAddress(view, IP)].map(formatIpv4);
    const length = `length ${bytes.length - IP}`;
    if (arp.operation(view, IP) === arp.ARP_REQUEST) return `ARP, Request who-has ${target} tell ${sender}, ${length}`;
    return `ARP, Reply ${sender} is-at ${macText(arp.senderHigh(view, IP), arp.senderLow(view, IP))}, ${length}`;
  }
  const [source, destination] = [ipv4.source(view, IP), ipv4.destination(view, IP)].map(formatIpv4);
  const at = IP + ipv4.headerLength(view, IP);
  const length = bytes.length - at;
  const protocol = ipv4.protocol(view, IP);
  if (protocol === ipv4.PROTOCOL_ICMP) return `IP ${source} > ${destination}: ${icmpText(view, at, length)}`;
  const ports = `IP ${source}.${view.getUint16(at)} > ${destination}.${view.getUint16(at + 2)}:`;
  if (protocol === ipv4.PROTOCOL_UDP) return `${ports} UDP, length ${length - udp.UDP_HEADER}`;
  const letters = tcp.flags(view, at) === tcp.SYN ? "S" : tcp.formatFlags(tcp.flags(view, at));
  const sequence = tcp.sequenceNumber(view, at) >>> 0;
  const data = length - tcp.headerLength(view, at);
  return `${ports} Flags [${letters}], seq ${sequence}, win ${tcp.window(view, at)}, length ${data}`;
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
  return `ICMP type ${type} code ${code}, length ${length}`;
}
