import { Lab, runLab } from "../../../src/scenario/lab.ts";
import type {
  LabCase,
  LabFrame,
  LabNamespace,
  LabResult,
  LabStep,
  LabStepResult,
} from "../../../src/scenario/lab-case.ts";
import { formatHex, type PacketSpec } from "../../../src/scenario/lab-packet.ts";
import { type FrameFields, readFrame } from "./frame-text.ts";

/**
 * A router between a client's cable and a server's. Nothing answers behind either cable: what a test wants to arrive it
 * sends itself, and what leaves it reads from `router/eth0` (to the client) and `router/eth1` (to the server).
 */
export const CLIENT = "10.0.1.9";
export const SERVER = "10.0.2.9";
export const INNER = "10.0.1.1";
export const OUTER = "10.0.2.1";
export const CLIENT_MAC = "02:00:00:00:0c:09";
export const SERVER_MAC = "02:00:00:00:05:09";
export const INNER_MAC = "02:00:00:00:01:01";
export const OUTER_MAC = "02:00:00:00:01:02";

export interface RouterOptions extends LabNamespace {
  /** Hook families to trace; ["ip"] where absent. */
  readonly trace?: string[];
  /** Further namespaces and cables. */
  readonly namespaces?: Record<string, LabNamespace>;
  readonly veths?: [string, string][];
}

export function routerCase(steps: LabStep[], options: RouterOptions = {}): LabCase {
  const { trace, namespaces, veths, ...router } = options;
  return {
    namespaces: {
      c: {},
      router: {
        ...router,
        sysctls: { "net.ipv4.ip_forward": 1, ...router.sysctls },
        devs: { eth0: { mac: INNER_MAC }, eth1: { mac: OUTER_MAC }, ...router.devs },
        addrs: [["eth0", `${INNER}/24`], ["eth1", `${OUTER}/24`], ...(router.addrs ?? [])],
        neigh: [["eth0", CLIENT, CLIENT_MAC], ["eth1", SERVER, SERVER_MAC], ...(router.neigh ?? [])],
      },
      s: {},
      ...namespaces,
    },
    veths: [["router/eth0", "c/eth0"], ["router/eth1", "s/eth0"], ...(veths ?? [])],
    ...(trace === undefined ? {} : { trace }),
    steps,
  };
}

export const runRouter = (steps: LabStep[], options: RouterOptions = {}): LabResult =>
  runLab(routerCase(steps, options));

export const run = runLab;

/** A frame with the time at which a tap saw it, in milliseconds of virtual time. */
export interface TimedFrame extends FrameFields {
  readonly at: number;
  readonly device: string;
}

/** Runs a case; answers with the frames that left by one device, and when. */
export function timeline(spec: LabCase, device: string): TimedFrame[] {
  const lab = new Lab(spec);
  lab.run();
  const frames: TimedFrame[] = [];
  for (const { place, direction, time, bytes } of lab.world.fabric.capture!.frames) {
    const name = lab.world.fabric.names.get(place);
    if (name?.kind !== "device" || direction !== "out" || `${name.namespace}/${name.device}` !== device) continue;
    frames.push({ ...readFrame(formatHex(bytes)), at: time / 1e6, device });
  }
  return frames;
}

/** Arrives at the router from the client's side. */
export const fromClient = (packet: PacketSpec, count = 1): LabStep => ({
  op: "frame",
  at: "c/eth0",
  frame: { eth: { src: CLIENT_MAC, dst: INNER_MAC }, ...packet },
  ...(count === 1 ? {} : { count }),
});

/** Arrives at the router from the server's side. */
export const fromServer = (packet: PacketSpec, count = 1): LabStep => ({
  op: "frame",
  at: "s/eth0",
  frame: { eth: { src: SERVER_MAC, dst: OUTER_MAC }, ...packet },
  ...(count === 1 ? {} : { count }),
});

type Ip = Partial<PacketSpec["ip"]>;

/** `udp("10.0.1.9:5000", "10.0.2.9:53")`. */
export function udp(from: string, to: string, ip: Ip = {}, size = 8): PacketSpec {
  const [src, sport] = split(from);
  const [dst, dport] = split(to);
  return { ip: { src, dst, ...ip }, udp: { sport, dport, size } };
}

