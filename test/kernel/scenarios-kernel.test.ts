import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatDifference } from "../../src/cli/oracle/difference.ts";
import { Kernel, missingForKernel } from "../../src/cli/oracle/kernel.ts";
import { verifyLab } from "../../src/cli/oracle/verification.ts";
import { labFromScenario } from "../../src/scenario/lab-from-scenario.ts";
import { parseScenario } from "../../src/scenario/scenario.ts";

const FOLDER = fileURLToPath(new URL("../../scenarios/", import.meta.url));
const read = (file: string) => readFileSync(join(FOLDER, file), "utf8");
/** They wait for seconds in which neighbours age: the kernel answers these differently twice. */
const UNSTEADY = ["pull-by-dockerd.yaml", "traefik-network.yaml"];
const missing = missingForKernel();
const skipped = missing === null ? "" : ` (skipped: ${missing})`;

const runs = readdirSync(FOLDER)
  .filter((file) => file.endsWith(".yaml"))
  .map((file) => parseScenario(read(file), file, read))
  // The kernel has no translators, a case no macvlan: test/kernel/upper-kernel.test.ts compares that.
  .filter(({ material }) => material.spec.translators === undefined)
  .filter(({ file }) => !UNSTEADY.includes(file) && file !== "macvlan-host.yaml")
  .flatMap((scenario) => {
    const engines = scenario.engines.length === 0 ? [undefined] : scenario.engines;
    return engines.map((engine) => [scenario.file, engine, scenario] as const);
  });

describe.skipIf(missing !== null)(`the kernel of this machine does what a scenario tells${skipped}`, () => {
  let kernel: Kernel;
  beforeAll(() => {
    kernel = new Kernel();
  });
  afterAll(() => kernel.close());

  test.each(runs)("%s, engine %s", { timeout: 240_000 }, async (_, engine, scenario) => {
    const { difference, unsteady, frames } = await verifyLab(labFromScenario(scenario, engine).lab, kernel);
    expect(difference === null || unsteady ? "" : formatDifference(difference)).toBe("");
    expect(frames).toBeGreaterThan(0);
  });
});
