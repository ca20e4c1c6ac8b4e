import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { runLab } from "../scenario/lab.ts";
import type { LabCase } from "../scenario/lab-case.ts";

const answer = (text: string): string => {
  try {
    return JSON.stringify(runLab(JSON.parse(text) as LabCase));
  } catch (error) {
    return JSON.stringify({ error: error instanceof Error ? error.message : String(error) });
  }
};

/** `hopscope lab CASE.json...`: one result a line. */
export function labFiles(files: readonly string[]): void {
  for (const file of files)
    process.stdout.write(`${JSON.stringify(runLab(JSON.parse(readFileSync(file, "utf8")) as LabCase))}\n`);
}

/** `hopscope lab --serve`: one case a line in, one result a line out; a bad case gets an error line. */
export async function labServe(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin }))
    if (line.trim() !== "") process.stdout.write(`${answer(line)}\n`);
}
