import { stringify } from "yaml";
import { formatMac } from "../wire/address.ts";
import { ETHERNET_HEADER } from "../wire/ethernet.ts";
import { SCENARIO, type StepSpec } from "./format.ts";
import type { LabCase, LabNamespace, LabStep } from "./lab-case.ts";
import { formatHex, frameBytes } from "./lab-packet.ts";
import { buildLab } from "./lab-world.ts";
import type { PolicySpec, RouteSpec } from "./routing.ts";

/** A scenario's text, and by name what the case says that a scenario cannot. */
export interface ToScenario {
  readonly yaml: string;
  readonly lost: readonly string[];
}

const PORT_OPTIONS = ["learning", "flood", "mcast_flood", "bcast_flood"] as const;
/** Steps that only look: a scenario tells everything anyhow. */
const LOOKS = new Set(["recv", "errq", "state", "close", "shutdown"]);

/** A case as a scenario. @throws {LabFault}. */
export function scenarioFromLab(lab: LabCase): ToScenario {
  return new Converter(lab).convert();
}

class Converter {
  private readonly lost: string[] = [];
  private readonly steps: StepSpec[] = [];
  private readonly sockets = new Map<string, LabStep>();
  /** TCP sockets that a program has; it does all that it does with them. */
  private readonly streams = new Set<string | undefined>();
  /** Milliseconds to wait before the next step. */
  private pause = 0;

  constructor(private readonly lab: LabCase) {}

  convert(): ToScenario {
    const { lab } = this;
    const world = buildLab(lab);
    const namespaces: Record<string, unknown> = {};
    for (const [name, spec] of Object.entries(lab.namespaces)) {
      const devices: Record<string, Record<string, unknown>> = {};
      for (const { device } of world.host(name).net.inDevices.values()) {
        const { ageing, type, ...given } = spec.devs?.[device.name] ?? {};
        for (const key of PORT_OPTIONS)
          if (given[key] !== undefined) {
            this.lost.push(`namespaces.${name}.devs.${device.name}.${key}`);
            delete given[key];
          }
        const addresses = (spec.addrs ?? []).filter(([where]) => where === device.name).map(([, address]) => address);
        const mac = device.name === "lo" ? {} : { mac: formatMac(device.macHigh, device.macLow) };
        devices[device.name] = {
          ...(type === undefined || type === "veth" ? {} : { type }),
          ...given,
          ...mac,
          ...(ageing === undefined ? {} : { ageing: `${ageing * 10}ms` }),
          ...(addresses.length === 0 ? {} : { addresses }),
        };
      }
      // A scenario makes lo itself.
      const own = devices["lo"]?.["addresses"];
      if (own !== undefined) this.lost.push(`namespaces.${name}.addrs: addresses of lo (${own})`);
      delete devices["lo"];
      namespaces[name] = { devices, ...this.layer3(spec) };
    }
    if (lab.trace?.includes("bridge")) this.lost.push("trace: a scenario's trace has every hook");
    for (const [i, step] of (lab.steps ?? []).entries()) this.step(step, i);
    const spec = {
      title: lab.name ?? "A lab case",
      namespaces,
      links: (lab.veths ?? []).map((ends) => ({ ends })),
      ...(this.steps.length === 0 ? {} : { steps: this.steps }),
    };
    SCENARIO.parse(spec);
    return { yaml: stringify(spec, { flowCollectionPadding: true, lineWidth: 110 }), lost: this.lost };
  }

  private layer3({ sysctls, routes, policy, neigh, fdb, ipsets, rules }: LabNamespace): Record<string, unknown> {
    return {
      ...(sysctls === undefined ? {} : { sysctls }),
      ...(routes === undefined
        ? {}
        : { routes: routes.map((route) => (typeof route === "string" ? route : routeText(route))) }),
      ...(policy === undefined ? {} : { policy: policy.map(policyText) }),
      ...(neigh === undefined
        ? {}
        : { neighbours: neigh.map(([device, ip, mac]) => `${ip} lladdr ${mac} dev ${device}`) }),
      ...(fdb === undefined ? {} : { fdb: fdb.map(([device, mac]) => `${mac} dev ${device}`) }),
      ...(ipsets === undefined ? {} : { ipsets }),
      ...(rules === undefined || rules === "" ? {} : { rules }),
    };
  }

  // Steps.

  private add(step: StepSpec): void {
    this.steps.push(this.pause === 0 ? step : { after: `${this.pause}ms`, ...step });
    this.pause = 0;
  }

  /** A socket that hears before it speaks is a server, and hopscope's echoes. */
  private isServer(id: string | undefined): boolean {
    const uses = (this.lab.steps ?? []).filter(
      (step) => step.id === id && ["recv", "send", "connect"].includes(step.op),
    );
    return uses[0]?.op === "recv" && uses.some(({ op }) => op === "send");
  }

  private open(step: LabStep, i: number): void {
    const [address, port] = step.bind ?? ["", 0];
    if (port !== 0 && this.isServer(step.id)) {
      this.lost.push(`steps.${i}: what ${step.id} sends; instead it echoes what it hears`);
      const run = `udp-echo-server ${address === "0.0.0.0" ? "" : `-b ${address} `}${port}`;
      this.add({ in: step.ns!, name: step.id!, run });
    } else this.sockets.set(step.id ?? "", step);
    const speaks = (this.lab.steps ?? []).some(({ op, id }) => id === step.id && op === "send");
    if (!speaks) this.lost.push(`steps.${i}: ${step.id ?? "a socket"}, which only listens`);
  }

