import { formatJsonLines, formatStory, parseScenario, readTrace, runScenario } from "../../src/index.ts";

/** Files of the scenarios folder by their path in it. */
export type Files = Readonly<Record<string, string>>;

function readFile(files: Files, path: string): string {
  const text = files[path];
  if (text === undefined) throw new Error(`no file ${path}`);
  return text;
}

/** What must come out the same in Node and in a browser: every scenario's story and trace, for one seed. */
export function subject(files: Files, seed: number): string {
  return Object.keys(files)
    .filter((name) => /^[^/]*\.yaml$/.test(name))
    .sort()
    .map((name) => {
      const scenario = parseScenario(files[name]!, name, (path) => readFile(files, path));
      const outcome = runScenario(scenario, { seed });
      const trace = readTrace(outcome.recorder);
      const verdicts = outcome.expectations.map(({ text, holds }) => `${holds} ${text}\n`).join("");
      return `${scenario.title}\n${formatStory(trace)}${formatJsonLines(trace)}${verdicts}`;
    })
    .join("\n");
}
