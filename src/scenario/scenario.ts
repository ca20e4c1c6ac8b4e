import { type Engine, findEngine } from "../docker/engine.ts";
import type { DockerHost } from "../docker/model.ts";
import type { Plan as DockerPlan } from "../docker/plan.ts";
import type { RunEnd } from "../sim/scheduler.ts";
import { Capture } from "../trace/capture.ts";
import type { Recorder } from "../trace/recorder.ts";
import type { PresetName } from "../translator/preset.ts";
import type { World } from "../world/world.ts";
import { enginesOf, ScenarioDocker } from "./docker.ts";
import { Evidence, type Flow } from "./evidence.ts";
import { judge, type Verdict } from "./expectation.ts";
import { checkExpectations, isAbout } from "./expectation-check.ts";
import type { LessonSpec } from "./format.ts";
import { Journal } from "./journal.ts";
import { Replay } from "./live.ts";
import { applySysctls, attempt, buildNetwork, type Material } from "./network.ts";
import { parseDuration } from "./quantity.ts";
import { type ReadFile, readMaterial } from "./reading.ts";
import { Plan, type ProgramRun } from "./steps.ts";

export type { Verdict } from "./expectation.ts";
export { LESSON_GROUPS, type LessonSpec, scenarioSchema } from "./format.ts";
export { type Heading, readHeading } from "./reading.ts";
export type { ProgramLine, ProgramRun } from "./steps.ts";

/** A checked scenario: it can be run any number of times. */
export interface Scenario {
  readonly file: string;
  readonly title: string;
  readonly story: string;
  readonly lesson: LessonSpec | null;
  readonly seed: number;
  /** Virtual nanoseconds at which a run ends; null for "when nothing is under way". */
  readonly until: number | null;
  /** The Docker engines that it is about, its own first; none without Docker. */
  readonly engines: readonly string[];
  /** What Docker does before it begins; null for a scenario without Docker. */
  readonly dockerPlan: DockerPlan | null;
  readonly material: Material;
}

/** What a run left behind. */
export interface Outcome {
  readonly world: World;
  /** Null for a scenario without Docker. */
  readonly docker: DockerHost | null;
  readonly recorder: Recorder;
  readonly capture: Capture;
  readonly programs: readonly ProgramRun[];
  readonly expectations: readonly Verdict[];
  /** Null unless it was asked for. */
  readonly journal: Journal | null;
  readonly end: RunEnd;
}

/**
 * Reads a scenario and checks all of it: names, addresses, routes, rules, commands, expectations. `readFile` reads the
 * files that it names; their paths are those of the scenario's folder.
 * @throws {InputError} for the first thing that is wrong.
 */
export function parseScenario(text: string, file: string, readFile?: ReadFile): Scenario {
  const material = readMaterial(text, file, readFile);
  const { spec } = material;
  const seed = spec.seed ?? 1;
  const engines = spec.docker === undefined ? [null] : enginesOf(material, spec.docker);
  let dockerPlan: DockerPlan | null = null;
  for (const engine of engines) {
    const { world, docker } = build(material, { seed, engine });
    dockerPlan ??= docker?.plan ?? null;
    const plan = new Plan(material, world, docker);
    checkExpectations(material, world, plan.programs, engines, engine);
  }
  const until = spec.until === undefined ? null : parseDuration(spec.until);
  const { title, story = "", lesson = null } = spec;
  const names = engines.flatMap((engine) => engine?.name ?? []);
  return { file, title, story, lesson, seed, until, engines: names, dockerPlan, material };
}

/** What may happen in one instant before it counts as a storm; all of it is recorded, so memory sets the bound. */
const MOST_AT_ONCE = 50_000;

export interface RunOptions {
  readonly seed?: number;
  /** Virtual nanoseconds. */
  readonly until?: number;
  /** What its translators behave like instead, at the addresses that they have. */
  readonly preset?: PresetName;
  /** Another Docker engine than its own. */
  readonly engine?: string;
  /** What Docker is to build is built at the first moment of the run, so that the trace tells of it. */
  readonly tellDocker?: boolean;
  /** Keeps what the programs ask of their sockets. */
  readonly journal?: boolean;
}

/** @throws {InputError} for an engine that there is not. */
export function runScenario(scenario: Scenario, options: RunOptions = {}): Outcome {
  const { material } = scenario;
  const seed = options.seed ?? scenario.seed;
  const until = options.until ?? scenario.until;
  const replay = material.spec.recording === undefined ? null : new Replay(material, seed);
  const { preset, journal: kept } = options;
  const { world, docker, journal } =
    replay === null
      ? build(material, {
          seed,
          preset,
          engine: chooseEngine(scenario, options.engine),
          told: options.tellDocker,
          journal: kept,
        })
      : { world: replay.live.world, docker: null, journal: null };
  const recorder = world.fabric.record();
  const capture = new Capture();
  world.fabric.capture = capture;
  const flows: Flow[] = [];
  for (const [namespace, { net }] of world.hosts)
    net.tracker.listener = (event, connection) => {
      if (event === "NEW") flows.push({ namespace, connection });
    };
  const plan = new Plan(material, world, docker);
  plan.onStep = (step) => journal?.begin(step);
  if (docker !== null && options.tellDocker === true) plan.begin(docker.compose(), docker.daemon.namespace);
  plan.start();
  replay?.run(until);
  const end = replay === null ? world.run(until ?? undefined, MOST_AT_ONCE) : "until";
  const evidence = new Evidence(recorder, capture, flows);
  const expectations = (material.spec.expect ?? [])
    .filter((spec) => isAbout(spec, docker?.daemon.engine ?? null))
    .map((spec) => judge(spec, evidence, plan.programs));
  return {
    world,
    docker: docker?.daemon ?? null,
    recorder,
    capture,
    programs: plan.programs,
    expectations,
    journal,
    end,
  };
}

interface Built {
  readonly world: World;
  readonly docker: ScenarioDocker | null;
  readonly journal: Journal | null;
}

/** The world of a scenario before its first step. @throws {InputError} for an engine that there is not. */
export const buildScenario = (scenario: Scenario, engine?: string): Built =>
  build(scenario.material, { seed: scenario.seed, engine: chooseEngine(scenario, engine) });

function chooseEngine({ material }: Scenario, name: string | undefined): Engine | null {
  const { source, spec } = material;
  if (spec.docker === undefined) {
    if (name === undefined) return null;
    throw source.error(["docker"], "a scenario with Docker, where an engine is asked for");
  }
  const [own] = enginesOf(material, spec.docker);
  return name === undefined ? own : attempt(source, ["docker", "engine"], "an engine", () => findEngine(name));
}

interface BuildOptions {
  readonly seed: number;
  readonly preset?: PresetName | undefined;
  readonly engine: Engine | null;
  readonly told?: boolean | undefined;
  readonly journal?: boolean | undefined;
}

/** The world of a scenario, and dockerd in it. What the scenario itself says of sysctls comes after Docker's. */
function build(material: Material, { seed, preset, engine, told = false, journal: kept = false }: BuildOptions): Built {
  const world = buildNetwork(material, seed, { preset });
  const journal = kept ? new Journal(world.fabric) : null;
  const { docker, namespaces } = material.spec;
  if (docker === undefined || engine === null) return { world, docker: null, journal };
  const made = new ScenarioDocker(material, world, docker, { engine, told });
  const { namespace } = made.daemon;
  const path = ["namespaces", namespace, "sysctls"];
  applySysctls(material.source, path, world.host(namespace), namespaces[namespace]?.sysctls ?? {});
  return { world, docker: made, journal };
}
