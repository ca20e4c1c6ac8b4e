import { Session } from "../scenario/session.ts";
import { parseShellLine, plainCommand, ShellError } from "../scenario/shell-line.ts";
import { InputError } from "../wire/input-error.ts";
import { loadScenario } from "./scenario-file.ts";
import { type Interrupts, isDue, runCommand } from "./terminal.ts";

const NOT_FOUND = 127;

/**
 * `hopscope exec`: the command's own exit status. All steps of the scenario have happened by then.
 * @throws {InputError} for a bad scenario, or a host that it has not.
 */
export async function exec(
  nameOrFile: string,
  place: string,
  words: readonly string[],
  engine?: string,
): Promise<number> {
  const session = new Session(loadScenario(nameOrFile), engine);
  // What shows packets has to be there before them.
  const watches = /(^|[\s;/])tcpdump(\s|$)/.test(words.join(" "));
  if (!watches) session.runSteps();
  const namespace = session.find(place);
  if (namespace === null)
    throw new InputError(
      { file: nameOrFile, line: 1, column: 1 },
      `"${place}"`,
      `a host or container (${session.places.join(", ")})`,
    );
  const interrupts: Interrupts = { pressed: false, watching: [] };
  process.on("SIGINT", () => {
    interrupts.pressed = true;
  });
  // One word with blanks is a line for a shell, as `sh -c` takes it.
  const commands =
    words.length === 1 && /[\s|;&]/.test(words[0]!) ? lineOf(words[0]!, nameOrFile) : [plainCommand(words)];
  let status = NOT_FOUND;
  for (const command of commands)
    if (isDue(command, status)) status = await runCommand(session, namespace, command, interrupts);
  if (watches) session.runSteps();
  for (const job of interrupts.watching) job.interrupt();
  return status;
}

function lineOf(line: string, file: string) {
  try {
    return parseShellLine(line, () => "");
  } catch (error) {
    if (!(error instanceof ShellError)) throw error;
    throw new InputError({ file, line: 1, column: 1 }, line, `a command (${error.message})`);
  }
}
