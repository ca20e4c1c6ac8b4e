import { createInterface } from "node:readline";
import { labFromScenario } from "../scenario/lab-from-scenario.ts";
import { LabText } from "../scenario/lab-text.ts";
import { scenarioFromLab } from "../scenario/lab-to-scenario.ts";
import { InputError } from "../wire/input-error.ts";
import { loadScenario, readInput } from "./scenario-file.ts";

/** `hopscope lab CASE.json...`: one result a line. @throws {InputError} for the first case that is wrong. */
export function labFiles(files: readonly string[]): void {
  for (const file of files) process.stdout.write(`${JSON.stringify(new LabText(readInput(file), file).run())}\n`);
}

/** `hopscope lab --serve`: one case a line in, one result a line out; a bad case gets an error line. */
export async function labServe(): Promise<void> {
  let line = 0;
  for await (const text of createInterface({ input: process.stdin })) {
    line++;
    if (text.trim() !== "") process.stdout.write(`${answer(text, line)}\n`);
  }
}

function answer(text: string, line: number): string {
  try {
    return JSON.stringify(new LabText(text, "stdin", line).run());
  } catch (error) {
    const bad = error instanceof InputError;
    return JSON.stringify({ error: bad ? error.message : `internal error, please report it: ${String(error)}` });
  }
}

/** `hopscope lab --from SCENARIO`: the case. @throws {InputError}. */
export function printCase(scenario: string): void {
  const { lab, lost } = labFromScenario(loadScenario(scenario));
  tellLost(lost);
  process.stdout.write(`${JSON.stringify(lab, null, 2)}\n`);
}

/** `hopscope lab --to-scenario CASE.json`: the YAML. @throws {InputError}. */
export function printScenario(file: string): void {
  const text = new LabText(readInput(file), file);
  try {
    const { yaml, lost } = scenarioFromLab(text.lab);
    tellLost(lost);
    process.stdout.write(yaml);
  } catch (error) {
    throw text.located(error);
  }
}

function tellLost(lost: readonly string[]): void {
  for (const what of lost) process.stderr.write(`left out: ${what}\n`);
}
