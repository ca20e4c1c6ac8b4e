import { Bridge } from "../link/bridge.ts";
import { formatMac } from "../wire/address.ts";
import type { World } from "../world/world.ts";
import type { DeviceSpec, NamespaceSpec, ScenarioSpec, StepSpec } from "./format.ts";
import type { LabCase, LabDevice, LabNamespace, LabStep } from "./lab-case.ts";
import { ProgramSteps } from "./lab-program.ts";
import { parseDuration } from "./quantity.ts";
import { parsePolicy } from "./routing.ts";
import { runScenario, type Scenario } from "./scenario.ts";

/** A lab case, and by name what the scenario says that a case cannot. */
export interface FromScenario {
  readonly lab: LabCase;
  readonly lost: readonly string[];
}

/**
 * The network of a scenario and what happens in it, as a case. A program becomes the packets that it sends: those that
 * depend on answers are the ones that it sends when hopscope runs the scenario. @throws {InputError} for a scenario with a
 * translator.
 */
export function labFromScenario(scenario: Scenario): FromScenario {
  return new Converter(scenario).convert();
}

class Converter {
  private readonly spec: ScenarioSpec;
  private readonly world: World;
  private readonly programs: ProgramSteps;
  private readonly lost: string[] = [];
  private readonly steps: LabStep[] = [];
  /** Milliseconds that the steps so far take. */
  private elapsed = 0;

  constructor(private readonly scenario: Scenario) {
    this.spec = scenario.material.spec;
    if (this.spec.translators !== undefined)
      throw scenario.material.source.error(["translators"], "no translator, for the kernel has none", "key");
    const outcome = runScenario(scenario);
    this.world = outcome.world;
    this.programs = new ProgramSteps(outcome.programs, this.lost);
  }

  convert(): FromScenario {
    const namespaces: Record<string, LabNamespace> = {};
    for (const [name, spec] of Object.entries(this.spec.namespaces)) namespaces[name] = this.namespace(name, spec);
    const veths = (this.spec.links ?? []).map(({ ends: [left, right], ...impairment }, i): [string, string] => {
      for (const key of Object.keys(impairment)) this.lost.push(`links.${i}.${key}: the cables of a case are perfect`);
      return [left, right];
    });
    for (const i of (this.spec.faults ?? []).keys()) this.lost.push(`faults.${i}: the cables of a case are perfect`);
    for (const [i, step] of (this.spec.steps ?? []).entries()) this.step(step, i);
    if (this.spec.expect !== undefined) this.lost.push("expect: a case is compared with the kernel, not judged");
    return { lab: { name: this.scenario.title, namespaces, veths, steps: this.steps }, lost: this.lost };
  }

  private namespace(name: string, spec: NamespaceSpec): LabNamespace {
    const devs: Record<string, LabDevice> = {};
    const addrs: [string, string][] = [];
    for (const { device } of this.world.host(name).net.inDevices.values()) {
      const given: DeviceSpec = spec.devices?.[device.name] ?? {};
      for (const address of given.addresses ?? []) addrs.push([device.name, address]);
      if (device.name !== "lo") devs[device.name] = this.device(device, given);
    }
    const rules = this.rules(spec);
    return {
      ...(spec.sysctls === undefined ? {} : { sysctls: spec.sysctls }),
      ...(Object.keys(devs).length === 0 ? {} : { devs }),
      ...(addrs.length === 0 ? {} : { addrs }),
      ...(spec.routes === undefined ? {} : { routes: spec.routes }),
      ...(spec.policy === undefined ? {} : { policy: spec.policy.map(parsePolicy) }),
      ...(spec.neighbours === undefined ? {} : { neigh: spec.neighbours.map(neighbour) }),
      ...(spec.fdb === undefined ? {} : { fdb: spec.fdb.map(entry) }),
      ...(spec.ipsets === undefined ? {} : { ipsets: spec.ipsets }),
      ...(rules === undefined ? {} : { rules }),
    };
  }

  private device(device: { macHigh: number; macLow: number }, given: DeviceSpec): LabDevice {
    const { type, mtu, master, up, hairpin, isolated, ageing } = given;
    // A bridge without an address of its own has that of a port, in both.
    const mac = formatMac(device.macHigh, device.macLow);
    if (device instanceof Bridge && given.mac === undefined)
      this.lost.push(`the bridge that takes its ports' address ${mac}: in a case it keeps it`);
    return {
      ...(type === undefined ? {} : { type }),
      mac,
      ...(mtu === undefined ? {} : { mtu }),
      ...(master === undefined ? {} : { master }),
      ...(up === undefined ? {} : { up }),
      ...(hairpin === undefined ? {} : { hairpin }),
      ...(isolated === undefined ? {} : { isolated }),
      ...(ageing === undefined ? {} : { ageing: Math.round(parseDuration(ageing) / 1e7) }),
    };
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
