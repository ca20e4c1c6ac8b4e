import { createInterface, type Interface } from "node:readline";
import pc from "picocolors";
import { nearest } from "../inspect/not-here.ts";
import { Session } from "../scenario/session.ts";
import { parseShellLine, type ShellCommand, ShellError } from "../scenario/shell-line.ts";
import { storyText, tellStory } from "../trace/story.ts";
import { loadScenario } from "./scenario-file.ts";
import { filtered, type Interrupts, isDue, runCommand, terminal } from "./terminal.ts";

const HELP = `enter NAME   go to a host or container      exit     back, and out of the shell
hosts, ls    where one can go               Ctrl-D   leaves the shell
step         the scenario's next step       run      all steps that are left
trace        the last command's packets     clear    an empty screen
Ctrl-C       stops a command, or tcpdump    help     this
`;
const NOT_FOUND = 127;
const OWN = ["cd", "clear", "enter", "exit", "help", "hosts", "ls", "run", "step", "trace"];

/** `hopscope shell`: one prompt for each host or container. @throws {InputError} for a bad scenario. */
export async function shell(nameOrFile: string, engine?: string): Promise<number> {
  return new Shell(new Session(loadScenario(nameOrFile), engine)).run();
}

class Shell {
  private readonly interrupts: Interrupts = { pressed: false, watching: [] };
  private readonly interactive = process.stdin.isTTY === true;
  private readonly reader: Interface;
  /** Where the prompt is: the hosts that were entered, the last of them now. */
  private readonly path: string[] = [];
  private status = 0;
  private out = terminal.out;
  private busy = false;

