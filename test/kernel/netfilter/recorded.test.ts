import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { runLab } from "../../../src/scenario/lab.ts";
import type { LabCase, LabTrace } from "../../../src/scenario/lab-case.ts";

/** Cases and what Linux 6.18 with iptables-nft 1.8.9 made of them, in our own recordings. */
const RECORDED = fileURLToPath(new URL("recorded", import.meta.url));

interface Recording {
  readonly case: LabCase;
  /** By step: `namespace table chain rule verdict`, in order. */
  readonly rules: readonly (readonly string[])[];
  /** By step: how many times a device saw a frame. */
  readonly frames: readonly number[];
}

const format = ({ ns, table, chain, rule, verdict }: LabTrace): string =>
  `${ns} ${table} ${chain} ${rule ?? "policy"} ${verdict}`;

describe("Linux and hopscope agree on every rule that fires", () => {
  it.each(readdirSync(RECORDED).map((file) => file.replace(/\.json$/, "")))("of the case %s", (name) => {
    const recording = JSON.parse(readFileSync(`${RECORDED}/${name}.json`, "utf8")) as Recording;
    const { steps } = runLab(recording.case);
    const rules = steps.map((step) => step.trace.filter(({ verdict }) => verdict !== undefined).map(format));
    expect(rules).toEqual(recording.rules);
    expect(steps.map((step) => step.frames.length)).toEqual(recording.frames);
  });
});
