/** What a piece of a line is, so that a terminal or a page can colour it. */
export type Role =
  | "title"
  | "time"
  | "namespace"
  | "subject"
  | "text"
  | "change"
  | "accept"
  | "drop"
  | "event"
  | "bytes"
  | "blank";

export interface Span {
  readonly text: string;
  readonly role: Role;
}

/** One line of a story; its spans joined are the line. */
export type StoryLine = readonly Span[];

/** One thing that the story tells, before it is laid out in columns. */
export interface Entry {
  readonly namespace: string;
  /** The device, hook or part of the kernel it is about. */
  readonly subject: string;
  readonly text: string;
  readonly role: Role;
  /** Virtual nanoseconds. */
  readonly time: number;
  /** How deep in the rule set: chains within chains. */
  readonly depth?: number;
  /** Starts a new stay in a namespace, so its name is shown. */
  readonly arrives?: boolean;
  /** Laid out already, such as a hex dump. */
  readonly raw?: boolean;
}

/** The title of a packet and what happens to it. */
export interface Block {
  /** Null for things that happen to no packet. */
  readonly title: string | null;
  readonly time: number;
  readonly entries: readonly Entry[];
}

/** Stands for a space where a line must not be broken. */
export const NO_BREAK = "\u00a0";

const WIDTH = 100;
const WIDEST_NAMESPACE = 20;

/** Virtual nanoseconds for people, never rounded: `1.5 ms`. */
export function formatTime(nanoseconds: number): string {
  if (nanoseconds === 0) return "0";
  const [unit, digits] =
    nanoseconds < 1e3
      ? (["ns", 0] as const)
      : nanoseconds < 1e6
        ? (["µs", 3] as const)
        : nanoseconds < 1e9
          ? (["ms", 6] as const)
          : (["s", 9] as const);
  const text = (nanoseconds / 10 ** digits).toFixed(digits);
  return `${digits === 0 ? text : text.replace(/\.?0+$/, "")} ${unit}`;
}

/** The lines as text, without a line break at the end. */
export function storyText(lines: readonly StoryLine[]): string {
  return lines.map((line) => line.map((span) => span.text).join("")).join("\n");
}

/** Lays the blocks out in columns that all of them share; no line is wider than 100. */
export function layOut(blocks: readonly Block[]): StoryLine[] {
  const entries = blocks.flatMap((block) => block.entries.filter((entry) => entry.raw !== true));
  const widest = (texts: string[], least: number) => texts.reduce((max, text) => Math.max(max, text.length), least);
  const namespaces = entries.map(({ namespace }) => namespace).filter((name) => name.length <= WIDEST_NAMESPACE);
  const subjects = entries.map(({ subject }) => subject);
  const columns = {
    namespace: widest(namespaces, 4),
    subject: widest(subjects, subjects.every((text) => text === "") ? 0 : 11),
  };
  return blocks.flatMap((block, index) => [...(index > 0 ? [[]] : []), ...blockLines(block, columns)]);
}

interface Columns {
  readonly namespace: number;
  readonly subject: number;
}

function blockLines(block: Block, columns: Columns): StoryLine[] {
  const lines: StoryLine[] = [];
  let time = Number.NaN;
  if (block.title !== null) {
    lines.push(...titleLines(block.title, `t=${formatTime(block.time)}`));
    time = block.time;
  }
  let shown: Entry | null = null;
  for (const entry of block.entries) {
    if (entry.raw === true) lines.push([{ text: entry.text, role: entry.role }]);
    else {
      lines.push(...entryLines(entry, shown, columns, entry.time === time ? "" : `t=${formatTime(entry.time)}`));
      shown = entry;
      time = entry.time;
    }
  }
  return lines;
}

function titleLines(title: string, time: string): StoryLine[] {
  const [first, ...rest] = wrap(title, WIDTH - time.length - 2, 4);
  return [
    [
      { text: first!, role: "title" },
      { text: " ".repeat(WIDTH - first!.length - time.length), role: "blank" },
      { text: time, role: "time" },
    ],
    ...rest.map((text): StoryLine => [{ text, role: "title" }]),
  ];
}

function entryLines(entry: Entry, before: Entry | null, columns: Columns, time: string): StoryLine[] {
  const lines: StoryLine[] = [];
  const stays = before !== null && before.namespace === entry.namespace && entry.arrives !== true;
  const namespace = stays ? "" : entry.namespace;
  const subject = stays && before.subject === entry.subject ? "" : entry.subject;
  const aside = namespace.length > columns.namespace;
  if (aside) lines.push([{ text: `  ${namespace}`, role: "namespace" }]);
  const left = columns.namespace + columns.subject + 6;
  const indent = (entry.depth ?? 0) * 2;
  const room = WIDTH - left - indent;
  const texts = wrap(entry.text, time === "" ? room : room - time.length - 2, 2);
  texts.forEach((text, index) => {
    const spans: Span[] = [];
    if (index === 0) {
      spans.push({ text: `  ${(aside ? "" : namespace).padEnd(columns.namespace)}  `, role: "namespace" });
      spans.push({ text: `${subject.padEnd(columns.subject)}  `, role: "subject" });
    } else spans.push({ text: " ".repeat(left), role: "blank" });
    if (indent > 0) spans.push({ text: " ".repeat(indent), role: "blank" });
    spans.push({ text: text.replaceAll(NO_BREAK, " "), role: entry.role });
    if (index === 0 && time !== "") {
      spans.push({ text: " ".repeat(room - text.length - time.length), role: "blank" });
      spans.push({ text: time, role: "time" });
    }
    lines.push(spans);
  });
  return lines;
}

/**
 * Breaks `text` into lines of at most `width` characters, all but the first indented by `hang`. Where two spaces part
 * what is said from a rule's own text, it breaks there first.
 */
export function wrap(text: string, width: number, hang: number): string[] {
  if (text.length <= width) return [text];
  const part = text.indexOf("  ");
  if (part > 0 && part <= width)
    return [
      text.slice(0, part),
      ...wrap(text.slice(part + 2), width - hang, hang).map((line) => " ".repeat(hang) + line),
    ];
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/(?<= )(?=[^ ])/)) {
    let rest = word;
    if (line.trim() !== "" && (line + rest.trimEnd()).length > width) {
      lines.push(line.trimEnd());
      line = " ".repeat(hang);
    }
    while (line.length + rest.trimEnd().length > width) {
      const fits = width - line.length;
      lines.push(line + rest.slice(0, fits));
      rest = rest.slice(fits);
      line = " ".repeat(hang);
    }
    line += rest;
  }
  return [...lines, line.trimEnd()];
}
