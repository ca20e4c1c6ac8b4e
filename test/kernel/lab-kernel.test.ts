import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ORACLE = fileURLToPath(new URL("../../../shared/oracle", import.meta.url));

/** Why this machine's kernel cannot be asked, or null. */
function obstacle(): string | null {
  if (!existsSync(`${ORACLE}/compare.py`)) return "no ../shared/oracle beside the project";
  if (process.getuid?.() !== 0) return "not root";
  for (const tool of ["ip", "iptables-restore", "python3"])
    if (spawnSync("sh", ["-c", `command -v ${tool}`]).status !== 0) return `${tool} is not installed`;
  const probe = spawnSync("python3", [`${ORACLE}/oracle.py`, "probe"], { encoding: "utf8" });
  return probe.status === 0 ? null : "the kernel harness cannot run here";
}

/** Holds the simulator against the kernel; answers with what `compare.py` printed. @throws when they differ. */
function compare(...cases: string[]): string {
  const simulator = `${process.execPath} --import tsx src/cli/main.ts lab --serve`;
  const args = [`${ORACLE}/compare.py`, "--sim", simulator, "--no-tcp", ...cases];
  try {
    return execFileSync("python3", args, { cwd: ROOT, encoding: "utf8" });
  } catch (error) {
    throw new Error((error as { stdout?: string }).stdout || String(error));
  }
}

const missing = obstacle();
const skipped = missing === null ? "" : ` (skipped: ${missing})`;

describe.skipIf(missing !== null)(`the kernel of this machine and hopscope agree${skipped}`, () => {
  test("on every fixed case", { timeout: 120_000 }, () => {
    const cases = readdirSync(`${ORACLE}/cases`).map((name) => `${ORACLE}/cases/${name}`);
    expect(compare("--cases", ...cases)).toMatch(/^agree /m);
  });

  test("on 200 random cases", { timeout: 300_000 }, () => {
    expect(compare("--first", "1", "--count", "200")).toMatch(/^agree /m);
  });
});
