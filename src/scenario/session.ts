import { runTool, TOOL_NAMES } from "../inspect/command.ts";
import type { Machine } from "../inspect/machine.ts";
import { familyOf } from "../inspect/userland.ts";
import { PROGRAMS, parseCommand } from "../program/commands.ts";
import type { Program } from "../program/program.ts";
import type { RunEnd } from "../sim/scheduler.ts";
import { Capture } from "../trace/capture.ts";
import type { Recorder } from "../trace/recorder.ts";
import { STEP } from "../trace/step.ts";
import { readTrace, type Trace } from "../trace/trace.ts";
import { InputError } from "../wire/input-error.ts";
import type { World } from "../world/world.ts";
import type { ScenarioDocker } from "./docker.ts";
import { buildScenario, type Scenario } from "./scenario.ts";
import { Plan, type ProgramLine } from "./steps.ts";
import { tcpdump } from "./tcpdump.ts";

/** What happens in one instant before it counts as a storm. */
const MOST_AT_ONCE = 50_000;
const LINE = { file: "command line", line: 1, column: 1 };

/** Where a command prints. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
}

/** A command that was started. */
export interface Job {
  /** Null while it runs. */
  readonly status: number | null;
  /** It goes on for ever. */
  readonly endless: boolean;
  /** It waits for others. */
  readonly serves: boolean;
  /** It shows what passes while other commands run. */
  readonly watches: boolean;
  /** Ctrl-C. */
  interrupt(): void;
}

/** A scenario's world in which a person runs commands. */
export class Session {
  readonly world: World;
  readonly recorder: Recorder;
  readonly capture = new Capture();
  private readonly docker: ScenarioDocker | null;
  private readonly plan: Plan;
  private jobs = 0;
  /** The last packet before the last command. */
  private mark = 0;

  constructor(readonly scenario: Scenario) {
    const built = buildScenario(scenario);
    this.world = built.world;
    this.docker = built.docker;
    this.recorder = this.world.fabric.record();
    this.world.fabric.capture = this.capture;
    this.plan = new Plan(scenario.material, this.world, this.docker);
  }

  /** Hosts first, then containers. */
  get places(): string[] {
    const containers = [...(this.docker?.daemon.containers.values() ?? [])];
    const inside = new Set(containers.map(({ namespace }) => namespace));
    return [...[...this.world.hosts.keys()].filter((name) => !inside.has(name)), ...containers.map(({ name }) => name)];
  }

  /** The namespace of a host, or of a container by its name or the beginning of its id; null for none. */
  find(name: string): string | null {
    const containers = this.docker?.daemon.containers;
    const named = containers?.get(name) ?? null;
    if (named !== null) return named.namespace;
    if (this.world.hosts.has(name)) return name;
    const byId = [...(containers?.values() ?? [])].filter(({ id }) => name.length >= 4 && id.startsWith(name));
    return byId.length === 1 ? byId[0]!.namespace : null;
  }

  devicesOf(namespace: string): string[] {
    return [...this.world.host(namespace).net.inDevices.values()].map(({ device }) => device.name);
  }

  /** All steps that are left, and all they cause. */
  runSteps(): RunEnd {
    this.forget();
    this.plan.start();
    return this.world.run(this.scenario.until ?? undefined, MOST_AT_ONCE);
  }

