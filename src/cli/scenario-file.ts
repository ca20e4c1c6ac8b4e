import { readdirSync, readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { scenarioAround } from "../scenario/compose-scenario.ts";
import { type Heading, parseScenario, readHeading, type Scenario } from "../scenario/scenario.ts";
import { InputError } from "../wire/input-error.ts";

/** The scenarios that come with hopscope; the same folder seen from `src/cli` and from `dist/cli`. */
const FOLDER = fileURLToPath(new URL("../../scenarios/", import.meta.url));

/** Names of the scenarios that come with hopscope, without their ending. */
export function scenarioNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => file.slice(0, -5))
    .sort();
}

/** Of a scenario that comes with hopscope. */
export function loadHeading(name: string): Heading {
  const path = join(FOLDER, `${name}.yaml`);
  return readHeading(readInput(path), path);
}

const STANDARD_INPUT = 0;

/** The text of a file, or of standard input for `-`. @throws {InputError} for a file that cannot be read. */
export function readInput(path: string): string {
  try {
    return readFileSync(path === "-" ? STANDARD_INPUT : path, "utf8");
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : (error as Error).message;
    throw new InputError({ file: path, line: 1, column: 1 }, reason, "a file that can be read");
  }
}

/** A scenario by its name or its file; around a compose file it makes one. @throws {InputError}. */
export function loadScenario(nameOrFile: string, engine?: string): Scenario {
  const named = !/[./\\]/.test(nameOrFile);
  if (named && !scenarioNames().includes(nameOrFile))
    throw new InputError(
      { file: nameOrFile, line: 1, column: 1 },
      `the name "${nameOrFile}"`,
      `a file, or one of: ${scenarioNames().join(", ")}`,
    );
  const path = named ? relative(process.cwd(), join(FOLDER, `${nameOrFile}.yaml`)) : nameOrFile;
  const text = readInput(path);
  const isCompose = /^services\s*:/m.test(text) && !/^namespaces\s*:/m.test(text);
  if (!isCompose && engine !== undefined)
    throw new InputError(
      { file: path, line: 1, column: 1 },
      "a scenario",
      "a compose file, for --engine is given; a scenario says docker: engine:",
    );
  return isCompose
    ? parseScenario(scenarioAround(basename(path), engine ?? null), path, readInput)
    : parseScenario(text, path, readInput);
}
