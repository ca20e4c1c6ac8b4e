import type { Plan } from "../docker/plan.ts";
import { Bridge, type BridgePort } from "../link/bridge.ts";
import type { Device } from "../link/device.ts";
import { Upper } from "../link/upper.ts";
import { formatIpv4, formatMac } from "../wire/address.ts";
import type { World } from "../world/world.ts";
import type { DeviceSpec, NamespaceSpec, ScenarioSpec, StepSpec } from "./format.ts";
import type { LabCase, LabDevice, LabNamespace, LabStep } from "./lab-case.ts";
import { dockerCables, dockerIpsets, dockerRoutes, dockerRules, dockerSysctls } from "./lab-docker.ts";
import { ProgramSteps } from "./lab-program.ts";
import { parseDuration } from "./quantity.ts";
import { parsePolicy } from "./routing.ts";
import { buildScenario, runScenario, type Scenario } from "./scenario.ts";

/** A lab case, and by name what the scenario says that a case cannot. */
export interface FromScenario {
  readonly lab: LabCase;
  readonly lost: readonly string[];
}

/** Milliseconds that a pause is shorter than in the scenario: what the kernel does as late as a program comes after it. */
const EARLY = 10;

/** Steps that send packets; without one, a case shows nothing. */
const SENDS: readonly string[] = ["frame", "raw", "connect", "send"];

/**
 * The network of a scenario and what happens in it, as a case. What Docker made is part of the network. A program becomes
 * what it asks of its sockets when hopscope runs the scenario. `engine` is a Docker engine other than the scenario's own.
 * @throws {InputError} for a scenario with a translator, a macvlan or an ipvlan, and for one whose steps send nothing that a case can say.
 */
export function labFromScenario(scenario: Scenario, engine?: string): FromScenario {
  return new Converter(scenario, engine).convert();
}

class Converter {
  private readonly spec: ScenarioSpec;
  /** Before the first step. */
  private readonly world: World;
  /** What Docker did to it; null without Docker. */
  private readonly docker: Plan | null;
  private readonly lost = new Set<string>();
  private readonly steps: LabStep[] = [];

  constructor(
    private readonly scenario: Scenario,
    private readonly engine: string | undefined,
  ) {
    this.spec = scenario.material.spec;
    const { source } = scenario.material;
    if (this.spec.translators !== undefined) {
      const expected = "no translator, for the kernel has none";
      const own = Object.hasOwn(source.value as object, "translators");
      throw own
        ? source.error(["translators"], expected, "key")
        : source.error(["extends"], `a network with ${expected}`);
    }
    const { world, docker } = buildScenario(scenario, engine);
    this.world = world;
    this.docker = docker?.plan ?? null;
  }

  convert(): FromScenario {
    const namespaces: Record<string, LabNamespace> = {};
    for (const name of this.world.hosts.keys())
      namespaces[name] = this.namespace(name, this.spec.namespaces[name] ?? {});
    const veths = (this.spec.links ?? []).map(({ ends: [left, right], ...impairment }, i): [string, string] => {
      for (const key of Object.keys(impairment)) this.lost.add(`links.${i}.${key}: the cables of a case are perfect`);
      return [left, right];
    });
    veths.push(...dockerCables(this.world, veths));
    for (const i of (this.spec.faults ?? []).keys()) this.lost.add(`faults.${i}: the cables of a case are perfect`);
    this.happened();
    if (this.spec.steps !== undefined && !this.steps.some(({ op }) => SENDS.includes(op)))
      throw this.scenario.material.source.error(["steps"], "a step that sends packets (a program or inject)");
    if (this.spec.expect !== undefined) this.lost.add("expect: a case is compared with the kernel, not judged");
    return { lab: { name: this.scenario.title, namespaces, veths, steps: this.steps }, lost: [...this.lost] };
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
        this.lost.add(`namespaces.${name}.devices.${device.name}.addresses: brd none`);
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
    if (device instanceof Upper)
      throw this.scenario.material.source.error(
        ["docker"],
        "networks that a case can have: bridges, no macvlan or ipvlan",
        "key",
      );
    const { type = device instanceof Bridge ? "bridge" : undefined, mtu, ageing } = given;
    // A bridge without an address of its own has that of a port, in both.
    const mac = formatMac(device.macHigh, device.macLow);
    if (device instanceof Bridge && !device.fixedMac)
      this.lost.add(`the bridge that takes its ports' address ${mac}: in a case it keeps it`);
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

  /** What a run does, in its order and with its pauses. */
  private happened(): void {
    const { engine } = this;
    const { world, journal } = runScenario(this.scenario, {
      journal: true,
      ...(engine === undefined ? {} : { engine }),
    });
    const programs = new ProgramSteps(world, this.world.hosts, this.lost);
    let elapsed = 0;
    for (const entry of journal?.entries ?? []) {
      const steps = "step" in entry ? this.step(this.spec.steps![entry.step]!, entry.step) : programs.steps(entry);
      if (steps.length === 0) continue;
      const now = Math.round(entry.time / 1e6);
      if (now - elapsed > EARLY) this.steps.push({ op: "sleep", ms: now - elapsed - EARLY });
      elapsed = now;
      this.steps.push(...steps);
    }
  }

  private step(spec: StepSpec, i: number): readonly LabStep[] {
    const ns = spec.in ?? "";
    const rules = this.rules(spec);
    if (spec.run !== undefined) {
      if (/^iptables\s/.test(spec.run)) return [{ op: "tool", ns, command: spec.run }];
      if (spec.run.startsWith("docker ")) this.lost.add(`steps.${i}.run: docker`);
      return [];
    }
    if (spec.inject !== undefined) {
      const { hex, frame, count } = spec;
      return [
        { op: "frame", at: spec.inject, frame: hex ?? frame, ...(count === undefined ? {} : { count }) } as LabStep,
      ];
    }
    if (rules !== undefined) return [{ op: "rules", ns, text: rules }];
    if (spec.sysctls !== undefined)
      return Object.entries(spec.sysctls).map(([key, value]) => ({ op: "sysctl", ns, key, value }));
    const { up, down } = spec;
    if (up !== undefined || down !== undefined) return [{ op: "link", dev: up ?? down!, up: up !== undefined }];
    if (spec.flush !== undefined) return [{ op: "flushct", ns }];
    this.lost.add(`steps.${i}.impair: the cables of a case are perfect`);
    return [];
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
