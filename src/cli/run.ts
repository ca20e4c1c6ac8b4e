import { writeFileSync } from "node:fs";
import pc from "picocolors";
import { type LessonSpec, type Outcome, runScenario, type Scenario } from "../scenario/scenario.ts";
import { formatJsonLines } from "../trace/json-lines.ts";
import { formatPcapng } from "../trace/pcapng.ts";
import type { Level } from "../trace/step.ts";
import { type Role, type StoryLine, storyText, tellStory } from "../trace/story.ts";
import { readTrace } from "../trace/trace.ts";
import { formatXtables } from "../trace/xtables-monitor.ts";
import type { PresetName } from "../translator/preset.ts";
import { loadScenario } from "./scenario-file.ts";
import { unmodelledText } from "./unmodelled.ts";

export const FORMATS = ["text", "json", "xtables"] as const;

export interface RunOptions {
  readonly format: (typeof FORMATS)[number];
  readonly level: Level;
  readonly seed?: number;
  /** Virtual nanoseconds. */
  readonly until?: number;
  /** What its translators behave like instead. */
  readonly preset?: PresetName;
  readonly engine?: string;
  readonly output?: string;
  readonly pcap?: string;
}

const COLOURS: Partial<Record<Role, (text: string) => string>> = {
  title: pc.bold,
  time: pc.dim,
  namespace: pc.cyan,
  change: pc.yellow,
  accept: pc.green,
  drop: pc.red,
  event: pc.dim,
  bytes: pc.dim,
};

const coloured = (line: StoryLine): string =>
  line
    .map(({ text, role }) => (COLOURS[role] ?? String)(text))
    .join("")
    .trimEnd();

/** `hopscope run`: 0 when every expectation holds, 1 when one fails. @throws {InputError} */
export function run(nameOrFile: string, options: RunOptions): number {
  const scenario = loadScenario(nameOrFile);
  const { seed, until, preset, engine } = options;
  const outcome = runScenario(scenario, {
    ...(seed === undefined ? {} : { seed }),
    ...(until === undefined ? {} : { until }),
    ...(preset === undefined ? {} : { preset }),
    ...(engine === undefined ? {} : { engine }),
  });
  const { names } = outcome.recorder;
  if (options.pcap !== undefined) writeFileSync(options.pcap, formatPcapng(outcome.capture.frames, names));
  const text = render(scenario, outcome, options);
  if (options.output === undefined) process.stdout.write(text);
  else writeFileSync(options.output, text);
  process.stderr.write(unmodelledText(outcome.world));
  const failed = outcome.expectations.filter(({ holds }) => !holds);
  if (options.format !== "text" || options.output !== undefined)
    for (const { text: what, detail } of failed) process.stderr.write(`fails  ${what}\n       ${detail}\n`);
  return failed.length > 0 || outcome.end === "storm" ? 1 : 0;
}

function render(scenario: Scenario, outcome: Outcome, { format, level, output }: RunOptions): string {
  const trace = readTrace(outcome.recorder);
  if (format === "json") return formatJsonLines(trace);
  if (format === "xtables") return formatXtables(trace);
  const capture = { capture: outcome.capture, names: outcome.recorder.names };
  const lines = tellStory(trace, { level, capture });
  const story = output === undefined && pc.isColorSupported ? `${lines.map(coloured).join("\n")}` : storyText(lines);
  const { title, lesson } = scenario;
  return [
    pc.bold(title),
    "",
    ...wrapped(scenario.story),
    "",
    ...(lesson === null ? [] : [...question(lesson), ""]),
    story,
    "",
    ...(lesson === null ? [] : [...answer(lesson), ""]),
    ...verdicts(outcome),
    "",
  ].join("\n");
}

const LETTERS = "abcdef";

function question({ question: asked, answers }: LessonSpec): string[] {
  return [
    ...wrapped(asked, "Before you look: ").map(pc.bold),
    ...answers.flatMap(({ text }, index) => wrapped(text, `  ${LETTERS[index]})  `)),
  ];
}

function answer({ belief, answers, explanation }: LessonSpec): string[] {
  const right = answers.findIndex(({ correct }) => correct === true);
  return [
    ...wrapped(answers[right]!.text, `Answer: ${LETTERS[right]})  `).map(pc.bold),
    ...wrapped(explanation),
    ...wrapped(`"${belief}"`, "Not so: "),
  ];
}

/** Words to lines of at most 100 columns, behind `first` on the first line and as many spaces on the others. */
function wrapped(text: string, first = ""): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    if (line !== "" && first.length + line.length + 1 + word.length > 100) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  if (line !== "") lines.push(line);
  return lines.map((each, index) => (index === 0 ? first : " ".repeat(first.length)) + each);
}

function verdicts({ expectations, end }: Outcome): string[] {
  const lines: string[] = [];
  for (const { text, holds, detail } of expectations)
    if (!holds) lines.push(...wrapped(text, "fails  ").map(pc.red), ...wrapped(detail, "       "));
  if (end === "storm")
    lines.push(pc.red("fails  a storm: frames multiply without end, so the run was stopped (a loop of bridges?)"));
  const held = expectations.filter(({ holds }) => holds).length;
  lines.push(`${held} of ${expectations.length} expectations hold.`);
  return lines;
}
