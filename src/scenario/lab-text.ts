import type { z } from "zod";
import { type Path, Source } from "../docker/source.ts";
import { InputError } from "../wire/input-error.ts";
import { runLab } from "./lab.ts";
import type { LabCase, LabResult } from "./lab-case.ts";
import { LabFault } from "./lab-fault.ts";
import { LAB_CASE } from "./lab-format.ts";

/** The JSON text of a case, which knows where each value stands. */
export class LabText {
  readonly lab: LabCase;

  /** `line` is where the text begins in its file. @throws {InputError} for text that is no case. */
  constructor(
    private readonly text: string,
    private readonly file: string,
    private readonly line = 1,
  ) {
    const result = LAB_CASE.safeParse(this.parse());
    if (!result.success) throw this.errorOf(result.error.issues[0]!);
    this.lab = result.data;
  }

  /** @throws {InputError} for what cannot be built or done. */
  run(): LabResult {
    try {
      return runLab(this.lab);
    } catch (error) {
      throw this.located(error);
    }
  }

  /** An error of building or running the case, with the place that it is about. */
  located(error: unknown): unknown {
    return error instanceof LabFault ? this.error(error.path, error.expected) : error;
  }

  private parse(): unknown {
    try {
      return JSON.parse(this.text);
    } catch {
      const at = firstBadLetter(this.text);
      const before = this.text.slice(0, at).split("\n");
      const rest = this.text.slice(at).split("\n")[0]!.trim();
      const place = { file: this.file, line: this.line + before.length - 1, column: before.at(-1)!.length + 1 };
      throw new InputError(place, rest === "" ? "the end of the line" : `"${rest.slice(0, 30)}"`, "JSON");
    }
  }

  private errorOf(issue: z.core.$ZodIssue): InputError {
    const path = issue.path as Path;
    if (issue.code === "unrecognized_keys") return this.error([...path, issue.keys[0]!], issue.message, "key");
    if (issue.code === "invalid_key") return this.error(path, issue.issues[0]?.message ?? issue.message, "key");
    return this.error(path, issue.message);
  }

  /** JSON is YAML, whose reader keeps the places. */
  private error(path: Path, expected: string, part: "value" | "key" = "value"): InputError {
    const where = path.length === 0 ? "" : ` at ${path.join(".")}`;
    try {
      return new Source("\n".repeat(this.line - 1) + this.text, this.file).error(path, expected + where, part);
    } catch {
      return new InputError({ file: this.file, line: this.line, column: 1 }, "a value", expected + where);
    }
  }
}

/** The length of the longest beginning that could still become JSON. */
function firstBadLetter(text: string): number {
  let [good, bad] = [0, text.length];
  while (good < bad) {
    const middle = (good + bad + 1) >> 1;
    if (isUnfinished(text.slice(0, middle))) good = middle;
    else bad = middle - 1;
  }
  return good;
}

function isUnfinished(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    const { message } = error as Error;
    const [, position] = /position (\d+)/.exec(message) ?? [];
    return position === undefined ? message.includes("end of JSON") : Number(position) >= text.length;
  }
}
