import { Refusal } from "../inspect/printed.ts";
import { FILTERS, filterText } from "../inspect/text-filter.ts";
import type { Job, Output, Session } from "../scenario/session.ts";
import type { ShellCommand } from "../scenario/shell-line.ts";

const SECOND = 1e9;
/** Between two looks at Ctrl-C, virtual nanoseconds. */
const SLICE = 0.1 * SECOND;
const INTERRUPTED = 130;

export const terminal: Output = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};

/** Hears of Ctrl-C while a command runs. */
export interface Interrupts {
  /** Set by a Ctrl-C, cleared by who has seen it. */
  pressed: boolean;
  /** What shows packets beside the prompt, until a Ctrl-C there. */
  readonly watching: Job[];
}

/**
 * Runs a command to its end, its filters behind it. What goes on for ever keeps step with the clock on the wall, as the
 * real tool does; everything else is done as fast as it can be.
 */
export async function runCommand(
  session: Session,
  namespace: string,
  command: ShellCommand,
  interrupts: Interrupts,
): Promise<number> {
  const { words, filters, discards } = command;
  if (FILTERS.includes(words[0] ?? "") && words[0] !== "cat") {
    terminal.err(`${words[0]}: it has nothing to read; put it behind a command and |\n`);
    return 2;
  }
  const unending =
    isWatching(words) && filters.find(([name, ...args]) => name !== "grep" || /-\w*[cq]/.test(args.join(" ")));
  if (unending) {
    terminal.err(`${unending[0]}: tcpdump would have to end first; give it -c COUNT, or put grep PATTERN behind it\n`);
    return 2;
  }
  let text = "";
  const whole = (part: string) => void (text += part);
  const sink = filters.length === 0 ? terminal.out : isWatching(words) ? each(filters) : whole;
  const nothing = () => {};
  const job = session.start(namespace, words, {
    out: discards.includes("out") ? nothing : sink,
    err: discards.includes("err") ? nothing : command.mergesErrors ? sink : terminal.err,
  });
  if (command.background || job.serves) {
    session.world.settle();
    if (job.watches) interrupts.watching.push(job);
    else if (job.status === null) terminal.err(`${words[0]} goes on in the background\n`);
    return job.status ?? 0;
  }
  await finish(session, job, words[0] ?? "", interrupts);
  return filters.length === 0 ? job.status! : filtered(filters, text, job.status!);
}

/** `&&` and `||`. */
export const isDue = ({ when }: ShellCommand, status: number): boolean =>
  when === "always" || (when === "success") === (status === 0);

/** It never ends by itself, so that its filters see each line as it comes. */
const isWatching = ([name = ""]: readonly string[]): boolean => /(^|\/)tcpdump$/.test(name);

const each =
  (filters: ShellCommand["filters"]) =>
  (line: string): void =>
    void filtered(filters, line, 0);

async function finish(session: Session, job: Job, name: string, interrupts: Interrupts): Promise<void> {
  const { scheduler } = session.world.fabric;
  interrupts.pressed = false;
  while (job.status === null) {
    const more = session.advance(job, scheduler.now + SLICE);
    await pause(job.endless && job.status === null ? SLICE / 1e6 : 0);
    if (interrupts.pressed) {
      interrupts.pressed = false;
      process.stdout.write("^C");
      job.interrupt();
      // One that handles the signal begins a line of its own, as it does on a terminal.
      if (job.status === INTERRUPTED) process.stdout.write("\n");
    } else if (!more && job.status === null) {
      terminal.err(`${name}: it waits for something that will not happen any more; stopped\n`);
      job.interrupt();
    }
    if (job.status === null && interrupts.pressed) Object.assign(job, { status: INTERRUPTED });
  }
}

/** Lets signals and keys in. */
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => (milliseconds > 0 ? setTimeout(resolve, milliseconds) : setImmediate(resolve)));

/** The status of a pipe is that of its last command. */
export function filtered(filters: ShellCommand["filters"], text: string, status: number): number {
  for (const filter of filters) {
    try {
      const printed = filterText(filter, text);
      text = printed.out;
      status = printed.status;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      terminal.err(`${filter[0]}: ${error.message.replace(`${filter[0]}: `, "")}\n`);
      return error.status;
    }
  }
  terminal.out(text);
  return status;
}
