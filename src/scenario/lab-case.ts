import type { FrameSpec, PacketSpec, PayloadSpec } from "./lab-packet.ts";
import type { PolicySpec, RouteSpec } from "./routing.ts";

/** A small network and its stimuli as one JSON value: what the kernel harness and `hopscope lab` both run. */
export interface LabCase {
  name?: string;
  namespaces: Record<string, LabNamespace>;
  veths?: [string, string][];
  /** Families whose hooks are reported; ["ip"] where absent. */
  trace?: string[];
  steps?: LabStep[];
  settle_ms?: number;
}

export interface LabDevice {
  type?: string;
  mac?: string;
  mtu?: number;
  master?: string;
  up?: boolean;
  hairpin?: boolean;
  isolated?: boolean;
  learning?: boolean;
  flood?: boolean;
  mcast_flood?: boolean;
  bcast_flood?: boolean;
  /** Hundredths of a second. */
  ageing?: number;
}

export interface LabNamespace {
  sysctls?: Record<string, string | number>;
  devs?: Record<string, LabDevice>;
  addrs?: [string, string][];
  routes?: (string | RouteSpec)[];
  policy?: PolicySpec[];
  neigh?: [string, string, string][];
  fdb?: [string, string][];
  /** `ipset save` text. */
  ipsets?: string;
  rules?: string;
}

export type LabStep = PayloadSpec & {
  op: string;
  wait_ms?: number;
  at?: string;
  frame?: FrameSpec | string;
  count?: number;
  ns?: string;
  pkt?: PacketSpec;
  id?: string;
  as?: string;
  bind?: [string, number];
  to?: [string, number] | string;
  opts?: Record<string, number | string | boolean>;
  how?: number;
  ms?: number;
  s?: number;
  key?: string;
  value?: number | string;
  text?: string;
  dev?: string;
  up?: boolean;
  /** A command line of a tool such as `ip addr`, or of a program such as `traceroute`. */
  command?: string;
};

export interface LabFrame {
  ns: string;
  dev: string;
  dir: "in" | "out";
  cls?: string;
  hex: string;
}

export type LabTrace = Record<string, string | number | undefined> & { ns: string };

export interface LabConnectionEvent {
  ns: string;
  ev: string;
  orig: string;
  reply: string;
  status: string[];
  tcp?: string;
  sctp?: string;
  timeout?: number;
}

export interface LabStepResult {
  step: LabStep;
  result?: Record<string, unknown>;
  frames: LabFrame[];
  trace: LabTrace[];
  ct_events: LabConnectionEvent[];
  drops: { reason: string }[];
}

export interface LabResult {
  name: string | null;
  /** The release, where a kernel answered. */
  kernel?: string;
  /** When it was given each step, milliseconds since the first. */
  times?: number[];
  steps: LabStepResult[];
  final: {
    conntrack: Record<string, unknown[]>;
    counters: Record<string, unknown>;
    neigh: Record<string, unknown[]>;
    fdb: Record<string, unknown[]>;
  };
}
