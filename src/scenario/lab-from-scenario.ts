import type { Plan } from "../docker/plan.ts";
import { Bridge, type BridgePort } from "../link/bridge.ts";
import type { Device } from "../link/device.ts";
import { formatIpv4, formatMac } from "../wire/address.ts";
import type { World } from "../world/world.ts";
import type { DeviceSpec, NamespaceSpec, ScenarioSpec, StepSpec } from "./format.ts";
import type { LabCase, LabDevice, LabNamespace, LabStep } from "./lab-case.ts";
import { dockerCables, dockerIpsets, dockerProcesses, dockerRoutes, dockerRules, dockerSysctls } from "./lab-docker.ts";
import { ProgramSteps } from "./lab-program.ts";
import { parseDuration } from "./quantity.ts";
import { parsePolicy } from "./routing.ts";
import { buildScenario, runScenario, type Scenario } from "./scenario.ts";

/** A lab case, and by name what the scenario says that a case cannot. */
export interface FromScenario {
  readonly lab: LabCase;
  readonly lost: readonly string[];
}

/** Steps that send packets; without one, a case shows nothing. */
const SENDS: readonly string[] = ["frame", "raw", "connect", "send"];
const sends = ({ op, command = "" }: LabStep): boolean => SENDS.includes(op) || command.startsWith("traceroute");

/**
 * The network of a scenario and what happens in it, as a case. What Docker made is part of the network. A program becomes
 * the packets that it sends: those that depend on answers are the ones that it sends when hopscope runs the scenario.
 * @throws {InputError} for a scenario with a translator, and for one whose steps send nothing that a case can say.
 */
export function labFromScenario(scenario: Scenario): FromScenario {
  return new Converter(scenario).convert();
}

class Converter {
  private readonly spec: ScenarioSpec;
  /** Before the first step. */
  private readonly world: World;
  /** What Docker did to it; null without Docker. */
  private readonly docker: Plan | null;
  private readonly programs: ProgramSteps;
  private readonly lost: string[] = [];
  private readonly steps: LabStep[] = [];
  /** Milliseconds that the steps so far take. */
  private elapsed = 0;

  constructor(private readonly scenario: Scenario) {
    this.spec = scenario.material.spec;
    const { source } = scenario.material;
    if (this.spec.translators !== undefined) {
      const expected = "no translator, for the kernel has none";
      const own = Object.hasOwn(source.value as object, "translators");
      throw own
        ? source.error(["translators"], expected, "key")
        : source.error(["extends"], `a network with ${expected}`);
    }
    const { world, docker } = buildScenario(scenario);
    this.world = world;
    this.docker = docker?.plan ?? null;
    this.programs = new ProgramSteps(runScenario(scenario).programs, this.lost);
  }

  convert(): FromScenario {
    const namespaces: Record<string, LabNamespace> = {};
    for (const name of this.world.hosts.keys())
      namespaces[name] = this.namespace(name, this.spec.namespaces[name] ?? {});
    const veths = (this.spec.links ?? []).map(({ ends: [left, right], ...impairment }, i): [string, string] => {
      for (const key of Object.keys(impairment)) this.lost.push(`links.${i}.${key}: the cables of a case are perfect`);
      return [left, right];
    });
    veths.push(...dockerCables(this.world, veths));
    if (this.docker !== null) this.lost.push(...dockerProcesses(this.docker));
    for (const i of (this.spec.faults ?? []).keys()) this.lost.push(`faults.${i}: the cables of a case are perfect`);
    for (const [i, step] of (this.spec.steps ?? []).entries()) this.step(step, i);
    if (this.spec.steps !== undefined && !this.steps.some(sends))
      throw this.scenario.material.source.error(
        ["steps"],
        "a step whose packets a case can say (ping, traceroute, udp-client or inject)",
      );
    if (this.spec.expect !== undefined) this.lost.push("expect: a case is compared with the kernel, not judged");
    return { lab: { name: this.scenario.title, namespaces, veths, steps: this.steps }, lost: this.lost };
  }

