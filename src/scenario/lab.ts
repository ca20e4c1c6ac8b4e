import type { Connection, Tuple } from "../kernel/conntrack/connection.ts";
import type { ConnectionEvent } from "../kernel/conntrack/tracker.ts";
import { parseRules } from "../kernel/netfilter/rule-text.ts";
import { Bridge } from "../link/bridge.ts";
import type { UdpSocket } from "../socket/udp.ts";
import { Capture } from "../trace/capture.ts";
import { DROP_REASONS } from "../trace/reason.ts";
import { type Recorder, ROW } from "../trace/recorder.ts";
import { STEP, WORDS } from "../trace/step.ts";
import { formatIpv4, formatMac, parseIpv4 } from "../wire/address.ts";
import type { World } from "../world/world.ts";
import type { LabCase, LabConnectionEvent, LabFrame, LabResult, LabStep, LabStepResult, LabTrace } from "./lab-case.ts";
import { formatHex, frameBytes, packetBytes, payload } from "./lab-packet.ts";
import { buildLab, splitEnd } from "./lab-world.ts";

const CLASSES: Readonly<Record<string, string>> = {
  host: "host",
  broadcast: "bcast",
  multicast: "mcast",
  otherhost: "other",
};

/** Runs a case and tells all that happened, in the format that the kernel harness answers with. @throws {RangeError}. */
export function runLab(lab: LabCase): LabResult {
  return new Lab(lab).run();
}

/** A case while it runs. */
export class Lab {
  readonly world: World;
  private readonly recorder: Recorder;
  private readonly capture = new Capture();
  private readonly families: ReadonlySet<string>;
  private readonly sockets = new Map<string, UdpSocket>();
  private events: LabConnectionEvent[] = [];
  private seen = 0;
  private framesSeen = 0;

  constructor(private readonly lab: LabCase) {
    this.world = buildLab(lab);
    this.recorder = this.world.fabric.record();
    this.world.fabric.capture = this.capture;
    this.families = new Set(lab.trace ?? ["ip"]);
    for (const [name, { net }] of this.world.hosts)
      net.tracker.listener = (event, connection) => this.events.push(this.connectionEvent(name, event, connection));
  }

  run(): LabResult {
    const steps: LabStepResult[] = [];
    for (const step of this.lab.steps ?? []) {
      const result = this.attempt(step);
      const wait = step.wait_ms ?? this.lab.settle_ms ?? 0;
      this.world.settle();
      if (wait > 0) this.world.run(this.world.fabric.scheduler.now + wait * 1e6);
      steps.push({ step, ...(Object.keys(result).length > 0 ? { result } : {}), ...this.collect() });
    }
    return { name: this.lab.name ?? null, steps, final: this.final() };
  }

  // Steps.

  private attempt(step: LabStep): Record<string, unknown> {
    const { world } = this;
    switch (step.op) {
      case "frame":
        return this.frame(step);
      case "raw": {
        const to = typeof step.to === "string" ? step.to : step.pkt!.ip.dst;
        const { net } = world.host(step.ns!);
        return error(net.sendRaw(packetBytes(step.pkt!), parseIpv4(to), Number(step.opts?.["mark"] ?? 0)));
      }
      case "udp":
        return this.openUdp(step);
      case "tcp":
      case "listen":
      case "accept":
        throw new RangeError("TCP sockets are not modelled yet");
      case "connect":
        return this.withSocket(step, (socket) => {
          const failed = socket.connect(...endpoint(step.to));
          return { err: failed ?? 0 };
        });
      case "send":
        return this.withSocket(step, (socket) => {
          const data = payload(step);
          const to = step.to === undefined ? null : { address: endpoint(step.to)[0], port: endpoint(step.to)[1] };
          const failed = socket.send(data, to);
          return failed === null ? { n: data.length } : { err: failed };
        });
      case "recv":
        return this.withSocket(step, (socket) => this.receive(socket));
      case "errq":
        return this.withSocket(step, (socket) => this.errorQueue(socket));
      case "shutdown":
        return this.withSocket(step, () => ({}));
      case "close":
        return this.withSocket(step, (socket) => {
          socket.close();
          this.sockets.delete(step.id!);
          return {};
        });
      case "sleep":
        world.run(world.fabric.scheduler.now + (step.ms ?? 0) * 1e6);
        return {};
      case "sysctl":
        world.host(step.ns!).net.sysctls.set(step.key!, step.value!);
        return {};
      case "rules":
        world.host(step.ns!).net.netfilter.load(parseRules(step.text!, `${step.ns}.rules`));
        return {};
      case "link": {
        world.device(...splitEnd(step.dev!)).setUp(step.up === true);
        return {};
      }
      case "age":
        this.age(step.ns!, (step.s ?? 0) * 1e9);
        return {};
      case "flushct":
        world.host(step.ns!).net.tracker.flush();
        return {};
      case "state":
        return {
          conntrack: { [step.ns!]: this.connections(step.ns!) },
          neigh: this.neighbours(step.ns!),
          fdb: this.fdb(step.ns!),
        };
      default:
        throw new RangeError(`no step "${step.op}"`);
    }
  }

