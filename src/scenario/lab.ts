import { runTool, TOOL_NAMES } from "../inspect/command.ts";
import { parseRules } from "../kernel/netfilter/rule-text.ts";
import { splitWords } from "../program/command-line.ts";
import { PROGRAMS, parseCommand } from "../program/commands.ts";
import { Capture } from "../trace/capture.ts";
import { DROP_REASONS } from "../trace/reason.ts";
import { type Recorder, ROW } from "../trace/recorder.ts";
import { STEP } from "../trace/step.ts";
import { parseIpv4 } from "../wire/address.ts";
import type { World } from "../world/world.ts";
import type { LabCase, LabConnectionEvent, LabFrame, LabResult, LabStep, LabStepResult, LabTrace } from "./lab-case.ts";
import { LabFault, located } from "./lab-fault.ts";
import {
  bridgeEntries,
  connectionEvent,
  connections,
  counters,
  neighbours,
  protocolState,
  traceRecord,
} from "./lab-observation.ts";
import { formatHex, frameBytes, packetBytes } from "./lab-packet.ts";
import { LabSockets } from "./lab-sockets.ts";
import { buildLab, splitEnd } from "./lab-world.ts";

const CLASSES: Readonly<Record<string, string>> = {
  host: "host",
  broadcast: "bcast",
  multicast: "mcast",
  otherhost: "other",
};

/** How long a program may run, in nanoseconds. */
const LONGEST = 120e9;
const LINE = { file: "", line: 1, column: 1 };

/** What each step cannot do without. */
const REQUIRED: Readonly<Record<string, readonly (keyof LabStep)[]>> = {
  frame: ["at", "frame"],
  raw: ["ns", "pkt"],
  udp: ["ns"],
  tcp: ["ns"],
  listen: ["ns"],
  accept: ["id"],
  connect: ["id", "to"],
  send: ["id"],
  recv: ["id"],
  errq: ["id"],
  shutdown: ["id"],
  close: ["id"],
  sleep: ["ms"],
  sysctl: ["ns", "key", "value"],
  rules: ["ns", "text"],
  link: ["dev", "up"],
  age: ["ns", "s"],
  flushct: ["ns"],
  state: ["ns"],
  tool: ["ns", "command"],
};

/** Runs a case and tells all that happened, in the format that the kernel harness answers with. @throws {LabFault}. */
export function runLab(lab: LabCase, seed?: number, times?: readonly number[]): LabResult {
  return new Lab(lab, seed).run(times);
}

/** A case while it runs. */
export class Lab {
  readonly world: World;
  private readonly recorder: Recorder;
  private readonly capture = new Capture(true);
  private readonly families: ReadonlySet<string>;
  private readonly sockets: LabSockets;
  private events: LabConnectionEvent[] = [];
  private seen = 0;
  private framesSeen = 0;

  constructor(
    private readonly lab: LabCase,
    seed?: number,
  ) {
    this.world = buildLab(lab, seed);
    this.sockets = new LabSockets(this.world);
    this.recorder = this.world.fabric.record();
    this.world.fabric.capture = this.capture;
    this.families = new Set(lab.trace ?? ["ip"]);
    for (const [name, { net }] of this.world.hosts)
      net.tracker.listener = (event, connection) =>
        this.events.push(connectionEvent(name, event, connection, this.now));
  }

  private get now(): number {
    return this.world.fabric.scheduler.now;
  }

  /** Each step follows the one before it at once, or begins at its time, milliseconds since the first. */
  run(times: readonly number[] = []): LabResult {
    const steps: LabStepResult[] = [];
    const began = this.now;
    for (const [i, step] of (this.lab.steps ?? []).entries()) {
      const time = began + Math.round((times[i] ?? 0) * 1e6);
      if (time > this.now) this.world.run(time);
      const result = located(["steps", i], `a step that can be done: ${step.op}`, () => this.attempt(step, i));
      const wait = step.wait_ms ?? this.lab.settle_ms ?? 0;
      this.world.settle();
      if (wait > 0) this.world.run(this.now + wait * 1e6);
      steps.push({ step, ...(Object.keys(result).length > 0 ? { result } : {}), ...this.collect() });
    }
    return { name: this.lab.name ?? null, steps, final: this.final() };
  }

  // Steps.