  private namespace(name: string, spec: NamespaceSpec): LabNamespace {
    const { net } = this.world.host(name);
    const { docker } = this;
    const devs: Record<string, LabDevice> = {};
    const addrs: [string, string][] = [];
    for (const { device, addresses } of net.inDevices.values()) {
      const given: DeviceSpec = spec.devices?.[device.name] ?? {};
      if (device === net.loopback.device) continue;
      for (const { address, length } of addresses) addrs.push([device.name, `${formatIpv4(address)}/${length}`]);
      if (given.addresses?.some((text) => text.includes(" ")))
        this.lost.push(`namespaces.${name}.devices.${device.name}.addresses: brd none`);
      devs[device.name] = this.device(name, device, given);
    }
    const sysctls = { ...(docker === null ? {} : dockerSysctls(docker, name)), ...spec.sysctls };
    const routes = name in this.spec.namespaces ? spec.routes : dockerRoutes(net);
    const ipsets = docker === null ? spec.ipsets : dockerIpsets(docker, net, spec.ipsets);
    const rules = (docker === null ? null : dockerRules(docker, net)) ?? this.rules(spec);
    return {
      ...(Object.keys(sysctls).length === 0 ? {} : { sysctls }),
      ...(Object.keys(devs).length === 0 ? {} : { devs }),
      ...(addrs.length === 0 ? {} : { addrs }),
      ...(routes === undefined ? {} : { routes }),
      ...(spec.policy === undefined ? {} : { policy: spec.policy.map(parsePolicy) }),
      ...(spec.neighbours === undefined ? {} : { neigh: spec.neighbours.map(neighbour) }),
      ...(spec.fdb === undefined ? {} : { fdb: spec.fdb.map(entry) }),
      ...(ipsets === undefined ? {} : { ipsets }),
      ...(rules === undefined ? {} : { rules }),
    };
  }

  private device(namespace: string, device: Device, given: DeviceSpec): LabDevice {
    const { type = device instanceof Bridge ? "bridge" : undefined, mtu, ageing } = given;
    // A bridge without an address of its own has that of a port, in both.
    const mac = formatMac(device.macHigh, device.macLow);
    if (device instanceof Bridge && !device.fixedMac)
      this.lost.push(`the bridge that takes its ports' address ${mac}: in a case it keeps it`);
    const made = this.spec.namespaces[namespace]?.devices?.[device.name] === undefined;
    const port = this.portOf(namespace, device);
    return {
      ...(type === undefined ? {} : { type }),
      mac,
      ...(mtu !== undefined ? { mtu } : made && device.mtu !== 1500 ? { mtu: device.mtu } : {}),
      ...(port === null ? {} : { master: port.bridge.name }),
      ...(device.up ? {} : { up: false }),
      ...(port?.hairpin ? { hairpin: true } : {}),
      ...(port?.isolated ? { isolated: true } : {}),
      ...(ageing === undefined ? {} : { ageing: Math.round(parseDuration(ageing) / 1e7) }),
    };
  }

  private portOf(namespace: string, device: Device): BridgePort | null {
    for (const { device: bridge } of this.world.host(namespace).net.inDevices.values()) {
      const port = bridge instanceof Bridge ? bridge.portOf(device) : null;
      if (port !== null) return port;
    }
    return null;
  }

  private rules(spec: { readonly rules?: string | undefined; readonly rules_file?: string | undefined }) {
    return (
      spec.rules ??
      (spec.rules_file === undefined ? undefined : this.scenario.material.files.get(spec.rules_file)!.text)
    );
  }

  // Steps.

  private add(...steps: readonly LabStep[]): void {
    this.steps.push(...steps);
    for (const step of steps) this.elapsed += (step.ms ?? 0) + (step.wait_ms ?? 0);
  }

  private step(spec: StepSpec, i: number): void {
    const start = spec.at === undefined ? this.elapsed : parseDuration(spec.at) / 1e6;
    const pause = Math.round(start - this.elapsed + (spec.after === undefined ? 0 : parseDuration(spec.after) / 1e6));
    if (pause > 0) this.add({ op: "sleep", ms: pause });
    const ns = spec.in ?? "";
    const rules = this.rules(spec);
    if (spec.run !== undefined) this.add(...this.programs.steps(spec.run, spec.name, ns, i));
    else if (spec.inject !== undefined) {
      const frame = (spec.hex ?? spec.frame) as LabStep["frame"];
      this.add({
        op: "frame",
        at: spec.inject,
        frame,
        ...(spec.count === undefined ? {} : { count: spec.count }),
      } as LabStep);
    } else if (rules !== undefined) this.add({ op: "rules", ns, text: rules });
    else if (spec.sysctls !== undefined)
      for (const [key, value] of Object.entries(spec.sysctls)) this.add({ op: "sysctl", ns, key, value });
    else if (spec.up !== undefined) this.add({ op: "link", dev: spec.up, up: true });
    else if (spec.down !== undefined) this.add({ op: "link", dev: spec.down, up: false });
    else if (spec.flush !== undefined) this.add({ op: "flushct", ns });
    else this.lost.push(`steps.${i}.impair: the cables of a case are perfect`);
  }
}

function neighbour(text: string): [string, string, string] {
  const [, address = "", mac = "", device = ""] = /^(\S+) +lladdr +(\S+) +dev +(\S+)$/.exec(text) ?? [];
  return [device, address, mac];
}

function entry(text: string): [string, string] {
  const [, mac = "", device = ""] = /^(\S+) +dev +(\S+)$/.exec(text) ?? [];
  return [device, mac];
}