  private frame(step: LabStep): Record<string, unknown> {
    const device = this.world.device(...splitEnd(step.at!));
    const bytes = frameBytes(step.frame!);
    for (let i = 0; i < (step.count ?? 1); i++) {
      const refused = device.inject(bytes);
      if (refused !== null) return { err: refused };
      this.world.settle();
    }
    return {};
  }

  private openUdp(step: LabStep): Record<string, unknown> {
    const host = this.world.host(step.ns!);
    const opts = step.opts ?? {};
    const device =
      opts["bindtodevice"] === undefined ? undefined : this.world.device(step.ns!, String(opts["bindtodevice"])).index;
    const socket = host.udp.open({
      reuse: true,
      reportErrors: true,
      ...(opts["ttl"] === undefined ? {} : { ttl: Number(opts["ttl"]) }),
      ...(opts["mark"] === undefined ? {} : { mark: Number(opts["mark"]) }),
      ...(opts["pmtudisc"] === undefined ? {} : { discovery: Number(opts["pmtudisc"]) as 0 | 1 | 2 | 3 }),
      ...(device === undefined ? {} : { device }),
      broadcast: Boolean(opts["broadcast"]),
    });
    if (step.bind !== undefined) {
      const failed = socket.bind(parseIpv4(step.bind[0]), step.bind[1]);
      if (failed !== null) return { err: failed };
    }
    if (step.id !== undefined) this.sockets.set(step.id, socket);
    return {};
  }

  private withSocket(step: LabStep, use: (socket: UdpSocket) => Record<string, unknown>): Record<string, unknown> {
    const socket = this.sockets.get(step.id!);
    return socket === undefined ? { err: `no socket '${step.id}'` } : use(socket);
  }

  private receive(socket: UdpSocket): Record<string, unknown> {
    const got: unknown[] = [];
    if (socket.pending !== null) {
      const err = socket.pending;
      socket.pending = null;
      return { got, err };
    }
    // The kernel harness reads until nothing is left or a datagram is empty.
    const empty = socket.received.findIndex(({ data }) => data.length === 0);
    for (const { from, data } of socket.received.splice(0, empty < 0 ? socket.received.length : empty + 1))
      got.push({ from: [formatIpv4(from.address), from.port], len: data.length, hex: formatHex(data.subarray(0, 64)) });
    return { got };
  }

  private errorQueue(socket: UdpSocket): Record<string, unknown> {
    socket.pending = null;
    return {
      errq: socket.errors.splice(0).map(({ errno, error: { type, code, information, from }, to }) => ({
        errno,
        icmp: [type, code],
        info: information,
        offender: formatIpv4(from),
        to: [formatIpv4(to.address), to.port],
      })),
    };
  }

  private age(name: string, nanoseconds: number): void {
    const { tracker } = this.world.host(name).net;
    for (const connection of [...tracker.table]) {
      connection.expires -= nanoseconds;
      if (connection.expires >= this.world.fabric.scheduler.now + 1e9)
        this.events.push(this.connectionEvent(name, "UPDATE", connection));
      else tracker.destroy(connection);
    }
  }

  // What happened.

