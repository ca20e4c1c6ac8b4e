import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { LabCase, LabResult } from "../../scenario/lab-case.ts";

/** The same file seen from `src/cli/oracle` and from `dist/cli/oracle`. */
const HARNESS = fileURLToPath(new URL("../../../src/cli/oracle/harness.py", import.meta.url));

/** Without root, a user namespace gives the rights that network namespaces need, where the machine allows it. */
function command(...args: readonly string[]): [string, string[]] {
  const python = ["python3", HARNESS, ...args];
  return process.getuid?.() === 0 ? [python[0]!, python.slice(1)] : ["unshare", ["-Urn", "--", ...python]];
}

/** Why this machine's kernel cannot be asked, in one line; null when it can. */
export function missingForKernel(): string | null {
  if (process.platform !== "linux") return "it needs Linux";
  if (spawnSync("python3", ["--version"]).error !== undefined) return "python3 is not installed";
  const [program, args] = command("probe");
  const { stdout, error } = spawnSync(program, args, { encoding: "utf8" });
  try {
    return (JSON.parse(stdout) as { missing: string | null }).missing;
  } catch {
    return error === undefined ? "no right to make network namespaces (be root)" : `${program} cannot be run`;
  }
}

/** The kernel refused the case, or the harness did. */
export class KernelError extends Error {}

/** This machine's kernel, one case after the other. */
export class Kernel {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly waiting: { resolve(line: string): void; reject(error: Error): void }[] = [];
  private complaint = "";

  constructor(worker = 0) {
    const [program, args] = command("serve");
    this.child = spawn(program, args, { env: { ...process.env, HOPSCOPE_WORKER: String(worker) } });
    createInterface({ input: this.child.stdout }).on("line", (line) => this.waiting.shift()?.resolve(line));
    this.child.stderr.on("data", (data) => {
      this.complaint = String(data);
    });
    this.child.on("error", (error) => this.fail(error.message));
    this.child.on("close", () => this.fail(`the kernel harness stopped: ${this.complaint.trim().split("\n").at(-1)}`));
    this.child.stdin.on("error", () => {});
  }

  private fail(message: string): void {
    for (const { reject } of this.waiting.splice(0)) reject(new KernelError(message));
  }

  /** @throws {KernelError}. */
  async run(lab: LabCase): Promise<LabResult> {
    const line = await new Promise<string>((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.child.stdin.write(`${JSON.stringify(lab)}\n`);
    });
    const result = JSON.parse(line) as LabResult | { error: string };
    if ("error" in result) throw new KernelError(result.error);
    return result;
  }

  close(): void {
    this.child.stdin.end();
  }
}