  /** The next step: what it does, and what its programs print. Null when none is left. */
  nextStep(): { readonly text: string; readonly lines: readonly ProgramLine[] } | null {
    this.forget();
    const before = this.plan.programs.map(({ lines }) => lines.length);
    const step = this.plan.next();
    if (step === null) return null;
    const { now } = this.world.fabric.scheduler;
    this.world.run(this.scenario.until === null ? undefined : Math.max(now, this.scenario.until), MOST_AT_ONCE);
    const lines = this.plan.programs.flatMap(({ lines: all }, i) => all.slice(before[i] ?? 0));
    const { in: place, ...what } = step;
    const words = Object.entries(what).map(
      ([key, value]) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
    return { text: `${place === undefined ? "" : `in ${place}: `}${words.join(", ")}`, lines };
  }

  get stepsLeft(): number {
    return this.plan.left;
  }

  /** What the last command's packets went through. */
  get lastTrace(): Trace {
    const trace = readTrace(this.recorder);
    const packets = trace.packets.filter(({ id }) => id > this.mark);
    const first = packets[0]?.hops[0]?.steps[0]?.row ?? Number.POSITIVE_INFINITY;
    return { ...trace, packets, events: trace.events.filter(({ row }) => row >= first) };
  }

  private forget(): void {
    this.mark = this.world.fabric.pool.lastPacket;
  }

  /** What can be run, beside the shell's own words. */
  static readonly commands: readonly string[] = [...new Set([...TOOL_NAMES, ...PROGRAMS, "docker", "tcpdump"])].sort();

  /** Starts a command in a namespace. It never throws for what a person types. */
  start(namespace: string, words: readonly string[], output: Output): Job {
    this.forget();
    const [name = "", ...args] = words;
    const machine: Machine = {
      world: this.world,
      host: this.world.host(namespace),
      docker: this.docker?.daemon ?? null,
    };
    try {
      const printed = runTool(name, args, machine);
      if (printed !== null) {
        if (printed.out !== "") output.out(printed.out);
        if (printed.err !== "") output.err(printed.err);
        return ended(printed.status);
      }
      if (basename(name) === "tcpdump") return tcpdump(args, machine.host, this.capture, output);
      if (name === "docker") return this.dockerCommand(words, namespace, output);
      if (!PROGRAMS.includes(basename(name))) {
        output.err(`${name}: command not found; hopscope knows ${Session.commands.join(", ")}\n`);
        return ended(127);
      }
      const family = familyOf(machine.host);
      return this.launch(parseCommand(words.map(quoted).join(" "), LINE, family), namespace, output);
    } catch (error) {
      if (!(error instanceof InputError) && !(error instanceof RangeError)) throw error;
      const text = error instanceof InputError ? `found ${error.found}, expected ${error.expected}` : error.message;
      output.err(`${name}: ${text}\n`);
      return ended(2);
    }
  }

  private dockerCommand(words: readonly string[], namespace: string, output: Output): Job {
    if (this.docker === null) {
      output.err("docker: this scenario has no Docker; a scenario with docker: has\n");
      return ended(1);
    }
    const program = this.docker.client(words.map(quoted).join(" "), LINE);
    const job = this.launch(program, namespace, output);
    this.world.settle();
    return job;
  }

  private launch(program: Program, namespace: string, output: Output): Job {
    const { fabric } = this.world;
    const host = this.world.host(namespace);
    const { net } = host;
    const job = new Running(program, output);
    program.start({
      ...host,
      scheduler: fabric.scheduler,
      random: net.random.fork(`program/command ${++this.jobs}`),
      say(text, packet = 0) {
        job.say(text);
        fabric.trace?.step(STEP.program, packet, net.place, fabric.names.text(text));
      },
      exit: (status) => job.exit(status),
      onInterrupt: (action) => {
        job.onInterrupt = action;
      },
    });
    return job;
  }

  /**
   * Lets virtual time go on until a job ends, or to `until`. False when nothing more will happen by itself and the job
   * still waits.
   */
  advance(job: Job, until: number): boolean {
    const { scheduler } = this.world.fabric;
    while (job.status === null) {
      if (scheduler.backlog === 0 && scheduler.next > until) {
        const waits = Number.isFinite(scheduler.next);
        this.world.run(until, MOST_AT_ONCE);
        return waits;
      }
      this.world.run(Math.min(Math.max(scheduler.next, scheduler.now), until), MOST_AT_ONCE);
    }
    return true;
  }
}

const ended = (status: number): Job => ({ status, endless: false, serves: false, watches: false, interrupt() {} });

const basename = (path: string): string => path.replace(/^.*\//, "");

const quoted = (word: string): string => {
  if (word !== "" && !/[\s"']/.test(word)) return word;
  return word.includes('"') ? `'${word}'` : `"${word}"`;
};

/** A program and the terminal that it prints to. */
class Running implements Job {
  status: number | null = null;
  onInterrupt: (() => void) | null = null;
  readonly endless: boolean;
  readonly serves: boolean;
  readonly watches = false;

  constructor(
    { endless = false, serves }: Program,
    private readonly output: Output,
  ) {
    this.endless = endless;
    this.serves = serves;
  }

  say(text: string): void {
    if (this.status === null) this.output.out(`${text}\n`);
  }

  exit(status: number): void {
    this.status ??= status;
  }

  /** One that does not handle the signal dies of it, and whatever it still does is not shown. */
  interrupt(): void {
    if (this.onInterrupt !== null && this.status === null) this.onInterrupt();
    else this.status ??= 130;
  }
}
