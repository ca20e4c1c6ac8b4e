import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { parseScenario, runScenario } from "../src/scenario/scenario.ts";

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
const blocks = [...read("README.md").matchAll(/```(\w*)\n([\s\S]*?)```/g)].map(([, language, text]) => ({
  language,
  text: text!,
}));

it("shows a transcript that is what the first scenario tells", () => {
  const transcript = blocks.find(({ text }) => text.startsWith("#1 "))!.text;
  const golden = read("scenarios/container-to-internet.golden.txt");
  const parts = transcript.trimEnd().split("\n\n");
  expect(parts.length).toBeGreaterThan(1);
  for (const part of parts) expect(golden).toContain(`${part}\n`);
});

it("shows a scenario that holds", () => {
  const yaml = blocks.find(({ language, text }) => language === "yaml" && text.includes("\ntitle: "))!.text;
  const { expectations } = runScenario(parseScenario(yaml, "README.md"));
  expect(expectations.map(({ holds, detail }) => (holds ? "holds" : detail))).toEqual(["holds"]);
});

it("names only commands that exist", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const commands = blocks.flatMap(({ text }) =>
    [...text.matchAll(/^npm (?:ci && npm )?(?:run )?(\w+)/gm)].map(([, name]) => name!),
  );
  expect(commands.length).toBeGreaterThan(2);
  for (const name of commands) expect(Object.keys(scripts)).toContain(name);
});
