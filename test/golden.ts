import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { expect } from "vitest";

/** Compares a text with the file that holds what was accepted; `ACCEPT=1 npx vitest run ...` accepts what is now. */
export function matchGolden(path: string, text: string): void {
  if (process.env["ACCEPT"] === "1") writeFileSync(path, text);
  const golden = existsSync(path) ? readFileSync(path, "utf8") : "";
  expect(text, `${basename(path)} differs; look at the difference, then run with ACCEPT=1 to accept it`).toBe(golden);
}