export function tcp(from: string, to: string, flags: string, rest: PacketSpec["tcp"] = {}, ip: Ip = {}): PacketSpec {
  const [src, sport] = split(from);
  const [dst, dport] = split(to);
  return { ip: { src, dst, ...ip }, tcp: { sport, dport, flags, ...rest } };
}

export const echo = (src: string, dst: string, id = 7, ip: Ip = {}): PacketSpec => ({
  ip: { src, dst, ...ip },
  icmp: { type: 8, id, seq: 1, size: 8 },
});

function split(end: string): [string, number] {
  const [address, port] = end.split(":");
  return [address!, Number(port)];
}

export const sleep = (ms: number): LabStep => ({ op: "sleep", ms });

/** Frames of a step on `namespace/device`, in one direction. */
export function framesOn(frames: readonly LabFrame[], device: string, direction: "in" | "out" = "out"): FrameFields[] {
  return frames
    .filter(({ ns, dev, dir }) => `${ns}/${dev}` === device && dir === direction)
    .map(({ hex }) => readFrame(hex));
}

export const textsOn = (step: LabStepResult, device: string, direction: "in" | "out" = "out"): string[] =>
  framesOn(step.frames, device, direction).map(({ text }) => text);

/** What the router sent to the server, and to the client. */
export const toServer = (step: LabStepResult): string[] => textsOn(step, "router/eth1");
export const toClient = (step: LabStepResult): string[] => textsOn(step, "router/eth0");

export const dropsOf = (step: LabStepResult): string[] => step.drops.map(({ reason }) => reason);

const BASE_CHAINS = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
  security: ["INPUT", "FORWARD", "OUTPUT"],
};

/** The text of one table with all its base chains. */
export function table(name: keyof typeof BASE_CHAINS, ...rules: string[]): string {
  const chains = BASE_CHAINS[name].map((chain) => `:${chain} ACCEPT [0:0]`);
  return [`*${name}`, ...chains, ...rules, "COMMIT", ""].join("\n");
}

/** A filter table whose one rule does nothing but make the kernel track connections. */
export const TRACKING = table("filter", "-A FORWARD -m conntrack --ctstate UNTRACKED -j ACCEPT");

/** Every base chain of every table, and conntrack on. */
export const ALL_TABLES = [table("raw"), table("mangle"), table("nat"), TRACKING, table("security")].join("");

/** One line for each base chain that a step's packets went through: `filter FORWARD`. */
export const chainsOf = (step: LabStepResult): string[] =>
  step.trace.filter(({ type }) => type === "policy").map(({ table, chain }) => `${table} ${chain}`);

/** How often a rule was hit: table, chain, number from 1. */
export function hits(result: LabResult, chain: string, rule: number, tableName = "filter", ns = "router"): number {
  const counters = result.final.counters[ns] as Record<string, Record<string, { rules: [number, number][] }>>;
  return counters[tableName]![chain]!.rules[rule - 1]![0];
}

interface FlowFields {
  readonly src: string;
  readonly dst: string;
  readonly proto: number;
  readonly sport?: number;
  readonly dport?: number;
  readonly icmp_id?: number;
  readonly icmp_type?: number;
  readonly packets: number;
}

export interface Entry {
  readonly orig: FlowFields;
  readonly reply: FlowFields;
  readonly status: readonly string[];
  readonly tcp_state?: string;
  readonly timeout: number;
}

/** The conntrack table at the end. */
export const entries = (result: LabResult, ns = "router"): Entry[] => result.final.conntrack[ns] as Entry[];

export const stateOf = (ns = "router"): LabStep => ({ op: "state", ns });

/** The conntrack table at a `state` step. */
export function entriesAt(step: LabStepResult, ns = "router"): Entry[] {
  const { conntrack } = step.result as { conntrack: Record<string, Entry[]> };
  return conntrack[ns]!;
}

export interface NeighbourLine {
  readonly dev: string;
  readonly ip: string;
  readonly mac: string | null;
  readonly state: readonly string[];
}

export const neighboursAt = (step: LabStepResult): NeighbourLine[] => (step.result as { neigh: NeighbourLine[] }).neigh;
