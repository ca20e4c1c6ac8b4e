import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { missingForKernel } from "../../src/cli/oracle/kernel.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const TSX = join(ROOT, "node_modules/tsx/dist/cli.mjs");
const FIRST = "test/kernel/cases/first-slice.json";

function hopscope(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [TSX, "src/cli/main.ts", ...args], {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
  return { status, stdout, stderr };
}

const missing = missingForKernel();

describe("hopscope verify", { timeout: 60_000 }, () => {
  it("ends with 2 for a case that is wrong", () => {
    const { status, stderr } = hopscope(["verify", "none.json"]);
    expect(stderr).toContain("none.json:1:1: found no such file");
    expect(status).toBe(2);
  });

  it("ends with 3 and one line where the kernel cannot be asked", () => {
    const { status, stdout, stderr } = hopscope(["verify", FIRST], { PATH: "/nowhere" });
    expect(stderr).toBe("hopscope: this machine's kernel cannot be asked: python3 is not installed\n");
    expect(stdout).toBe("");
    expect(status).toBe(3);
  });

  it.skipIf(missing !== null)(
    `ends with 0 where the kernel agrees${missing === null ? "" : ` (skipped: ${missing})`}`,
    () => {
      const { status, stdout } = hopscope(["verify", FIRST]);
      expect(stdout).toBe("the kernel agrees: 20 frames, 1 rule hits, 1 flows\n");
      expect(status).toBe(0);
    },
  );

  it("prints a scenario as a case, and a case as a scenario", () => {
    const { status, stdout, stderr } = hopscope(["lab", "--from", "same-bridge"]);
    expect(JSON.parse(stdout)).toMatchObject({ name: expect.any(String), namespaces: { c1: {}, c2: {} } });
    expect(stderr).toContain("left out: expect: ");
    expect(status).toBe(0);
    const back = hopscope(["lab", "--to-scenario", FIRST]);
    expect(back.stdout).toMatch(/^title: first slice\n/);
    expect(back.stdout).toContain("run: ping -c 1 -W 1 -s 8 -t 64 -M dont 198.51.100.7");
    expect(back.stderr).toBe("left out: namespaces.server.addrs: addresses of lo (198.51.100.7/32)\n");
  });
});
