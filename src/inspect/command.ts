import { arp } from "./arp.ts";
import { brctl } from "./brctl.ts";
import { bridge } from "./bridge.ts";
import { conntrack } from "./conntrack.ts";
import { docker } from "./docker.ts";
import { cat, hostname, sysctl } from "./file.ts";
import { ifconfig } from "./ifconfig.ts";
import { ip } from "./ip.ts";
import { iptables, iptablesSave } from "./iptables.ts";
import { jq, jsonpp } from "./json.ts";
import type { Machine } from "./machine.ts";
import { netstat } from "./netstat.ts";
import { type Printed, Refusal } from "./printed.ts";
import { ps } from "./ps.ts";
import { route } from "./route.ts";
import { ss } from "./ss.ts";

type Tool = (args: readonly string[], machine: Machine) => Printed | null;

const TOOLS: Readonly<Record<string, Tool>> = {
  arp,
  brctl,
  bridge,
  cat,
  conntrack,
  docker,
  hostname,
  jq,
  jsonpp,
  netstat,
  ps,
  ss,
  sysctl,
  ifconfig,
  ip,
  iptables,
  "iptables-save": iptablesSave,
  route,
};

/** Every tool, by its name. */
export const TOOL_NAMES: readonly string[] = Object.keys(TOOLS).sort();

/** Tools that complain without saying who they are. */
const NAMELESS = new Set(["docker", "ip", "bridge", "brctl", "ifconfig", "iptables"]);

/** Runs one tool; null where there is none of this name. */
export function runTool(name: string, args: readonly string[], machine: Machine): Printed | null {
  const base = name.replace(/^\/(usr\/(local\/)?)?s?bin\//, "");
  const tool = Object.hasOwn(TOOLS, base) ? TOOLS[base]! : null;
  if (tool === null) return null;
  try {
    return tool(args, machine);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const named =
      NAMELESS.has(base) && !error.message.startsWith("hopscope") ? error.message : `${base}: ${error.message}`;
    return { out: "", err: `${named}\n`, status: error.status };
  }
}