  private collect() {
    const frames = this.capture.frames.slice(this.framesSeen).map((frame): LabFrame => {
      const name = this.recorder.names.get(frame.place);
      if (name?.kind !== "device") throw new Error("a frame without a device");
      const cls = frame.direction === "in" ? { cls: CLASSES[frame.type] ?? frame.type } : {};
      return { ns: name.namespace, dev: name.device, dir: frame.direction, ...cls, hex: formatHex(frame.bytes) };
    });
    this.framesSeen = this.capture.frames.length;
    const trace: LabTrace[] = [];
    const drops: { reason: string }[] = [];
    const { rows, length } = this.recorder;
    for (let row = this.seen; row < length; row++) {
      const cells = rows.subarray(row * ROW, (row + 1) * ROW);
      if (cells[0] === STEP.dropped) drops.push({ reason: DROP_REASONS[cells[3]!]! });
      else this.traced(cells, trace);
    }
    this.seen = length;
    const events = this.events;
    this.events = [];
    return { frames, trace, ct_events: events, drops };
  }

  private traced(cells: Int32Array, into: LabTrace[]): void {
    const [kind, , place, a, b, c, d, e] = cells as unknown as number[];
    const { names } = this.recorder;
    if (kind === STEP.hook) {
      const name = names.get(place!);
      const family = (e! >> 4) & 1 ? "bridge" : "ip";
      if (name === null || !this.families.has(family)) return;
      const input = names.get(c!);
      const output = names.get(d!);
      const mark = e! >>> 5;
      into.push({
        ns: "namespace" in name ? name.namespace : "",
        family,
        hook: WORDS.hook[a!]!,
        at: WORDS.passage[b!]!,
        ...(input?.kind === "device" ? { iif: input.device } : {}),
        ...(output?.kind === "device" ? { oif: output.device } : {}),
        ...connectionState(WORDS.connectionState[e! & 15]!),
        ...(mark !== 0 ? { mark } : {}),
      });
    } else if ((kind === STEP.rule || kind === STEP.policy) && this.families.has("ip")) {
      const name = names.get(a!);
      if (name?.kind !== "rule" && name?.kind !== "chain") return;
      const to = kind === STEP.rule ? names.get(c!) : null;
      into.push({
        ns: name.namespace,
        family: "ip",
        table: name.table,
        chain: name.chain,
        type: name.kind === "rule" ? "rule" : "policy",
        ...(name.kind === "rule" ? { rule: name.number } : {}),
        verdict: WORDS.verdict[b!]!,
        ...(to?.kind === "chain" ? { to: to.chain } : {}),
      });
    }
  }

  private connectionEvent(ns: string, ev: ConnectionEvent, connection: Connection): LabConnectionEvent {
    const { tcp } = connection;
    const stateNews = ev === "DESTROY" || connection.news.state;
    return {
      ns,
      ev,
      orig: tupleText(connection.original),
      reply: tupleText(connection.reply),
      status: statusNames(connection),
      ...(tcp === null || !stateNews ? {} : { tcp: tcp.state }),
      ...(ev === "DESTROY" ? {} : { timeout: this.left(connection) }),
    };
  }

  private left(connection: Connection): number {
    return Math.max(0, Math.floor((connection.expires - this.world.fabric.scheduler.now) / 1e9));
  }

  private final(): LabResult["final"] {
    const final: LabResult["final"] = { conntrack: {}, counters: {}, neigh: {}, fdb: {} };
    for (const name of this.world.hosts.keys()) {
      final.conntrack[name] = this.connections(name);
      final.counters[name] = this.counters(name);
      final.neigh[name] = this.neighbours(name);
      final.fdb[name] = this.fdb(name);
    }
    return final;
  }

  private connections(name: string): unknown[] {
    const { tracker } = this.world.host(name).net;
    tracker.collect();
    return [...tracker.table].map((connection) => ({
      orig: { ...tupleFields(connection.original), packets: connection.packets[0], bytes: connection.bytes[0] },
      reply: { ...tupleFields(connection.reply), packets: connection.packets[1], bytes: connection.bytes[1] },
      status: statusNames(connection),
      ...(connection.tcp === null ? {} : { tcp_state: connection.tcp.state }),
      timeout: this.left(connection),
      ...(connection.mark === 0 ? {} : { mark: connection.mark >>> 0 }),
    }));
  }

