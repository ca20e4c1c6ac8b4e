import type { Path } from "../docker/source.ts";
import { familyOf } from "../inspect/userland.ts";
import type { Namespace } from "../kernel/namespace.ts";
import type { Table, TableName } from "../kernel/netfilter/rule.ts";
import { formatTables, parseRules } from "../kernel/netfilter/rule-text.ts";
import { Sysctls } from "../kernel/sysctl.ts";
import { parseCommand } from "../program/commands.ts";
import type { Program } from "../program/program.ts";
import type { Timer } from "../sim/scheduler.ts";
import { STEP } from "../trace/step.ts";
import { ETHERNET_HEADER } from "../wire/ethernet.ts";
import { InputError } from "../wire/input-error.ts";
import type { World } from "../world/world.ts";
import type { ScenarioDocker } from "./docker.ts";
import { STEP_ACTIONS, type StepSpec } from "./format.ts";
import { type FrameSpec, frameBytes } from "./lab-packet.ts";
import { applySysctls, attempt, deviceAt, hostAt, impair, type Material, readRules, vethAt } from "./network.ts";
import { parseDuration } from "./quantity.ts";

/** A line that a program printed; `packet` made it say so, 0 for none. */
export interface ProgramLine {
  readonly time: number;
  readonly text: string;
  readonly packet: number;
}

/** One program of a run and what it printed. */
export interface ProgramRun {
  readonly name: string;
  readonly namespace: string;
  readonly command: string;
  readonly lines: ProgramLine[];
  /** Its exit status; null while it runs. */
  status: number | null;
}

/** What happens at a moment of the run. */
interface Action {
  /** Virtual nanoseconds; null for "once the action before is done". */
  readonly at: number | null;
  /** Nanoseconds to wait after the action before. */
  readonly after: number;
  perform(done: () => void): void;
}

/** The timed part of a scenario. */
export class Plan {
  readonly programs: ProgramRun[] = [];
  /** Called as each step begins. */
  onStep: ((step: number) => void) | null = null;
  private readonly actions: Action[] = [];
  private readonly faults: Action[] = [];
  /** What the iptables commands so far make of each namespace's rules. */
  private readonly planned = new Map<Namespace, Map<TableName, Table>>();
  /** How many steps have begun. */
  private performed = 0;

  /** Checks all steps and faults against the world. @throws {InputError}. */
  constructor(
    private readonly material: Material,
    private readonly world: World,
    private readonly docker: ScenarioDocker | null,
  ) {
    for (const [i, spec] of (material.spec.steps ?? []).entries()) this.actions.push(this.step(spec, ["steps", i]));
    for (const [i, fault] of (material.spec.faults ?? []).entries()) this.addFault(fault, ["faults", i]);
  }

  /** Arms everything that is left and has a time; nothing happens before the world runs. */
  start(): void {
    this.startFaults();
    const { now } = this.world.fabric.scheduler;
    const first = this.performed;
    for (const [i, action] of this.actions.entries()) {
      const at = action.at ?? (i === first ? now + action.after : null);
      if (i >= first && at !== null) this.armAt(Math.max(at, now), () => this.perform(i));
    }
  }

  private startFaults(): void {
    for (const fault of this.faults.splice(0)) this.armAt(fault.at ?? 0, () => fault.perform(() => {}));
  }

  /** Performs the next step at once, whenever it was due; null when none is left, else what it does. */
  next(): StepSpec | null {
    this.startFaults();
    const i = this.performed;
    const action = this.actions[i];
    if (action === undefined) return null;
    this.performed = i + 1;
    action.perform(() => {});
    return this.material.spec.steps![i]!;
  }

  /** How many steps are left. */
  get left(): number {
    return this.actions.length - this.performed;
  }

  private perform(i: number): void {
    this.performed = Math.max(this.performed, i + 1);
    const next = this.actions[i + 1];
    this.onStep?.(i);
    this.actions[i]!.perform(() => {
      if (next === undefined || next.at !== null) return;
      this.timer(() => this.perform(i + 1)).armIn(next.after);
    });
  }

  private armAt(at: number, action: () => void): void {
    this.timer(action).arm(at);
  }

  private timer(action: () => void): Timer {
    return this.world.fabric.scheduler.timer(action);
  }

  // Steps.

