import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Canonical } from "../../src/cli/oracle/canonical.ts";
import type { LabCase } from "../../src/scenario/lab-case.ts";
import { LabText } from "../../src/scenario/lab-text.ts";

/** The fixed cases; `<case>.kernel.json` beside each is what a kernel did, in canonical form. */
export const FOLDER = fileURLToPath(new URL("cases/", import.meta.url));

export const caseFiles = (): string[] =>
  readdirSync(FOLDER)
    .filter((file) => file.endsWith(".json") && !file.endsWith(".kernel.json"))
    .map((file) => file.slice(0, -5));

export const readCase = (file: string): LabCase =>
  new LabText(readFileSync(join(FOLDER, `${file}.json`), "utf8"), `${file}.json`).lab;

const recordingOf = (file: string): string => join(FOLDER, `${file}.kernel.json`);

export const readRecording = (file: string): Canonical =>
  JSON.parse(readFileSync(recordingOf(file), "utf8")) as Canonical;

/** A line for each step, so that a change of a recording can be read. */
export function writeRecording(file: string, { steps, end }: Canonical): void {
  const lines = steps.map((step) => JSON.stringify(step)).join(",\n");
  writeFileSync(recordingOf(file), `{"steps":[\n${lines}\n],\n"end":${JSON.stringify(end)}}\n`);
}
