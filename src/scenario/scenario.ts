import type { RunEnd } from "../sim/scheduler.ts";
import { Capture } from "../trace/capture.ts";
import type { Recorder } from "../trace/recorder.ts";
import type { World } from "../world/world.ts";
import { Evidence, type Flow } from "./evidence.ts";
import { judge, type Verdict } from "./expectation.ts";
import { checkExpectations } from "./expectation-check.ts";
import { SCENARIO, type ScenarioSpec } from "./format.ts";
import { buildNetwork, type Material } from "./network.ts";
import { parseDuration } from "./quantity.ts";
import { type Path, Source } from "./source.ts";
import { Plan, type ProgramRun } from "./steps.ts";

export type { Verdict } from "./expectation.ts";
export { scenarioSchema } from "./format.ts";
export type { ProgramLine, ProgramRun } from "./steps.ts";

/** A checked scenario: it can be run any number of times. */
export interface Scenario {
  readonly file: string;
  readonly title: string;
  readonly story: string;
  readonly seed: number;
  /** Virtual nanoseconds at which a run ends; null for "when nothing is under way". */
  readonly until: number | null;
  readonly material: Material;
}

/** What a run left behind. */
export interface Outcome {
  readonly world: World;
  readonly recorder: Recorder;
  readonly capture: Capture;
  readonly programs: readonly ProgramRun[];
  readonly expectations: readonly Verdict[];
  readonly end: RunEnd;
}

/**
 * Reads a scenario and checks all of it: names, addresses, routes, rules, commands, expectations. `readFile` reads the
 * files that it names; their paths are those of the scenario's folder.
 * @throws {InputError} for the first thing that is wrong.
 */
export function parseScenario(text: string, file: string, readFile?: (path: string) => string): Scenario {
  const source = new Source(text, file);
  const spec = source.read(SCENARIO);
  const material = { source, spec, files: readFiles(source, spec, file, readFile) };
  const seed = spec.seed ?? 1;
  const world = buildNetwork(material, seed);
  const plan = new Plan(material, world);
  checkExpectations(material, world, plan.programs);
  const until = spec.until === undefined ? null : parseDuration(spec.until);
  return { file, title: spec.title, story: spec.story ?? "", seed, until, material };
}

/** What may happen in one instant before it counts as a storm; all of it is recorded, so memory sets the bound. */
const MOST_AT_ONCE = 50_000;

/** Times in virtual nanoseconds. */
export function runScenario(scenario: Scenario, options: { seed?: number; until?: number } = {}): Outcome {
  const { material } = scenario;
  const world = buildNetwork(material, options.seed ?? scenario.seed);
  const recorder = world.fabric.record();
  const capture = new Capture();
  world.fabric.capture = capture;
  const flows: Flow[] = [];
  for (const [namespace, { net }] of world.hosts)
    net.tracker.listener = (event, connection) => {
      if (event === "NEW") flows.push({ namespace, connection });
    };
  const plan = new Plan(material, world);
  plan.start();
  const end = world.run(options.until ?? scenario.until ?? undefined, MOST_AT_ONCE);
  const evidence = new Evidence(recorder, capture, flows);
  const expectations = (material.spec.expect ?? []).map((spec) => judge(spec, evidence, plan.programs));
  return { world, recorder, capture, programs: plan.programs, expectations, end };
}

/** The rule files of a scenario, by the paths that it gives. */
function readFiles(source: Source, spec: ScenarioSpec, file: string, readFile: ((path: string) => string) | undefined) {
  const files = new Map<string, { readonly path: string; readonly text: string }>();
  const read = (name: string | undefined, at: Path) => {
    if (name === undefined || files.has(name)) return;
    const path = name.startsWith("/") ? name : file.slice(0, file.lastIndexOf("/") + 1) + name;
    try {
      if (readFile === undefined) throw new Error("this scenario may read no files");
      files.set(name, { path, text: readFile(path) });
    } catch (error) {
      throw source.error(at, `a file that can be read (${(error as Error).message})`);
    }
  };
  for (const [name, { rules_file }] of Object.entries(spec.namespaces))
    read(rules_file, ["namespaces", name, "rules_file"]);
  for (const [i, { rules_file }] of (spec.steps ?? []).entries()) read(rules_file, ["steps", i, "rules_file"]);
  return files;
}
