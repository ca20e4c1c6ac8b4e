#!/usr/bin/env node
import { Command, InvalidArgumentError, Option } from "commander";
import { ENGINES } from "../docker/engine.ts";
import { parseDuration } from "../scenario/quantity.ts";
import { PRESET_NAMES } from "../translator/preset.ts";
import { InputError } from "../wire/input-error.ts";
import { type AttachOptions, attach } from "./attach/attach.ts";
import { printPlan, type UpOptions, up } from "./docker.ts";
import { exec } from "./exec.ts";
import { iptablesRestoreTest, iptablesSave } from "./iptables.ts";
import { labFiles, labServe, printCase, printScenario } from "./lab.ts";
import { list, listCourse } from "./list.ts";
import { FORMATS, type RunOptions, run } from "./run.ts";
import { shell } from "./shell.ts";
import { verify } from "./verify.ts";

const BAD_INPUT = 2;
const INTERNAL = 70;

function integer(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It takes a whole number, 0 to 999999999.");
  return Number(text);
}

function duration(text: string): number {
  const nanoseconds = parseDuration(text);
  if (!(nanoseconds <= 1e15)) throw new InvalidArgumentError("It takes a time with its unit, such as 200ms or 5s.");
  return nanoseconds;
}

const engine = (description: string): Option =>
  new Option("-e, --engine <engine>", description).choices(ENGINES.map(({ name }) => name));

const collect = (text: string, before: readonly string[]): string[] => [...before, text];

