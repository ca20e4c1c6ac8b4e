/** The public API. Everything here runs in Node and in a browser. */

export { formatTables, parseRules } from "./kernel/netfilter/rule-text.ts";
export { runLab } from "./scenario/lab.ts";
export type { LabCase, LabResult } from "./scenario/lab-case.ts";
export {
  type Outcome,
  parseScenario,
  runScenario,
  type Scenario,
  scenarioSchema,
  type Verdict,
} from "./scenario/scenario.ts";
export { Random } from "./sim/random.ts";
export type { Capture, CapturedFrame } from "./trace/capture.ts";
export { formatJsonLines, traceSchema } from "./trace/json-lines.ts";
export type { Recorder } from "./trace/recorder.ts";
export { formatStory, type StoryOptions, tellStory } from "./trace/story.ts";
export { type Disposition, type Hop, type PacketTrace, readTrace, type Step, type Trace } from "./trace/trace.ts";
export { formatXtables } from "./trace/xtables-monitor.ts";
export { formatIpv4, formatMac, type Mac, parseIpv4, parseMac } from "./wire/address.ts";
export { InputError } from "./wire/input-error.ts";
export { type EndOptions, type Host, World } from "./world/world.ts";
