#!/usr/bin/env node
import { labFiles, labServe } from "./lab.ts";

const [command, ...rest] = process.argv.slice(2);
if (command === "lab") {
  if (rest[0] === "--serve") await labServe();
  else labFiles(rest);
}