  private counters(name: string): unknown {
    const { tables } = this.world.host(name).net.netfilter;
    const out: Record<string, Record<string, unknown>> = {};
    for (const table of tables.values()) {
      const chains: Record<string, unknown> = {};
      for (const chain of table.chains.values())
        chains[chain.name] = {
          rules: chain.rules.map((rule) => [rule.packets, rule.bytes]),
          ...(chain.policy === null ? {} : { policy: chain.policy, packets: chain.packets, bytes: chain.bytes }),
        };
      out[table.name] = chains;
    }
    return out;
  }

  private neighbours(name: string): unknown[] {
    const found: { dev: string; ip: string; mac: string | null; state: string[] }[] = [];
    for (const { device, neighbours } of this.world.host(name).net.inDevices.values())
      for (const { address, state, macHigh, macLow } of neighbours.values()) {
        if (state === "NOARP") continue;
        const known = macHigh !== 0 || macLow !== 0;
        found.push({
          dev: device.name,
          ip: formatIpv4(address),
          mac: known ? formatMac(macHigh, macLow) : null,
          state: [state],
        });
      }
    return found.sort((a, b) => compare(a.dev, b.dev) || compare(a.ip, b.ip));
  }

  private fdb(name: string): unknown[] {
    const found: { dev: string; mac: string; br: string; state: string }[] = [];
    for (const { device } of this.world.host(name).net.inDevices.values()) {
      if (!(device instanceof Bridge)) continue;
      for (const { high, low, port, kind } of device.fdb)
        found.push({ dev: port?.device.name ?? device.name, mac: formatMac(high, low), br: device.name, state: kind });
    }
    return found.sort((a, b) => compare(a.br, b.br) || compare(a.dev, b.dev) || compare(a.mac, b.mac));
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const error = (errno: string | null): Record<string, unknown> => (errno === null ? {} : { err: errno });

function endpoint(to: LabStep["to"]): [number, number] {
  if (!Array.isArray(to)) throw new RangeError("expected [address, port]");
  return [parseIpv4(to[0]), to[1]];
}

function connectionState(state: string): Record<string, string> {
  if (state === "NONE" || state === "INVALID") return {};
  if (state === "UNTRACKED") return { ct: state };
  const reply = state.endsWith("_REPLY");
  return { ct: reply ? state.slice(0, -6) : state, ctdir: reply ? "reply" : "orig" };
}

function statusNames(connection: Connection): string[] {
  const names: string[] = [];
  if (connection.expected) names.push("EXPECTED");
  if (connection.seenReply) names.push("SEEN_REPLY");
  if (connection.assured) names.push("ASSURED");
  if (connection.confirmed) names.push("CONFIRMED");
  if (connection.sourceNat) names.push("SRC_NAT");
  if (connection.destinationNat) names.push("DST_NAT");
  if (connection.sourceNatDone) names.push("SRC_NAT_DONE");
  if (connection.destinationNatDone) names.push("DST_NAT_DONE");
  if (connection.dying) names.push("DYING");
  return names;
}

function tupleFields({ source, destination, protocol, sourcePort, destinationPort }: Tuple): Record<string, unknown> {
  const base = { src: formatIpv4(source), dst: formatIpv4(destination), proto: protocol };
  if (protocol === 1)
    return { ...base, icmp_id: sourcePort, icmp_type: destinationPort >> 8, icmp_code: destinationPort & 255 };
  if (protocol === 6 || protocol === 17 || protocol === 132 || protocol === 136)
    return { ...base, sport: sourcePort, dport: destinationPort };
  return base;
}

function tupleText(tuple: Tuple): string {
  const { source, destination, protocol, sourcePort, destinationPort } = tuple;
  if (protocol === 1)
    return `${formatIpv4(source)}>${formatIpv4(destination)} icmp ${destinationPort >> 8}/${destinationPort & 255} id=${sourcePort}`;
  return `${formatIpv4(source)}:${sourcePort}>${formatIpv4(destination)}:${destinationPort} p${protocol}`;
}
