import { type Machine, nowOf } from "./machine.ts";
import { lines, type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import { type ProcessRow, processRows } from "./process-list.ts";
import { familyOf, userlandOf } from "./userland.ts";

const KNOWN = "ps, ps -e, ps -ef, ps ax, ps -eH and ps -o pid,ppid,user,uid,comm,cmd,args,tty,time,stime";

/** `ps` of procps, or BusyBox's; who waits for memory and for the processor no model knows. */
export function ps(args: readonly string[], machine: Machine): Printed {
  const all = processRows(machine, ["ps", ...args].join(" "));
  if (familyOf(machine.host) === "busybox") return printed(busybox(all));
  const options = parse(args);
  const shown = options.every ? all : all.filter(({ terminal }) => terminal);
  const old = ["ubuntu-16.04", "debian-8"].includes(userlandOf(machine.host));
  const view: View = { now: nowOf(machine), pid: old ? 5 : 7 };
  return printed(table(options.forest ? byParent(shown) : shown.map((row) => [row, 0]), columnsOf(options), view));
}

interface Options {
  readonly every: boolean;
  readonly full: boolean;
  /** Children stand below their parents. */
  readonly forest: boolean;
  /** BSD's `x`: the state of each, and its whole command. */
  readonly bsd: boolean;
  readonly columns: readonly string[] | null;
}

/** @throws {Refusal} */
function parse(args: readonly string[]): Options {
  let letters = "";
  let bsd = "";
  let columns: string[] | null = null;
  for (let i = 0; i < args.length; i++) {
    const [, given = "", list = null] = /^-([a-zA-Z]*?)(?:o(.*))?$/.exec(args[i]!) ?? [null, ""];
    if (!args[i]!.startsWith("-")) bsd += args[i]!;
    letters += given;
    if (list !== null) columns = [...(columns ?? []), ...(list || (args[++i] ?? "")).split(/[ ,]+/)];
    if (columns?.includes("")) throw new Refusal("error: list of process format specifiers must follow -o", 1);
  }
  const wrong = /[^eAfHwd]/.exec(letters)?.[0] ?? /[^axwf]/.exec(bsd)?.[0];
  if (wrong !== undefined) throw unmodelled(`ps ${args.join(" ")} (${wrong})`, KNOWN);
  const has = (letter: string) => letters.includes(letter);
  return {
    every: has("e") || has("A") || has("d") || /[ax]/.test(bsd),
    full: has("f"),
    forest: has("H") || bsd.includes("f"),
    bsd: /[ax]/.test(bsd),
    columns,
  };
}

interface View {
  readonly now: number;
  /** How wide a number is. */
  readonly pid: number;
}

interface Column {
  readonly title: string;
  readonly width: (view: View) => number;
  readonly right?: true;
  readonly cell: (row: ProcessRow, indent: string, view: View) => string;
}

const fixed = (width: number) => () => width;
const wide = ({ pid }: View): number => pid;
const command = (title: string): Column => ({
  title,
  width: fixed(27),
  cell: ({ command: text }, indent) => `${indent}${text}`,
});
const PID: Column = { title: "PID", width: wide, right: true, cell: ({ pid }) => String(pid) };
const PPID: Column = { title: "PPID", width: wide, right: true, cell: ({ parent }) => String(parent) };
const TIME: Column = { title: "TIME", width: fixed(8), right: true, cell: () => "00:00:00" };
const TTY: Column = { title: "TTY", width: fixed(8), cell: ({ terminal }) => (terminal ? "pts/0" : "?") };
const USER: Column = { title: "USER", width: fixed(8), cell: ({ user }) => user };
const NAME: Column = { title: "COMMAND", width: fixed(15), cell: ({ name }, indent) => `${indent}${name}` };
const STIME: Column = {
  title: "STIME",
  width: fixed(5),
  right: true,
  cell: ({ started }, _, { now }) => clockText(started, now),
};

const COLUMNS: Readonly<Record<string, Column>> = {
  pid: PID,
  ppid: PPID,
  user: USER,
  euser: { ...USER, title: "EUSER" },
  uid: { title: "UID", width: fixed(5), right: true, cell: () => "0" },
  comm: NAME,
  cmd: command("CMD"),
  args: command("COMMAND"),
  command: command("COMMAND"),
  tty: { ...TTY, title: "TT" },
  tt: { ...TTY, title: "TT" },
  time: TIME,
  stime: STIME,
};

/** @throws {Refusal} */
function columnsOf({ columns, full, bsd }: Options): Column[] {
  if (columns !== null)
    return columns.map((name) => {
      const column = Object.hasOwn(COLUMNS, name) ? COLUMNS[name] : undefined;
      if (column === undefined) throw unmodelled(`ps -o ${name}`, KNOWN);
      return column;
    });
  if (full)
    return [
      { ...USER, title: "UID" },
      PID,
      PPID,
      { title: "C", width: fixed(2), right: true, cell: () => "0" },
      STIME,
      TTY,
      TIME,
      command("CMD"),
    ];
  const state: Column = {
    title: "STAT",
    width: fixed(4),
    cell: ({ terminal, looks }) => (looks ? "R+" : terminal ? "S+" : "Ss"),
  };
  if (bsd) return [PID, TTY, state, { ...TIME, width: fixed(6), cell: () => "0:00" }, command("COMMAND")];
  return [PID, TTY, TIME, { ...NAME, title: "CMD" }];
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY = 86_400e9;

/** The hour of a start today, else the day. */
export function clockText(started: number, now: number): string {
  const date = new Date(started / 1e6);
  const two = (value: number) => String(value).padStart(2, "0");
  return now - started < DAY
    ? `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`
    : `${MONTHS[date.getUTCMonth()]}${two(date.getUTCDate())}`;
}

/** Each with how many of its forefathers are shown; children follow their parent. */
function byParent(rows: readonly ProcessRow[]): [ProcessRow, number][] {
  const shown = new Set(rows.map(({ pid }) => pid));
  const below = (parent: number, depth: number): [ProcessRow, number][] =>
    rows
      .filter((row) => row.parent === parent && row.pid !== parent)
      .flatMap((row) => [[row, depth] as [ProcessRow, number], ...below(row.pid, depth + 1)]);
  return rows
    .filter(({ parent }) => !shown.has(parent))
    .flatMap((row) => [[row, 0] as [ProcessRow, number], ...below(row.pid, 1)]);
}

function table(rows: readonly (readonly [ProcessRow, number])[], columns: readonly Column[], view: View): string {
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => {
        const { right, width } = columns[i]!;
        if (right === true) return cell.padStart(width(view));
        return i === cells.length - 1 ? cell : cell.padEnd(width(view));
      })
      .join(" ");
  return lines([
    line(columns.map(({ title }) => title)),
    ...rows.map(([row, depth]) => line(columns.map(({ cell }) => cell(row, "  ".repeat(depth), view)))),
  ]);
}

/** BusyBox has one table; a name that its command does not tell stands before it. */
function busybox(rows: readonly ProcessRow[]): string {
  return lines([
    "PID   USER     TIME  COMMAND",
    ...rows.map(({ pid, user, name, command: text }) => {
      const first = text.replace(/ .*/s, "").replace(/^.*\//, "");
      const called = first.startsWith(name) ? "" : `{${name}} `;
      return `${String(pid).padStart(5)} ${user.padEnd(8)}  0:00 ${called}${text}`;
    }),
  ]);
}
