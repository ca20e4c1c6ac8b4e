import { expect, it } from "vitest";
import { formatDifference } from "../../src/cli/oracle/difference.ts";
import { compareWithRecording } from "../../src/cli/oracle/verification.ts";
import { caseFiles, readCase, readRecording } from "./cases.ts";

it.each(caseFiles())("does what Linux did in the case %s", (file) => {
  const difference = compareWithRecording(readRecording(file), readCase(file));
  expect(difference === null ? "" : formatDifference(difference)).toBe("");
});