  private step(spec: StepSpec, path: Path): Action {
    const { source } = this.material;
    const given = STEP_ACTIONS.filter((key) => spec[key] !== undefined);
    if (given.length !== 1) {
      const expected = `a step that does one thing (${STEP_ACTIONS.join(", ")})`;
      throw given.length === 0 ? source.error(path, expected) : source.error([...path, given[1]!], expected, "key");
    }
    if (spec.at !== undefined && spec.after !== undefined)
      throw source.error([...path, "after"], "at or after, not both", "key");
    this.checkCompanions(spec, given[0]!, path);
    return {
      at: spec.at === undefined ? null : parseDuration(spec.at),
      after: spec.after === undefined ? 0 : parseDuration(spec.after),
      perform: this.performer(spec, path),
    };
  }

  /** Keys that say more about one action are refused beside another. */
  private checkCompanions(spec: StepSpec, action: (typeof STEP_ACTIONS)[number], path: Path): void {
    const companions: Readonly<Record<string, readonly string[]>> = {
      run: ["in", "name", "env"],
      inject: ["frame", "hex", "count"],
      rules: ["in"],
      rules_file: ["in"],
      sysctls: ["in"],
      flush: ["in"],
    };
    const allowed = ["at", "after", action, ...(companions[action] ?? [])];
    const { source } = this.material;
    for (const key of Object.keys(spec))
      if (!allowed.includes(key))
        throw source.error([...path, key], `a key that goes with ${action} (${allowed.join(", ")})`, "key");
    if (allowed.includes("in") && spec.in === undefined)
      throw source.error([...path, "in"], "the namespace of this step");
  }

  private performer(spec: StepSpec, path: Path): Action["perform"] {
    const { world } = this;
    const { source } = this.material;
    const device = (key: "up" | "down" | "inject") => deviceAt(source, [...path, key], world, spec[key]!);
    const host = spec.in === undefined ? null : hostAt(source, [...path, "in"], world, spec.in);
    if (spec.run !== undefined) return this.runner(spec, path);
    if (spec.inject !== undefined) return this.injector(spec, path);
    if (spec.up !== undefined) return at(device("up"), (target) => target.setUp(true));
    if (spec.down !== undefined) return at(device("down"), (target) => target.setUp(false));
    if (spec.impair !== undefined) {
      const { device: end, ...impairment } = spec.impair;
      return at(vethAt(source, [...path, "impair", "device"], world, end), (veth) => impair(world, veth, impairment));
    }
    if (spec.flush !== undefined) return at(host!, ({ net }) => net.tracker.flush());
    if (spec.sysctls !== undefined) {
      const { sysctls } = spec;
      const values: Path = [...path, "sysctls"];
      applySysctls(source, values, host!, sysctls, new Sysctls());
      return at(host!, (target) => applySysctls(source, values, target, sysctls));
    }
    const tables = readRules(this.material, path, spec)!;
    return at(host!, ({ net }) => net.netfilter.load(tables));
  }

  private injector(spec: StepSpec, path: Path): Action["perform"] {
    const { world } = this;
    const { source } = this.material;
    const device = deviceAt(source, [...path, "inject"], world, spec.inject!);
    if ((spec.frame === undefined) === (spec.hex === undefined))
      throw source.error(path, "a frame, or its bytes as hex");
    const what = spec.frame === undefined ? "hex" : "frame";
    const bytes = attempt(source, [...path, what], "a frame", () => frameBytes(spec.hex ?? (spec.frame as FrameSpec)));
    const most = device.mtu + ETHERNET_HEADER;
    if (bytes.length < ETHERNET_HEADER || bytes.length > most)
      throw source.error([...path, what], `a frame of ${ETHERNET_HEADER} to ${most} bytes`);
    return (done) => {
      for (let i = 0; i < (spec.count ?? 1); i++) device.send(world.fabric.inject(bytes, device.place));
      done();
    };
  }

  // Programs.

  private runner(spec: StepSpec, path: Path): Action["perform"] {
    const { source } = this.material;
    const command = spec.run!;
    if (/^iptables\s/.test(command)) return this.iptables(spec, [...path, "run"]);
    const docker = command.startsWith("docker ");
    const family = familyOf(hostAt(source, [...path, "in"], this.world, spec.in!));
    const program = docker
      ? this.dockerClient(command, [...path, "run"])
      : parseCommand(command, source.placeInside([...path, "run"], 1, 1), family);
    if (program.endless === true && this.material.spec.until === undefined)
      throw source.error([...path, "run"], `a command that ends (${program.name} -c 1), or an until in the scenario`);
    const name = spec.name ?? (docker ? this.freeName(program.name) : program.name);
    if (this.programs.some((run) => run.name === name))
      throw source.error(
        [...path, spec.name === undefined ? "run" : "name"],
        `a name, for an earlier step runs a program called ${name}`,
      );
    const run: ProgramRun = { name, namespace: spec.in!, command, lines: [], status: null };
    this.programs.push(run);
    return (done) => {
      this.launch(program, run, spec.env ?? {}, done);
      if (program.serves && run.status === null) done();
    };
  }