  private step(step: LabStep, i: number): void {
    const { op, ns = "" } = step;
    if (op === "listen") this.listen(step, i);
    else if (op === "accept") this.streams.add(step.as);
    else if (op === "connect" && this.sockets.get(step.id!)?.op === "tcp") this.connect(step, i);
    else if (this.streams.has(step.id)) this.pause += step.ms ?? 0;
    else if (op === "frame") {
      const bytes = frameBytes(step.frame!);
      if (bytes.length < ETHERNET_HEADER) this.lost.push(`steps.${i}: a frame shorter than its header`);
      else
        this.add({
          inject: step.at!,
          hex: formatHex(bytes),
          ...(step.count === undefined ? {} : { count: step.count }),
        });
    } else if (op === "raw") this.raw(step, i);
    else if (op === "udp") this.open(step, i);
    else if (op === "tcp") this.sockets.set(step.id ?? "", step);
    else if (op === "connect") this.sockets.set(step.id!, { ...this.sockets.get(step.id!)!, to: step.to! });
    else if (op === "send" && this.isServer(step.id)) return;
    else if (op === "send") this.send(step, i);
    else if (op === "sysctl") this.add({ in: ns, sysctls: { [step.key!]: step.value! } });
    else if (op === "rules") this.add({ in: ns, rules: step.text! });
    else if (op === "link") this.add(step.up ? { up: step.dev! } : { down: step.dev! });
    else if (op === "flushct") this.add({ in: ns, flush: "conntrack" });
    else if (op === "tool") this.add({ in: ns, name: `tool ${i}`, run: step.command! });
    else if (op === "sleep") this.pause += step.ms ?? 0;
    else if (!LOOKS.has(op)) this.lost.push(`steps.${i}: ${op}`);
    this.pause += step.wait_ms ?? 0;
  }

  private listen({ ns, id, bind }: LabStep, i: number): void {
    const [address, port] = bind ?? ["0.0.0.0", 0];
    this.streams.add(id);
    if (port === 0) {
      this.lost.push(`steps.${i}: a listener on a port that the kernel chooses`);
      return;
    }
    this.lost.push(`steps.${i}: what is done with the connections of ${id ?? "a listener"}; they echo what they hear`);
    const run = `tcp-echo-server ${address === "0.0.0.0" ? "" : `-b ${address} `}${port}`;
    this.add({ in: ns!, name: `${id ?? "listener"} ${i}`, run });
  }

  private connect({ id, to }: LabStep, i: number): void {
    const { ns, bind } = this.sockets.get(id!)!;
    this.streams.add(id);
    this.sockets.delete(id!);
    const writes = (this.lab.steps ?? []).slice(i).filter((step) => step.op === "send" && step.id === id);
    if (writes.length > 0) this.lost.push(`steps.${i}: what ${id} sends; a word instead`);
    const port = bind === undefined || bind[1] === 0 ? "" : ` -p ${bind[1]}`;
    const run = `tcp-client -W 1${port} ${to![0]} ${to![1]}${writes.length > 0 ? " hello" : ""}`;
    this.add({ in: ns!, name: `${id} ${i}`, run });
  }

  /** An echo request is a ping; other packets have no program that sends them. */
  private raw(step: LabStep, i: number): void {
    const { ip, icmp } = step.pkt!;
    if (icmp?.type !== 8 || icmp.inner !== undefined || ip.mf || ip.off) {
      this.lost.push(`steps.${i}: a raw packet that no program of hopscope sends`);
      return;
    }
    const size = icmp.size ?? 0;
    const path = ip.df ? "do" : "dont";
    const name = `ping ${i}`;
    this.add({ in: step.ns!, name, run: `ping -c 1 -W 1 -s ${size} -t ${ip.ttl ?? 64} -M ${path} ${ip.dst}` });
  }

  private send(step: LabStep, i: number): void {
    const socket = this.sockets.get(step.id!);
    const to = step.to ?? socket?.to;
    if (socket === undefined || !Array.isArray(to)) {
      this.lost.push(`steps.${i}: send from a socket without a peer`);
      return;
    }
    if (step.hex !== undefined) this.lost.push(`steps.${i}.hex: the data, a text of that length instead`);
    const length = step.hex === undefined ? (step.size ?? 0) : step.hex.length / 2;
    const data = step.data ?? Array.from({ length }, (_, at) => String.fromCharCode(65 + (at % 26))).join("");
    const port = socket.bind === undefined ? "" : ` -p ${socket.bind[1]}`;
    const run = `udp-client -W 0.001${port} -u ${to[0]} ${to[1]} "${data}"`;
    this.add({ in: socket.ns!, name: `send ${i}`, run });
  }
}

const words = (pairs: Readonly<Record<string, string | number | undefined>>): string[] =>
  Object.entries(pairs).flatMap(([key, value]) => (value === undefined ? [] : [`${key} ${value}`]));

const routeText = ({ type, dst, ...rest }: RouteSpec): string =>
  [...(type === undefined ? [] : [type]), dst ?? "default", ...words({ ...rest })].join(" ");

function policyText({ from, to, iif, oif, fwmark, fwmask, prio, table, action }: PolicySpec): string {
  const mark = fwmark === undefined ? undefined : `${fwmark >>> 0}${fwmask === undefined ? "" : `/${fwmask >>> 0}`}`;
  const then = action === undefined || action === "lookup" ? words({ lookup: table }) : [action];
  return [...words({ from, to, iif, oif, fwmark: mark, priority: prio }), ...then].join(" ");
}