function commands(): Command {
  const program = new Command("hopscope");
  program.description("A flight simulator for container networking: real frames, Linux's rules, every hop told.");
  program.enablePositionalOptions();
  program.configureHelp({ subcommandTerm: (command) => command.name() });
  program.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : BAD_INPUT));
  program
    .command("list")
    .description("list the scenarios that come with hopscope")
    .option("--course", "only the lessons, in the order of the course")
    .action(({ course }: { course?: boolean }) => {
      process.stdout.write(course === true ? listCourse() : list());
    });
  program
    .command("run")
    .description("run a scenario and tell the journey of every packet")
    .argument("<scenario>", "a name from `hopscope list`, or a YAML file")
    .addOption(new Option("-f, --format <format>", "how to tell it").choices(FORMATS).default("text"))
    .addOption(new Option("-l, --level <level>", "how much to tell").choices(["hop", "step", "byte"]).default("step"))
    .option("-s, --seed <number>", "seed of everything random", integer)
    .option("-u, --until <time>", "end at this virtual time, such as 5s or 200ms", duration)
    .addOption(engine("the Docker Engine, instead of the scenario's own"))
    .addOption(new Option("--preset <tool>", "what its translators behave like").choices(PRESET_NAMES))
    .option("-o, --output <file>", "write the trace to a file")
    .option("-w, --pcap <file>", "write the frames of every device to a pcapng file")
    .addHelpText("after", "\nExit status: 0 every expectation holds, 1 one fails, 2 bad input.")
    .action((scenario: string, options: RunOptions) => {
      process.exitCode = run(scenario, options);
    });
  program
    .command("up")
    .description("build what Docker would build from a compose file, and tell what there is")
    .argument("<file>", "a compose file, or a scenario with docker")
    .addOption(engine("the Docker Engine"))
    .option("--trace", "tell first how it is built: client, dockerd, containerd, runc, and each step of theirs")
    .action((file: string, options: UpOptions) => up(file, options));
  program
    .command("docker")
    .description("what Docker would do")
    .command("plan")
    .description("print each step that Docker would take, as the commands that do the same by hand")
    .argument("<file>", "a compose file, or a scenario with docker")
    .addOption(engine("the Docker Engine"))
    .action((file: string, options: { engine?: string }) => printPlan(file, options.engine));
  program
    .command("exec")
    .description("run a command on a host or in a container of a scenario, after the scenario's steps")
    .usage("[--engine <engine>] <scenario> <host> -- <command> [arguments]")
    .argument("<scenario>", "a name from `hopscope list`, or a YAML file")
    .argument("<host>", "a host or a container")
    .argument("<command...>", "such as: ip addr, iptables -L -n -v, conntrack -L, ping -c 1 172.17.0.2")
    .passThroughOptions()
    .addOption(engine("the Docker Engine"))
    .addHelpText("after", "\nIt prints what the tool would, and ends with its exit status.")
    .action(async (scenario: string, host: string, words: string[], options: { engine?: string }) => {
      process.exitCode = await exec(scenario, host, words[0] === "--" ? words.slice(1) : words, options.engine);
    });
  program
    .command("shell")
    .description("a prompt on every host and container of a scenario")
    .argument("<scenario>", "a name from `hopscope list`, or a YAML file")
    .addOption(engine("the Docker Engine"))
    .action(async (scenario: string, options: { engine?: string }) => {
      process.exitCode = await shell(scenario, options.engine);
    });
  program
    .command("lab")
    .description("run lab cases (JSON) and print one JSON result a line")
    .argument("[case...]", "case files")
    .option("--serve", "read one case a line from standard input, answer one line each")
    .option("--from <scenario>", "print a scenario as a case")
    .option("--to-scenario <case>", "print a case as a scenario")
    .action(async (files: string[], options: { serve?: boolean; from?: string; toScenario?: string }) => {
      if (options.from !== undefined) printCase(options.from);
      if (options.toScenario !== undefined) printScenario(options.toScenario);
      labFiles(files);
      if (options.serve === true) await labServe();
    });
  program
    .command("verify")
    .description("run a scenario or a lab case here and on this machine's kernel, and tell the first difference")
    .argument("<case>", "a name from `hopscope list`, a YAML file, or a lab case (.json)")
    .addOption(engine("the Docker Engine, instead of the scenario's own"))
    .addHelpText("after", "\nExit status: 0 they agree, 1 they differ, 2 bad input, 3 it cannot be done here.")
    .action(async (scenario: string, options: { engine?: string }) => {
      process.exitCode = await verify(scenario, options.engine);
    });
  program
    .command("attach")
    .description("plug a real guest in: its frames become sockets of this machine")
    .option("--qemu <place>", "serve -netdev stream of QEMU at unix:PATH or [ADDRESS:]PORT")
    .option("--vmnet <place>", "serve VMNET clients, as vpnkit does")
    .option("--datagram <place>", "one frame per datagram: -netdev dgram of QEMU, socat TUN")
    .addOption(new Option("--preset <tool>", "what to behave like").choices(PRESET_NAMES).default("vpnkit"))
    .option("--allow <destination>", "let guests reach a PREFIX[:PORT] besides loopback", collect, [])
    .option("--publish <port>", "let [ADDRESS:]PORT of this machine lead to GUEST[:PORT][/udp]", collect, [])
    .option("--dns <server>", "pass questions on to this server instead of resolv.conf's", collect, [])
    .option("--boot <url>", "what DHCP tells the guest to boot, for iPXE")
    .option("--record <file>", "write the session as a scenario that runs again without the guest")
    .option("--trace <file>", "write the trace when the session ends")
    .addOption(new Option("-f, --format <format>", "how the trace is told").choices(["text", "json"]).default("text"))
    .option("--delay <time>", "impair the link, in both directions")
    .option("--jitter <time>")
    .option("--loss <chance>")
    .option("--duplicate <chance>")
    .option("--reorder <chance>")
    .option("--corrupt <chance>")
    .option("-s, --seed <number>", "seed of everything random", integer)
    .option("--for <seconds>", "end after so long", integer)
    .action(async (options: AttachOptions) => {
      process.exitCode = await attach(options);
    });
  program
    .command("iptables-save")
    .description("restore a rule file and print it as the kernel would")
    .argument("<file>", "what iptables-save or a person wrote; - reads standard input")
    .option("-c, --counters", "print the counters of the file")
    .action((file: string, options: { counters?: boolean }) => {
      process.exitCode = iptablesSave(file, options.counters === true);
    });
  program
    .command("iptables-restore")
    .description("tell whether iptables and the kernel would take a rule file, and if not, why")
    .argument("<file>", "rules for iptables-restore; - reads standard input")
    .requiredOption("-t, --test", "only test: there is no kernel here to restore it into")
    .addHelpText("after", "\nExit status: 0 it is accepted, 2 it is refused: iptables' own reason and line.")
    .action((file: string) => {
      process.exitCode = iptablesRestoreTest(file);
    });
  return program;
}

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  await commands().parseAsync();
} catch (error) {
  if (error instanceof InputError) {
    process.stderr.write(`hopscope: ${error.message}\n`);
    process.exitCode = BAD_INPUT;
  } else {
    process.stderr.write(`hopscope: internal error, please report it\n${(error as Error).stack ?? String(error)}\n`);
    process.exitCode = INTERNAL;
  }
}
