import { execFileSync } from "node:child_process";
import { accessSync, constants, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "vite";
import { describe, expect, it } from "vitest";
import { type Files, subject } from "./subject.ts";
import config from "./vite.config.ts";

const SEEDS = [1, 2, 0xffffffff];
const FOLDER = fileURLToPath(new URL("../../scenarios/", import.meta.url));
const FILES: Files = Object.fromEntries(
  readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(yaml|rules)$/.test(name))
    .map((name) => [name, readFileSync(join(FOLDER, name), "utf8")]),
);

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** `CHROMIUM`, or `chromium` on the path; null where there is none. */
function findChromium(): string | null {
  const { CHROMIUM, PATH = "" } = process.env;
  if (CHROMIUM) return CHROMIUM;
  const places = PATH.split(delimiter).map((directory) => join(directory, "chromium"));
  return places.find(executable) ?? null;
}

async function bundle(): Promise<string> {
  const built = await build({ ...config, configFile: false, logLevel: "warn" });
  const output = Array.isArray(built) ? built[0]! : built;
  if (!("output" in output)) throw new Error("vite built nothing");
  return output.output[0].code;
}

/** What the page shows, run in a fresh profile with no network. */
function show(chromium: string, code: string, seed: number): string {
  const directory = mkdtempSync(join(tmpdir(), "hopscope-browser-"));
  try {
    const page = join(directory, "page.html");
    const files = encodeURIComponent(JSON.stringify(FILES)).replaceAll("'", "%27");
    const script = code.replaceAll("</script", "<\\/script");
    writeFileSync(
      page,
      `<!doctype html><meta charset="utf-8"><body data-seed="${seed}" data-files="${files}"><script>${script}</script></body>`,
    );
    const flags = [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--user-data-dir=${join(directory, "profile")}`,
      "--virtual-time-budget=10000",
      "--dump-dom",
      pathToFileURL(page).href,
    ];
    const dom = execFileSync(chromium, flags, {
      encoding: "utf8",
      timeout: 60_000,
      maxBuffer: 256 << 20,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const found = /data-outcome="(\w+)"[^>]*>([^<]*)</.exec(dom);
    if (found === null) throw new Error(`the page shows no outcome: ${dom.slice(-500)}`);
    const text = decodeURIComponent(found[2]!);
    if (found[1] !== "text") throw new Error(`the page failed: ${text}`);
    return text;
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

const chromium = findChromium();

describe("the simulator", () => {
  it("gives the same text twice, and another for another seed", () => {
    const texts = SEEDS.map((seed) => subject(FILES, seed));
    expect(SEEDS.map((seed) => subject(FILES, seed))).toEqual(texts);
    expect(new Set(texts).size).toBe(SEEDS.length);
    for (const text of texts) expect(text.length).toBeGreaterThan(10_000);
  });

  it.skipIf(chromium === null)(
    `gives the same text in a browser as in Node${chromium === null ? " (skipped: no chromium on the path)" : ""}`,
    async () => {
      const code = await bundle();
      for (const seed of SEEDS) expect(show(chromium!, code, seed)).toBe(subject(FILES, seed));
    },
    180_000,
  );
});
