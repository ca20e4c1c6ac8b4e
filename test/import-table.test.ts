import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** A small `src/`: what the table allows, and every kind of thing that it must refuse. */
const FILES: Record<string, string> = {
  "sim/scheduler.ts": "export const now = 0;",
  "sim/uses-wire.ts": 'import type { Mac } from "../wire/mac.ts";\nexport type M = Mac;',
  "wire/mac.ts":
    'import { Address4 } from "ip-address";\nexport interface Mac { high: number }\nexport const a = Address4;',
  "link/veth.ts": 'import { now } from "../sim/scheduler.ts";\nexport const veth = now;',
  "link/uses-kernel.ts": 'import type { Protocol } from "../kernel/protocol.ts";\nexport type P = Protocol;',
  "link/uses-node.ts": 'import { readFileSync } from "node:fs";\nexport const read = readFileSync;',
  "link/uses-test.ts": 'import { it } from "../../test/some.ts";\nexport const test = it;',
  "kernel/protocol.ts": "export interface Protocol { number: number }\nexport const TCP = 6;",
  "kernel/input.ts": 'import type { Output } from "./output.ts";\nexport interface Input { out: Output }',
  "kernel/output.ts": 'import type { Input } from "./input.ts";\nexport interface Output { in: Input }',
  "kernel/ring-a.ts": 'import { b } from "./ring-b.ts";\nexport const a = (): number => b();',
  "kernel/ring-b.ts": 'import { a } from "./ring-a.ts";\nexport const b = (): number => a();',
  "kernel/turn-a.ts": 'import { type B } from "./turn-b.ts";\nexport type A = B[];',
  "kernel/turn-b.ts": 'import { type A } from "./turn-a.ts";\nexport type B = A | 1;',
  "kernel/inline-type.ts": 'export const s: import("../socket/udp.ts").Udp | null = null;',
  "kernel/missing.ts": 'import { x } from "./nowhere.ts";\nexport const y = x;',
  "socket/udp.ts": 'import type { Protocol } from "../kernel/protocol.ts";\nexport type Udp = Protocol;',
  "socket/tcp.ts": 'import { TCP } from "../kernel/protocol.ts";\nexport const tcp = TCP;',
  "socket/both.ts":
    'import type { Protocol } from "../kernel/protocol.ts";\nimport { TCP } from "../kernel/protocol.ts";\nexport const both: Protocol = { number: TCP };',
  "socket/input.ts": 'import type { Input } from "../kernel/input.ts";\nexport type I = Input;',
  "program/uses-link.ts": 'import { veth } from "../link/veth.ts";\nexport const v = veth;',
  "inspect/uses-sim.ts": 'import { now } from "../sim/scheduler.ts";\nexport const n = now;',
  "scenario/reads.ts": 'import { parse } from "yaml";\nexport const p = parse;',
  "world/reads.ts": 'import { parse } from "yaml";\nexport const p = parse;',
  "cli/main.ts":
    'import { readFileSync } from "node:fs";\nimport { api } from "../index.ts";\nimport { p } from "../scenario/reads.ts";\nexport const all = [readFileSync, api, p];',
  "cli/uses-vite.ts": 'import { build } from "vite";\nexport const b = build;',
  "web/page.ts": 'import { all } from "../cli/main.ts";\nexport const page = all;',
  "extra/thing.ts": 'import { now } from "../sim/scheduler.ts";\nexport const thing = now;',
  "web/canvas.ts": "export const canvas = 1;",
  "index.ts":
    'import { veth } from "./link/veth.ts";\nimport { canvas } from "./web/canvas.ts";\nexport const api = [veth, canvas];',
};

const REFUSED = [
  "index-is-portable: src/index.ts -> src/web/canvas.ts",
  "no-cycle: src/kernel/ring-a.ts -> src/kernel/ring-b.ts",
  "node-only-in-cli: src/link/uses-node.ts -> fs",
  "not-found: src/kernel/missing.ts -> ./nowhere.ts",
  "package-yaml: src/world/reads.ts -> yaml",
  "protocol-types-only: src/socket/both.ts -> src/kernel/protocol.ts",
  "protocol-types-only: src/socket/tcp.ts -> src/kernel/protocol.ts",
  "room-inspect: src/inspect/uses-sim.ts -> src/sim/scheduler.ts",
  "room-kernel: src/kernel/inline-type.ts -> src/socket/udp.ts",
  "room-link: src/link/uses-kernel.ts -> src/kernel/protocol.ts",
  "room-link: src/link/uses-test.ts -> test/some.ts",
  "room-program: src/program/uses-link.ts -> src/link/veth.ts",
  "room-sim: src/sim/uses-wire.ts -> src/wire/mac.ts",
  "room-socket: src/socket/input.ts -> src/kernel/input.ts",
  "room-web: src/web/page.ts -> src/cli/main.ts",
  "unlisted-package: src/cli/uses-vite.ts -> vite",
  "unlisted-room-imports: src/extra/thing.ts -> src/sim/scheduler.ts",
];

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly unresolvedTo: string;
  readonly rule: { readonly name: string };
}

/** Runs dependency-cruiser with this project's table over the given files. */
function violations(directory: string): string[] {
  const bin = join(ROOT, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");
  const config = join(ROOT, ".dependency-cruiser.cjs");
  const args = [bin, "--config", config, "--output-type", "json", "src"];
  const json = execFileSync(process.execPath, args, { cwd: directory, maxBuffer: 64 << 20 }).toString();
  const found = (JSON.parse(json) as { summary: { violations: Violation[] } }).summary.violations;
  return found.map(({ rule, from, to }) => {
    const name = /node_modules\/([^/]+)\//.exec(to)?.[1] ?? to;
    return `${rule.name}: ${from} -> ${name}`;
  });
}

describe("the import table", () => {
  let directory = "";
  let found: string[] = [];

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "hopscope-imports-"));
    symlinkSync(join(ROOT, "node_modules"), join(directory, "node_modules"));
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
    mkdirSync(join(directory, "test"));
    writeFileSync(join(directory, "test/some.ts"), "export const it = 1;");
    for (const [path, text] of Object.entries(FILES)) {
      const file = join(directory, "src", path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    found = violations(directory);
  }, 60_000);

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it("refuses what it forbids and nothing else", () => {
    expect(found.sort()).toEqual(REFUSED);
  });
});