  /** `iptables [-t table] ...`. It is read once before the run, onto what the steps before it make of the rules. */
  private iptables(spec: StepSpec, path: Path): Action["perform"] {
    const { source } = this.material;
    const { net } = hostAt(source, [...path.slice(0, -1), "in"], this.world, spec.in!);
    const [, start = "", table = "filter", rest = ""] = /^(iptables\s+(?:-t\s+(\S+)\s+)?)(.*)$/s.exec(spec.run!)!;
    const read = (onto: ReadonlyMap<TableName, Table>): Table[] => {
      try {
        return parseRules(`*${table}\n${rest}\nCOMMIT\n`, source.file, { onto, sets: net.sets });
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        const { line, column } = error.place;
        const at = line === 1 ? spec.run!.indexOf(table) + 1 : start.length + column;
        throw new InputError(source.placeInside(path, 1, at), error.found, error.expected);
      }
    };
    const planned = this.planned.get(net) ?? copyOf(net);
    this.planned.set(net, planned);
    for (const changed of read(planned)) planned.set(changed.name, changed);
    return (done) => {
      net.netfilter.load(read(net.netfilter.tables));
      done();
    };
  }

  private dockerClient(command: string, path: Path): Program {
    if (this.docker === null) throw this.material.source.error(path, "a scenario with docker");
    return this.docker.command(command, path);
  }

  /** `docker`, `docker 2` and so on. */
  private freeName(name: string): string {
    const taken = (text: string) => this.programs.some((run) => run.name === text);
    let number = 1;
    const text = () => (number === 1 ? name : `${name} ${number}`);
    while (taken(text())) number++;
    return text();
  }

  /** A program that no step names, before all steps. */
  begin(program: Program, namespace: string): void {
    const run: ProgramRun = { name: program.name, namespace, command: program.name, lines: [], status: null };
    this.programs.push(run);
    this.launch(program, run, {}, () => {});
  }

  private launch(program: Program, run: ProgramRun, env: Readonly<Record<string, string>>, done: () => void): void {
    const { fabric } = this.world;
    const host = this.world.host(run.namespace);
    const { net } = host;
    const process = host.processes.start(run.command);
    program.start({
      ...host,
      env: { ...host.env, ...env },
      scheduler: fabric.scheduler,
      random: net.random.fork(`program/${run.name}`),
      say(text, packet = 0) {
        const time = fabric.scheduler.now;
        run.lines.push({ time, text, packet });
        host.log.push({ time, text });
        fabric.trace?.step(STEP.program, packet, net.place, fabric.names.text(text));
      },
      exit(status) {
        run.status = status;
        host.processes.end(process);
        done();
      },
    });
  }

  // Faults.

  private addFault(fault: NonNullable<Material["spec"]["faults"]>[number], path: Path): void {
    const { world } = this;
    const { source } = this.material;
    const { device: end, from, until, ...impairment } = fault;
    const device = vethAt(source, [...path, "device"], world, end);
    const start = from === undefined ? 0 : parseDuration(from);
    this.faults.push({ at: start, after: 0, perform: () => impair(world, device, impairment) });
    if (until === undefined) return;
    const stop = parseDuration(until);
    if (stop <= start) throw source.error([...path, "until"], `a time after ${from ?? "0s"}`);
    const usual = (this.material.spec.links ?? []).find(({ ends }) => ends.includes(end)) ?? {};
    this.faults.push({ at: stop, after: 0, perform: () => impair(world, device, usual) });
  }
}

function copyOf({ netfilter, name, sets }: Namespace): Map<TableName, Table> {
  const tables = parseRules(formatTables([...netfilter.tables.values()], { counters: false }), name, { sets });
  return new Map(tables.map((table) => [table.name, table]));
}

/** An action that is done at once. */
function at<T>(target: T, act: (target: T) => void): Action["perform"] {
  return (done) => {
    act(target);
    done();
  };
}