  private attempt(step: LabStep, i: number): Record<string, unknown> {
    const { world } = this;
    for (const key of Object.hasOwn(REQUIRED, step.op) ? REQUIRED[step.op]! : [])
      if (step[key] === undefined) throw new LabFault(["steps", i], `a step ${step.op} with ${key}`);
    switch (step.op) {
      case "frame":
        return this.frame(step);
      case "raw": {
        const to = typeof step.to === "string" ? step.to : step.pkt!.ip.dst;
        const { net } = world.host(step.ns!);
        const { mark = 0, broadcast = false } = step.opts ?? {};
        return error(net.sendRaw(packetBytes(step.pkt!), parseIpv4(to), Number(mark), Boolean(broadcast)));
      }
      case "udp":
        return this.sockets.udp(step);
      case "tcp":
        return this.sockets.tcp(step);
      case "listen":
        return this.sockets.listen(step);
      case "connect":
      case "accept":
      case "send":
      case "recv":
      case "errq":
      case "shutdown":
      case "close":
        return this.sockets.use(step);
      case "sleep":
        world.run(this.now + (step.ms ?? 0) * 1e6);
        return {};
      case "sysctl":
        world.host(step.ns!).net.sysctls.set(step.key!, step.value!);
        return {};
      case "rules":
        world.host(step.ns!).net.netfilter.load(parseRules(step.text!, `${step.ns}.rules`));
        return {};
      case "link": {
        world.device(...splitEnd(step.dev!)).setUp(Boolean(step.up));
        return {};
      }
      case "age":
        this.age(step.ns!, step.s ?? 0);
        return {};
      case "flushct":
        world.host(step.ns!).net.tracker.flush();
        return {};
      case "tool":
        return this.tool(step, i);
      case "state":
        return {
          conntrack: { [step.ns!]: connections(world.host(step.ns!).net, this.now) },
          neigh: neighbours(world.host(step.ns!).net),
          fdb: bridgeEntries(world.host(step.ns!).net),
        };
      default:
        throw new LabFault(["steps", i, "op"], `a step (${Object.keys(REQUIRED).join(", ")})`);
    }
  }

  private tool(step: LabStep, i: number): Record<string, unknown> {
    const machine = { world: this.world, host: this.world.host(step.ns!), docker: null };
    const [name = "", ...words] = splitWords(step.command!, LINE).map(({ text }) => text);
    const printed = runTool(name, words, machine);
    if (printed !== null) return { ...printed };
    if (!PROGRAMS.includes(name)) throw new RangeError(`no tool ${name} (${[...TOOL_NAMES, ...PROGRAMS].join(", ")})`);
    return this.program(step, i);
  }

  /** Runs a program to its end. */
  private program({ ns, command }: LabStep, i: number): Record<string, unknown> {
    const host = this.world.host(ns!);
    const { scheduler } = this.world.fabric;
    const printed: { out: string; err: string; status: number | null } = { out: "", err: "", status: null };
    parseCommand(command!, LINE).start({
      ...host,
      scheduler,
      random: host.net.random.fork(`step ${i}`),
      say: (line) => {
        printed.out += `${line}\n`;
      },
      exit: (status) => {
        printed.status = status;
      },
    });
    this.world.settle();
    for (const end = this.now + LONGEST; printed.status === null; this.world.run(this.now + 1e6))
      if (this.now > end) throw new RangeError(`${command} does not end within two minutes`);
    return printed;
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

  /** A kernel takes whole seconds, of which the one under way has begun already. */
  private age(name: string, seconds: number): void {
    const { tracker } = this.world.host(name).net;
    for (const connection of [...tracker.table]) {
      if (connection.news.created) continue;
      const left = Math.ceil((connection.expires - this.now) / 1e9) - 1 - seconds;
      if (left <= 0) {
        tracker.destroy(connection);
        continue;
      }
      connection.expires = this.now + left * 1e9;
      // `ctnetlink_change_conntrack()` tells the whole of it.
      this.events.push({ ...connectionEvent(name, "UPDATE", connection, this.now), ...protocolState(connection) });
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
    const { rows, length, names } = this.recorder;
    for (let row = this.seen; row < length; row++) {
      const cells = rows.subarray(row * ROW, (row + 1) * ROW);
      const record = traceRecord(names, cells, this.families);
      if (record !== null) trace.push(record);
      else if (cells[0] === STEP.dropped) drops.push({ reason: DROP_REASONS[cells[3]!]! });
    }
    this.seen = length;
    // The kernel tells each namespace of its own connections alone.
    const events = [...this.world.hosts.keys()].flatMap((name) => this.events.filter(({ ns }) => ns === name));
    this.events = [];
    return { frames, trace, ct_events: events, drops };
  }

  private final(): LabResult["final"] {
    const final: LabResult["final"] = { conntrack: {}, counters: {}, neigh: {}, fdb: {} };
    for (const [name, { net }] of this.world.hosts) {
      final.conntrack[name] = connections(net, this.now);
      final.counters[name] = counters(net);
      final.neigh[name] = neighbours(net);
      final.fdb[name] = bridgeEntries(net);
    }
    return final;
  }
}

const error = (errno: string | null): Record<string, unknown> => (errno === null ? {} : { err: errno });
