import { expect, it } from "vitest";
import { scenarioSchema } from "../../src/scenario/scenario.ts";
import { matchGolden } from "../golden.ts";
import { FOLDER } from "./files.ts";

it("is the schema file that editors read", () => {
  matchGolden(`${FOLDER}scenario.schema.json`, `${JSON.stringify(scenarioSchema(), null, 2)}\n`);
});

it("describes every key of a scenario", () => {
  const { properties, required, additionalProperties } = scenarioSchema() as {
    properties: Record<string, { description?: string }>;
    required: string[];
    additionalProperties: boolean;
  };
  expect(required).toEqual(["title"]);
  expect(additionalProperties).toBe(false);
  expect(Object.entries(properties).filter(([, { description }]) => description === undefined)).toEqual([]);
});
