import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseScenario, type Scenario } from "../../src/scenario/scenario.ts";

export const FOLDER = fileURLToPath(new URL("../../scenarios/", import.meta.url));

/** Every scenario that the project has. */
export const SCENARIO_FILES = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".yaml"))
  .sort();

export const readText = (path: string): string => readFileSync(path, "utf8");

export const readScenario = (name: string): Scenario => parseScenario(readText(FOLDER + name), FOLDER + name, readText);
