import { defineConfig } from "vitest/config";

export default defineConfig({
  // No test is about time that passes: the limit is for one that hangs.
  test: { include: ["test/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000 },
});
