import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** For the title of a test that needs these programs: nothing, or which are missing. */
export function missingTools(...tools: readonly string[]): string {
  const missing = tools.filter((tool) => spawnSync("sh", ["-c", `command -v ${tool}`]).status !== 0);
  return missing.length === 0 ? "" : ` (skipped: ${missing.join(" and ")} not installed)`;
}

/** A program's lines, also when it ends with an error: damaged files are told of after what could be read. */
export async function lines(tool: string, ...args: readonly string[]): Promise<string[]> {
  const options = { encoding: "utf8", maxBuffer: 64 << 20 } as const;
  const stdout = await run(tool, args, options).then(
    (result) => result.stdout,
    (error: { stdout?: string; code: unknown }) => {
      // Without an exit status it did not run at all.
      if (typeof error.code !== "number") throw error;
      return error.stdout ?? "";
    },
  );
  return stdout.split("\n").slice(0, -1);
}

/** Rows of fields, one a frame, as `tshark -T fields` prints them. */
export async function tshark(file: string, ...fields: readonly string[]): Promise<string[][]> {
  const flags = fields.flatMap((field) => ["-e", field]);
  return (await lines("tshark", "-n", "-r", file, "-T", "fields", ...flags)).map((line) => line.split("\t"));
}

export async function withDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "hopscope-pcap-"));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
