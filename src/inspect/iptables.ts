import { TABLES, type TableName } from "../kernel/netfilter/rule.ts";
import { formatTables } from "../kernel/netfilter/rule-text.ts";
import { addressName, networkName } from "./host-name.ts";
import { changeTable } from "./iptables-change.ts";
import { chainsOf, type ListOptions, listChains, listCommands, listRule } from "./iptables-list.ts";
import { problem, tableOf, VERSION } from "./iptables-problem.ts";
import { type Machine, wallClock } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";

const LONG: Readonly<Record<string, string>> = {
  append: "A",
  insert: "I",
  delete: "D",
  replace: "R",
  check: "C",
  "new-chain": "N",
  "new": "N",
  "delete-chain": "X",
  flush: "F",
  zero: "Z",
  policy: "P",
  "rename-chain": "E",
  list: "L",
  "list-rules": "S",
};
const COMMANDS = "AIDRCNXFZPELS";

/** A command line, taken apart. */
interface CommandLine {
  table: TableName;
  command: string;
  /** What follows the command, without the options that say how to print. */
  words: string[];
  options: Omit<ListOptions, "nameOf">;
}

/** `iptables`, of iptables-nft 1.8.9. */
export function iptables(args: readonly string[], machine: Machine): Printed {
  if (args.includes("-V") || args.includes("--version")) return printed(`iptables ${VERSION}\n`);
  const line = readLine(args);
  const { net } = machine.host;
  const { command, words } = line;
  if (command !== "L" && command !== "S") return changeTable(command, words, line.table, machine);
  const table = tableOf(net, line.table);
  const [name, number] = words;
  if (words.length > 2) throw problem(`Bad argument \`${words[2]}'`);
  const all = chainsOf(table);
  const chains = name === undefined ? all : all.filter((chain) => chain.name === name);
  if (name !== undefined && chains.length === 0)
    throw new Refusal(
      `iptables ${VERSION}: chain \`${name}' in table \`${table.name}' is incompatible, use 'nft' tool.`,
      1,
    );
  if (number !== undefined && !/^[1-9]\d*$/.test(number)) throw problem(`Invalid rule number \`${number}'`);
  const options = {
    ...line.options,
    nameOf: (address: number) => addressName(address, machine) ?? networkName(address, machine),
  };
  if (command === "S") return printed(listCommands(chains, options, number === undefined ? null : Number(number)));
  if (number !== undefined) return printed(listRule(chains[0]!, Number(number), options));
  return printed(listChains(table, chains, options));
}

/** Options come in any order, and letters without values in one word. */
function readLine(args: readonly string[]): CommandLine {
  const line: CommandLine = {
    table: "filter",
    command: "",
    words: [],
    options: { numeric: false, verbose: false, exact: false, lineNumbers: false },
  };
  const words = args.flatMap(splitCluster);
  const before: string[] = [];
  const flags: Record<string, keyof CommandLine["options"]> = { "-n": "numeric", "-v": "verbose", "-x": "exact" };
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const flag = flags[word] ?? flagOf(word);
    if (flag !== undefined) (line.options as Record<string, boolean>)[flag] = true;
    else if (word === "-t" || word === "--table") line.table = readTable(words[++i]);
    else if (/^--table=/.test(word)) line.table = readTable(word.slice(8));
    else if (word === "-w" || word === "--wait") {
      if (/^\d+$/.test(words[i + 1] ?? "")) i++;
    } else if (commandOf(word) !== null) {
      if (line.command !== "") throw problem(`Cannot use -${commandOf(word)} with -${line.command}`);
      line.command = commandOf(word)!;
      if ("AIDRCNPE".includes(line.command) && words[i + 1] === undefined)
        throw problem(`option "${word}" requires an argument`);
    } else (line.command === "" ? before : line.words).push(word);
  }
  if (line.command === "") throw problem("no command specified");
  // What stands before the command belongs behind its chain.
  const operands = "AIDRC".includes(line.command) ? 1 : line.words.length;
  line.words.splice(operands, 0, ...before);
  return line;
}

function flagOf(word: string): keyof CommandLine["options"] | undefined {
  if (!/^--[a-z]{4}/.test(word)) return undefined;
  if ("--line-numbers".startsWith(word)) return "lineNumbers";
  if ("--numeric".startsWith(word)) return "numeric";
  if ("--verbose".startsWith(word)) return "verbose";
  return "--exact".startsWith(word) ? "exact" : undefined;
}

/** `-nvL` is `-n -v -L`. */
function splitCluster(word: string): string[] {
  if (!/^-[nvx]*[nvxLSFZX]?$/.test(word) || word.length < 3) return splitValue(word);
  return [...word.slice(1)].map((letter) => `-${letter}`);
}

/** `-tnat` is `-t nat`; `-LFORWARD` is `-L FORWARD`. */
function splitValue(word: string): string[] {
  const [, letter, value] = /^(-[tAIDRCNXFZPELS])([^-].*)$/.exec(word) ?? [];
  return letter === undefined || value === undefined ? [word] : [letter, value];
}

function commandOf(word: string): string | null {
  if (/^-[A-Z]$/.test(word) && COMMANDS.includes(word[1]!)) return word[1]!;
  return word.startsWith("--") ? (LONG[word.slice(2)] ?? null) : null;
}

function readTable(name: string | undefined): TableName {
  if (name === undefined) throw problem('option "-t" requires an argument');
  const table = TABLES.find((each) => each === name);
  if (table === undefined)
    throw new Refusal(
      `iptables ${VERSION}: table '${name}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.`,
      3,
    );
  return table;
}

/** `iptables-save [-c] [-t TABLE]`. */
export function iptablesSave(args: readonly string[], machine: Machine): Printed {
  let counters = false;
  let only: TableName | null = null;
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (word === "-c" || word === "--counters") counters = true;
    else if (word === "-t" || word === "--table") only = readTable(args[++i]);
    else throw unmodelled(`iptables-save ${word}`, "iptables-save [-c] [-t TABLE]");
  }
  const { tables } = machine.host.net.netfilter;
  const date = wallClock(machine);
  const around = (text: string) =>
    text
      .replace(/^\*/gm, `# Generated by iptables-save ${VERSION} on ${date}\n*`)
      .replace(/^COMMIT$/gm, `COMMIT\n# Completed on ${date}`);
  const chosen = [...tables.values()].filter(({ name }) => only === null || name === only);
  const text = formatTables(chosen, { counters: true });
  // Without -c the policies keep their counters.
  return printed(around(counters ? text : text.replace(/^\[\d+:\d+\] /gm, "")));
}
