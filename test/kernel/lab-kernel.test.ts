import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canonical } from "../../src/cli/oracle/canonical.ts";
import { compare, formatDifference } from "../../src/cli/oracle/difference.ts";
import { Kernel, KernelError, missingForKernel } from "../../src/cli/oracle/kernel.ts";
import { verifyLab } from "../../src/cli/oracle/verification.ts";
import type { LabCase } from "../../src/scenario/lab-case.ts";
import { caseFiles, FOLDER, readCase, readRecording, writeRecording } from "./cases.ts";
import { quickLab } from "./random-lab.ts";

/** `HOPSCOPE_RANDOM=10000 HOPSCOPE_SEED=7 npm run test:kernel` tries other and more cases. */
const RANDOM = Number(process.env["HOPSCOPE_RANDOM"] ?? 200);
const SEED = Number(process.env["HOPSCOPE_SEED"] ?? 1);
/** The kernel draws ports: of fifty, two are the same once in twenty runs, and names tell them apart. */
const DRAWS = 3;
/** A case waits for the kernel more than it works. */
const WORKERS = 2 * Math.min(availableParallelism(), 8);
const FOUND = join(FOLDER, "../found");

const missing = missingForKernel();
const skipped = missing === null ? "" : ` (skipped: ${missing})`;
let kernels: Kernel[] = [];

/** What of a rule this kernel was built without. */
const isLacking = (error: KernelError): boolean => /RULE_APPEND failed|No chain\/target\/match/.test(error.message);

/** The first tool of a case that this machine has not; "" for none. */
function toolMissing(file: string): string {
  const commands = (readCase(file).steps ?? []).flatMap(({ op, command }) => (op === "tool" ? [command!] : []));
  const lacking = (tool: string) => spawnSync("sh", ["-c", `command -v ${tool}`]).status !== 0;
  return [...new Set(commands.map((command) => command.split(" ")[0]!))].find(lacking) ?? "";
}

const files = missing === null ? caseFiles() : [];
const unequipped = files.filter((file) => toolMissing(file) !== "");
const installed = files.filter((file) => !unequipped.includes(file));

describe.skipIf(missing !== null)(`the kernel of this machine and hopscope agree${skipped}`, () => {
  beforeAll(() => {
    kernels = Array.from({ length: WORKERS }, (_, worker) => new Kernel(worker));
  });
  afterAll(() => {
    for (const kernel of kernels) kernel.close();
  });

  test.skip.each(unequipped.map((file) => [file, toolMissing(file)]))("on the case %s (skipped: no %s)", () => {});

  test.each(installed)("on the case %s", { timeout: 240_000 }, async (file) => {
    const lab = readCase(file);
    const { difference } = await verifyLab(lab, kernels[0]!);
    expect(difference === null ? "" : formatDifference(difference)).toBe("");
  });

  test.each(installed)("the recording of %s is what this kernel does", { timeout: 240_000 }, async (file) => {
    const lab = readCase(file);
    let difference = null;
    for (let draw = 0; draw < DRAWS; draw++) {
      const answer = canonical(await kernels[0]!.run(lab), lab);
      if (process.env["ACCEPT"] === "1") writeRecording(file, answer);
      difference = compare(answer, readRecording(file));
      if (difference === null) break;
    }
    expect(difference === null ? "" : formatDifference(difference)).toBe("");
  });

  test(`on ${RANDOM} random cases`, { timeout: 120_000 + RANDOM * 2000 }, async () => {
    const outcomes = await Promise.all(kernels.map((kernel, worker) => tryMany(kernel, worker)));
    expect(outcomes.filter((outcome) => outcome !== "").join("\n")).toBe("");
  });
});

/** Nothing, or the smallest difference found, which is saved as a case. */
async function tryMany(kernel: Kernel, worker: number): Promise<string> {
  const seed = SEED * 1000 + worker;
  const numRuns = Math.ceil(RANDOM / WORKERS);
  const ran = await fc.check(
    fc.asyncProperty(quickLab, (lab) => agree(lab, kernel)),
    { seed, numRuns, interruptAfterTimeLimit: 60_000 + RANDOM * 1500 },
  );
  const { counterexample, errorInstance } = ran;
  if (counterexample === null) return ran.interrupted ? `only ${ran.numRuns} of ${numRuns} cases ran in time` : "";
  mkdirSync(FOUND, { recursive: true });
  const file = join(FOUND, `seed-${seed}.json`);
  writeFileSync(file, `${JSON.stringify({ name: `seed ${seed}`, ...counterexample[0] }, null, 2)}\n`);
  return `${basename(file)}: ${(errorInstance as Error).message}`;
}

async function agree(lab: LabCase, kernel: Kernel): Promise<void> {
  const { difference, unsteady } = await verifyLab(lab, kernel).catch((error: unknown) => {
    if (error instanceof KernelError && isLacking(error)) return fc.pre(false) as never;
    throw error;
  });
  if (difference !== null && !unsteady) throw new Error(formatDifference(difference));
}
