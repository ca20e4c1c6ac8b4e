import { DOCKER_SOCKET } from "../docker/dockerd.ts";
import type { Container, DockerHost } from "../docker/model.ts";
import { runTool, TOOL_NAMES } from "../inspect/command.ts";
import type { Machine } from "../inspect/machine.ts";
import { NOT_HERE, nearest } from "../inspect/not-here.ts";
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
interface DockerExec {
  readonly container: string;
  readonly words: readonly string[];
}

/** A shell that reads commands from its terminal. */
const isShell = (words: readonly string[]): boolean =>
  words.length === 1 && /^(\/bin\/)?(ba|a|da|z)?sh$/.test(words[0]!);

/** By its name or the beginning of its id, as far as that is of one alone; null for none. */
function containerOf({ containers }: DockerHost, name: string): Container | null {
  const byId = [...containers.values()].filter(({ id }) => /^[0-9a-f]{4,}$/.test(name) && id.startsWith(name));
  return containers.get(name) ?? (byId.length === 1 ? byId[0]! : null);
}

const BUILT_IN = ["date", "echo", "false", "help", "sleep", "true", "whoami"];
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

  /** `engine`: another Docker engine than the scenario's own. @throws {InputError} for one that there is not. */
  constructor(
    readonly scenario: Scenario,
    engine?: string,
  ) {
    const built = buildScenario(scenario, engine);
    this.world = built.world;
    this.docker = built.docker;
    this.recorder = this.world.fabric.record();
    this.world.fabric.capture = this.capture;
    this.plan = new Plan(scenario.material, this.world, this.docker);
  }

  /** Hosts first, then containers. */
  get places(): string[] {
    const containers = [...(this.docker?.daemon.containers.values() ?? [])];
    // A container that is gone leaves its namespace, where nothing runs any more.
    const own = this.docker?.daemon.host.names ?? this.world.hosts;
    return [...[...this.world.hosts.keys()].filter((name) => own.has(name)), ...containers.map(({ name }) => name)];
  }

  /** The containers of its Docker, by name. */
  get containers(): ReadonlyMap<string, Container> {
    return this.docker?.daemon.containers ?? new Map();
  }

  /** The namespace of a host, or of a container by its name or the beginning of its id; null for none. */
  find(name: string): string | null {
    const container = this.docker === null ? null : containerOf(this.docker.daemon, name);
    if (this.world.hosts.has(name) && container?.name !== name) return name;
    return container?.namespace ?? null;
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
    if (this.stepsLeft === 0) return null;
    this.forget();
    const before = this.plan.programs.map(({ lines }) => lines.length);
    const step = this.plan.next()!;
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
  static readonly commands: readonly string[] = [
    ...new Set([...TOOL_NAMES, ...PROGRAMS, "docker", "tcpdump", ...BUILT_IN]),
  ].sort();

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
      const inside = this.execOf(words, machine);
      if (inside !== null) return this.startInside(inside, output);
      const printed = runTool(name, args, machine);
      if (printed !== null) {
        if (printed.out !== "") output.out(printed.out);
        if (printed.err !== "") output.err(printed.err);
        return ended(printed.status);
      }
      if (basename(name) === "tcpdump") return tcpdump(args, machine.host, this.capture, output);
      if (name === "docker") return this.dockerCommand(words, namespace, output);
      if (BUILT_IN.includes(name)) return this.builtIn(name, args, namespace, output);
      if (!PROGRAMS.includes(basename(name))) {
        output.err(`${notFound(name)}\n`);
        return ended(127);
      }
      const family = familyOf(machine.host);
      const text = words.map(quoted).join(" ");
      return this.launch(parseCommand(text, LINE, family), namespace, output, text);
    } catch (error) {
      if (!(error instanceof InputError) && !(error instanceof RangeError)) throw error;
      const text = error instanceof InputError ? `found ${error.found}, expected ${error.expected}` : error.message;
      output.err(`${name}: ${text}\n`);
      return ended(2);
    }
  }

  /** `docker exec [OPTIONS] CONTAINER COMMAND...`: the container and the command; null for another command. */
  private execOf(words: readonly string[], { docker, host }: Pick<Machine, "docker" | "host">): DockerExec | null {
    const [name = "", ...rest] = words[1] === "container" ? [words[0]!, ...words.slice(2)] : words;
    if (docker === null || !host.unix.has(DOCKER_SOCKET) || name !== "docker" || rest[0] !== "exec") return null;
    const args = rest.slice(1);
    while (args[0]?.startsWith("-")) if (/^-{1,2}(e|env|u|user|w|workdir)$/.test(args.shift()!)) args.shift();
    return { container: args[0] ?? "", words: args.slice(1) };
  }

  /** The running container that `docker exec -it CONTAINER sh` goes to; null for another command. */
  shellOf(namespace: string, words: readonly string[]): string | null {
    const host = this.world.host(namespace);
    const inside = this.execOf(words, { docker: this.docker?.daemon ?? null, host });
    if (inside === null || this.docker === null || !isShell(inside.words)) return null;
    const found = containerOf(this.docker.daemon, inside.container);
    return found?.state === "running" ? found.name : null;
  }

  private startInside({ container, words }: DockerExec, output: Output): Job {
    const found = this.docker === null ? null : containerOf(this.docker.daemon, container);
    if (container === "" || words.length === 0) {
      output.err('"docker exec" requires at least 2 arguments: docker exec CONTAINER COMMAND\n');
      return ended(1);
    }
    if (found === null) {
      output.err(`Error response from daemon: No such container: ${container}\n`);
      return ended(1);
    }
    if (found.state !== "running") {
      output.err(`Error response from daemon: container ${found.id} is not running\n`);
      return ended(1);
    }
    // A shell without a terminal has nothing to read, and ends.
    return isShell(words) ? ended(0) : this.start(found.namespace, words, output);
  }

  private builtIn(name: string, args: readonly string[], namespace: string, output: Output): Job {
    if (name === "sleep") return this.launch(sleep(args), namespace, output, ["sleep", ...args].join(" "));
    if (name === "echo") output.out(`${args.join(" ")}\n`);
    if (name === "help") output.out(`${Session.commands.join(" ")}\n`);
    if (name === "whoami") output.out("root\n");
    if (name === "date") output.out(`${new Date(this.world.fabric.scheduler.now / 1e6).toISOString()}\n`);
    return ended(name === "false" ? 1 : 0);
  }

  private dockerCommand(words: readonly string[], namespace: string, output: Output): Job {
    if (this.docker === null) {
      output.err("docker: this scenario has no Docker; a scenario with docker: has\n");
      return ended(1);
    }
    const text = words.map(quoted).join(" ");
    const job = this.launch(this.docker.client(text, LINE), namespace, output, text);
    this.world.settle();
    return job;
  }

  private launch(program: Program, namespace: string, output: Output, command: string): Job {
    const { fabric } = this.world;
    const host = this.world.host(namespace);
    const { net } = host;
    const process = host.processes.start(command, { terminal: true });
    const job = new Running(program, output, () => host.processes.end(process));
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

/** Lets virtual time pass. @throws {RangeError} */
function sleep([text = ""]: readonly string[]): Program {
  if (!/^\d+(\.\d+)?s?$/.test(text) || Number.parseFloat(text) > 1e6)
    throw new RangeError(`invalid time interval '${text}'; seconds such as 2 or 0.5`);
  return {
    name: "sleep",
    serves: false,
    start: ({ scheduler, exit }) => scheduler.timer(() => exit(0)).armIn(Math.round(Number.parseFloat(text) * 1e9)),
  };
}

function notFound(name: string): string {
  const instead = Object.hasOwn(NOT_HERE, name) ? NOT_HERE[name]! : null;
  if (instead !== null) return `${name}: hopscope has it not; instead: ${instead}`;
  const meant = nearest(name, Session.commands);
  return `${name}: command not found; ${meant === null ? "help lists what there is" : `did you mean ${meant}?`}`;
}

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
    private readonly ended: () => void,
  ) {
    this.endless = endless;
    this.serves = serves;
  }

  say(text: string): void {
    if (this.status === null) this.output.out(`${text}\n`);
  }

  exit(status: number): void {
    this.status ??= status;
    this.ended();
  }

  /** One that does not handle the signal dies of it, and whatever it still does is not shown. */
  interrupt(): void {
    if (this.onInterrupt !== null && this.status === null) this.onInterrupt();
    else this.exit(130);
  }
}
