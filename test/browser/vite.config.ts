import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

/** One classic script of the page and all of `src/` that it needs: module scripts do not load from file: addresses. */
export default defineConfig({
  build: {
    write: false,
    minify: false,
    target: "es2022",
    lib: { entry: fileURLToPath(new URL("page.ts", import.meta.url)), formats: ["iife"], name: "page" },
  },
});