  constructor(private readonly session: Session) {
    const first = session.places[0];
    if (first !== undefined) this.path.push(first);
    this.reader = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: this.interactive,
      prompt: "",
      historySize: 1000,
      completer: (line: string) => this.complete(line),
    });
    this.reader.on("SIGINT", () => this.interrupt());
    process.on("SIGINT", () => this.interrupt());
  }

  async run(): Promise<number> {
    if (this.interactive) this.greet();
    this.prompt();
    for await (const line of this.reader) {
      this.busy = true;
      const goesOn = await this.perform(line);
      this.busy = false;
      if (!goesOn) break;
      this.prompt();
    }
    this.stopWatching();
    this.reader.close();
    if (this.interactive) process.stdout.write("\n");
    return this.status;
  }

  private greet(): void {
    const { scenario, places, stepsLeft } = this.session;
    const steps = stepsLeft === 1 ? "1 step waits" : `${stepsLeft} steps wait`;
    process.stdout.write(`${pc.bold(scenario.title)}: ${places.join(", ")}; ${steps}. Type help for help.\n`);
  }

  private get here(): string {
    return this.path.at(-1) ?? "";
  }

  private prompt(): void {
    if (!this.interactive) return;
    this.reader.setPrompt(`${pc.cyan(this.here)}# `);
    this.reader.prompt();
  }

  /** Ends what shows packets beside the prompt. */
  private stopWatching(): void {
    for (const job of this.interrupts.watching.splice(0)) job.interrupt();
  }

  /** At the prompt it clears the line, and ends tcpdump; while a command runs it stops the command. */
  private interrupt(): void {
    if (this.busy) this.interrupts.pressed = true;
    else if (this.interactive) {
      process.stdout.write(this.interrupts.watching.length > 0 ? "^C" : "^C\n");
      this.stopWatching();
      this.reader.write(null, { ctrl: true, name: "e" });
      this.reader.write(null, { ctrl: true, name: "u" });
      this.prompt();
    } else process.exit(130);
  }

  /** False when the shell is over. */
  private async perform(line: string): Promise<boolean> {
    let commands: ShellCommand[];
    try {
      commands = parseShellLine(line, (inner) => this.answer(inner));
    } catch (error) {
      if (!(error instanceof ShellError)) throw error;
      terminal.err(`hopscope: ${error.message}\n`);
      this.status = 2;
      return true;
    }
    for (const command of commands) {
      if (!isDue(command, this.status)) continue;
      const [name = "", ...args] = command.words;
      const namespace = this.session.find(this.here);
      const inside = namespace === null ? null : this.session.shellOf(namespace, command.words);
      if (name === "exit" || name === "quit" || name === "logout") {
        if (this.path.length <= 1) return false;
        this.path.pop();
      } else if (inside !== null) this.status = this.enter(inside);
      else if (OWN.includes(name)) this.status = this.ownThrough(command.filters, name, args);
      else this.status = await this.external(command);
    }
    return true;
  }

  private async external(command: ShellCommand): Promise<number> {
    const namespace = this.session.find(this.here);
    if (namespace === null) {
      terminal.err(`hopscope: ${this.here} is gone; enter one of ${this.session.places.join(", ")}\n`);
      this.path.length = Math.min(this.path.length, 1);
      return 1;
    }
    if (!this.interactive && isEndless(command.words)) {
      terminal.err(`${command.words[0]}: it would never end here; give it -c COUNT\n`);
      return 2;
    }
    const [name = ""] = command.words;
    const own = Session.commands.includes(name) ? null : nearest(name, OWN);
    if (own !== null && nearest(name, Session.commands) === null) {
      terminal.err(`${name}: command not found; did you mean ${own}?\n`);
      return NOT_FOUND;
    }
    return runCommand(this.session, namespace, command, this.interrupts);
  }

  /** What a command in backquotes prints. */
  private answer(line: string): string {
    let text = "";
    const namespace = this.session.find(this.here);
    const words = line.trim().split(/\s+/);
    if (namespace !== null) this.session.start(namespace, words, { out: (part) => (text += part), err: terminal.err });
    return text;
  }

  /** What the shell's own words print goes through filters as well. */
  private ownThrough(filters: ShellCommand["filters"], name: string, args: readonly string[]): number {
    if (filters.length === 0) return this.own(name, args);
    let text = "";
    this.out = (part) => void (text += part);
    const status = this.own(name, args);
    this.out = terminal.out;
    return filtered(filters, text, status);
  }

  private own(name: string, args: readonly string[]): number {
    const { session } = this;
    if (name === "help") this.out(`${HELP}${wrapped(Session.commands)}`);
    else if (name === "hosts" || name === "ls") this.out(session.places.map((place) => `${place}\n`).join(""));
    else if (name === "clear") this.out("\u001b[2J\u001b[H");
    else if (name === "enter" || name === "cd") return this.enter(args[0]);
    else if (name === "step") return this.step();
    else if (name === "run") return this.runAll();
    else return this.trace();
    return 0;
  }

  private enter(name: string | undefined): number {
    const { places } = this.session;
    if (name === undefined || this.session.find(name) === null) {
      const what = name === undefined ? "enter: which one?" : `enter: no host or container "${name}";`;
      terminal.err(`${what} there are ${places.join(", ")}\n`);
      return 1;
    }
    this.path.push(name);
    return 0;
  }

  private step(): number {
    const step = this.session.nextStep();
    if (step === null) terminal.err("no step is left; commands still run, and trace tells of the last one\n");
    else this.out([step.text, ...step.lines.map(({ text }) => `  ${text}`), ""].join("\n"));
    return step === null ? 1 : 0;
  }

  private runAll(): number {
    const { stepsLeft } = this.session;
    if (stepsLeft === 0) {
      terminal.err("no step is left\n");
      return 1;
    }
    for (let i = 0; i < stepsLeft; i++) this.step();
    return 0;
  }

  private trace(): number {
    const trace = this.session.lastTrace;
    if (trace.packets.length === 0) {
      terminal.err("no packet yet: the last command sent none; try ping, curl or step, and then trace\n");
      return 1;
    }
    this.out(`${storyText(tellStory(trace))}\n`);
    return 0;
  }

  private complete(line: string): [string[], string] {
    const words = line.split(/\s+/);
    const last = words.at(-1) ?? "";
    const namespace = this.session.find(this.here);
    const devices = namespace === null ? [] : this.session.devicesOf(namespace);
    const first = words.length <= 1;
    const known = first
      ? [...OWN, ...Session.commands]
      : words[0] === "enter" || words[0] === "cd"
        ? this.session.places
        : [...devices, ...this.session.places];
    const hits = known.filter((word) => word.startsWith(last)).map((word) => `${word} `);
    return [hits, last];
  }
}

/** In lines of at most 79 letters. */
function wrapped(words: readonly string[]): string {
  const rows = ["commands    "];
  for (const word of words)
    if (rows.at(-1)!.length + word.length < 79) rows[rows.length - 1] += ` ${word}`;
    else rows.push(`${" ".repeat(12)} ${word}`);
  return `${rows.join("\n")}\n`;
}

const isEndless = (words: readonly string[]): boolean =>
  /(^|\/)ping$/.test(words[0] ?? "") && !words.some((word) => /^-[a-zA-Z]*[cw]/.test(word));
