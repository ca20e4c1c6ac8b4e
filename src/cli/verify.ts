import { type FromScenario, labFromScenario } from "../scenario/lab-from-scenario.ts";
import { LabText } from "../scenario/lab-text.ts";
import { formatDifference } from "./oracle/difference.ts";
import { Kernel, KernelError, missingForKernel } from "./oracle/kernel.ts";
import { type Verification, verifyLab } from "./oracle/verification.ts";
import { loadScenario, readInput } from "./scenario-file.ts";
import { unmodelledText } from "./unmodelled.ts";

/** Exit statuses beside those of bad input. */
const AGREES = 0;
const DIFFERS = 1;
const CANNOT_RUN = 3;

/**
 * `hopscope verify`: runs a scenario or a lab case here and on this machine's kernel, and tells the first difference.
 * @throws {InputError}.
 */
export async function verify(nameOrFile: string, engine?: string): Promise<number> {
  const { lab, lost, located } = loadCase(nameOrFile, engine);
  for (const what of lost) process.stderr.write(`not compared: ${what}\n`);
  const missing = missingForKernel();
  if (missing !== null) return complain(`this machine's kernel cannot be asked: ${missing}`);
  const kernel = new Kernel();
  try {
    const verification = await verifyLab(lab, kernel);
    process.stderr.write(unmodelledText(verification.world));
    process.stdout.write(report(verification));
    return verification.difference === null ? AGREES : DIFFERS;
  } catch (error) {
    if (error instanceof KernelError) return complain(`the kernel does not take this case: ${error.message}`);
    throw located(error);
  } finally {
    kernel.close();
  }
}

function complain(text: string): number {
  process.stderr.write(`hopscope: ${text}\n`);
  return CANNOT_RUN;
}

function loadCase(nameOrFile: string, engine?: string): FromScenario & { located(error: unknown): unknown } {
  if (!nameOrFile.endsWith(".json"))
    return { ...labFromScenario(loadScenario(nameOrFile), engine), located: (error) => error };
  const text = new LabText(readInput(nameOrFile), nameOrFile);
  return { lab: text.lab, lost: [], located: (error) => text.located(error) };
}

function report({ difference, unsteady, frames, hits, flows }: Verification): string {
  if (difference === null) return `the kernel agrees: ${frames} frames, ${hits} rule hits, ${flows} flows\n`;
  return `${formatDifference(difference)}${unsteady ? "The kernel itself answered this case differently twice.\n" : ""}`;
}
