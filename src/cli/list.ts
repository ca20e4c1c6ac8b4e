import { loadScenario, scenarioNames } from "./scenario-file.ts";

/** `hopscope list`: the scenarios that come with hopscope. */
export function list(): string {
  const names = scenarioNames();
  const width = Math.max(...names.map((name) => name.length));
  return names.map((name) => `${name.padEnd(width)}  ${loadScenario(name).title}\n`).join("");
}
