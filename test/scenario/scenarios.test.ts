import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type Outcome, runScenario } from "../../src/scenario/scenario.ts";
import { ROW } from "../../src/trace/recorder.ts";
import { formatStory } from "../../src/trace/story.ts";
import { readTrace } from "../../src/trace/trace.ts";
import { matchGolden } from "../golden.ts";
import { FOLDER, readScenario, readText, SCENARIO_FILES } from "./files.ts";

/** All that the trace, the taps and the programs wrote, as one fingerprint. */
function recordOf({ recorder, capture, programs }: Outcome): string {
  const { rows, times, length } = recorder;
  const hash = createHash("sha256")
    .update(rows.subarray(0, length * ROW))
    .update(times.subarray(0, length));
  for (const { time, place, direction, bytes } of capture.frames)
    hash.update(`${time} ${place} ${direction} `).update(bytes);
  return hash.update(JSON.stringify(programs)).digest("hex");
}

describe.each(SCENARIO_FILES)("%s", (name) => {
  it("is as expected, under each engine that it is about", () => {
    const scenario = readScenario(name);
    const engines = scenario.engines.length === 0 ? [{}] : scenario.engines.map((engine) => ({ engine }));
    for (const options of engines) {
      const { expectations, end } = runScenario(scenario, options);
      expect(expectations.length).toBeGreaterThan(0);
      const failed = expectations.filter(({ holds }) => !holds).map(({ text, detail }) => `${text}: ${detail}`);
      expect({ ...options, failed, end }).toEqual({ ...options, failed: [], end: "idle" });
    }
  });

  it("tells the accepted story", () => {
    const scenario = readScenario(name);
    const { recorder } = runScenario(scenario);
    // The rules that a lesson's packets meet are held against the kernel's in lessons.test.ts.
    const level = scenario.lesson === null ? "step" : "hop";
    matchGolden(FOLDER + name.replace(/\.yaml$/, ".golden.txt"), formatStory(readTrace(recorder), { level }));
  });

  it("leaves the same record in every run", () => {
    const scenario = readScenario(name);
    const first = recordOf(runScenario(scenario));
    expect(recordOf(runScenario(scenario))).toEqual(first);
    expect(recordOf(runScenario(readScenario(name)))).toEqual(first);
  });

  it("accounts for every packet", () => {
    const { world } = runScenario(readScenario(name));
    const { injected, generated, cloned, delivered, consumed, dropped } = world.fabric.books;
    expect(delivered + consumed + dropped).toBe(injected + generated + cloned);
  });

  it("names the schema for editors in its first line", () => {
    const [first] = readText(FOLDER + name).split("\n");
    expect(first).toBe("# yaml-language-server: $schema=scenario.schema.json");
  });
});

describe("all scenarios", { timeout: 60_000 }, () => {
  it("leave the same record whichever ran before", () => {
    const run = (names: readonly string[]) =>
      new Map(names.map((name) => [name, recordOf(runScenario(readScenario(name)))]));
    const forwards = run(SCENARIO_FILES);
    const backwards = run([...SCENARIO_FILES].reverse());
    for (const name of SCENARIO_FILES) expect(backwards.get(name), name).toEqual(forwards.get(name));
  });
});
