import type { Connection, Tuple } from "../../../src/kernel/conntrack/connection.ts";
import { Capture, type CapturedFrame } from "../../../src/trace/capture.ts";
import type { Recorder } from "../../../src/trace/recorder.ts";
import { type PacketTrace, readTrace, type Trace } from "../../../src/trace/trace.ts";
import { formatXtables } from "../../../src/trace/xtables-monitor.ts";
import { formatIpv4 } from "../../../src/wire/address.ts";
import * as ipv4 from "../../../src/wire/ipv4.ts";
import type { World } from "../../../src/world/world.ts";
import { hookLines } from "./digest.ts";
import { RecordedTcpdump } from "./tcpdump.ts";

const PROTOCOLS = { icmp: 1, tcp: 6, udp: 17 } as const;

export type Protocol = keyof typeof PROTOCOLS;

/** Listens to a world, and tells what happened in one of its namespaces as the recorder told it of the kernel. */
export class Listener {
  private readonly capture = new Capture();
  private readonly recorder: Recorder;
  private readonly connections: string[] = [];

  constructor(
    private readonly world: World,
    private readonly namespace: string,
  ) {
    this.recorder = world.fabric.record();
    this.recorder.clear();
    world.fabric.capture = this.capture;
    world.host(namespace).net.tracker.listener = (event, connection) => {
      this.connections.push(`CT  [${event}] ${this.connection(connection)}`);
    };
  }

  /** `protocol` is the one that the recorder traced through the hooks. */
  retell(commandLines: readonly string[], protocol: Protocol): string {
    const tcpdump = new RecordedTcpdump();
    return [
      ...commandLines.map((line) => `CMD ${line}`),
      ...this.connections,
      ...this.framesOf(this.namespace)
        .filter(({ device, frame }) => device !== "lo" || frame.direction === "in")
        .map(({ device, frame }) => `DEV ${tcpdump.print(device, frame)}`),
      ...hooksOf(readTrace(this.recorder), this.namespace, protocol),
      "",
    ].join("\n");
  }

  /** What the taps of one namespace saw. */
  framesOf(namespace: string): { device: string; frame: CapturedFrame }[] {
    return this.capture.frames.flatMap((frame) => {
      const name = this.recorder.names.get(frame.place);
      return name?.kind === "device" && name.namespace === namespace ? [{ device: name.device, frame }] : [];
    });
  }

  private connection({ original, reply, seenReply, assured, expires, tcp }: Connection): string {
    const protocol = Object.entries(PROTOCOLS).find(([, number]) => number === original.protocol)![0];
    const seconds = (expires - this.world.fabric.scheduler.now) / 1e9;
    return [
      `${protocol.padEnd(8)} ${original.protocol} ${seconds}`,
      ...(tcp === null ? [] : [tcp.state]),
      tupleText(original),
      ...(seenReply ? [] : ["[UNREPLIED]"]),
      tupleText(reply),
      ...(assured ? ["[ASSURED]"] : []),
    ].join(" ");
  }
}

/** What the hooks of a namespace said of the packets of one protocol. */
export function hooksOf(trace: Trace, namespace: string, protocol: Protocol): string[] {
  const packets = trace.packets.filter((packet) => protocolOf(packet) === PROTOCOLS[protocol]);
  const told = formatXtables({ ...trace, packets }, { namespace });
  return hookLines(told.split("\n").filter((line) => line !== ""));
}

function protocolOf({ hops }: PacketTrace): number | null {
  for (const { steps } of hops) for (const step of steps) if (step.kind === "ipv4") return step.protocol;
  return null;
}

function tupleText({ source, destination, protocol, sourcePort, destinationPort }: Tuple): string {
  const addresses = `src=${formatIpv4(source)} dst=${formatIpv4(destination)}`;
  if (protocol !== ipv4.PROTOCOL_ICMP) return `${addresses} sport=${sourcePort} dport=${destinationPort}`;
  return `${addresses} type=${destinationPort >> 8} code=${destinationPort & 255} id=${sourcePort}`;
}
