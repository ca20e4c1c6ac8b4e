import { BASE_CHAINS, type Chain, Rule, type Table, type TableName } from "../kernel/netfilter/rule.ts";
import { formatTables, parseRules } from "../kernel/netfilter/rule-text.ts";
import { RuleError } from "../kernel/netfilter/tokenizer.ts";
import { InputError } from "../wire/input-error.ts";
import { problem, tableOf, VERSION } from "./iptables-problem.ts";
import type { Machine } from "./machine.ts";
import { type Printed, printed, Refusal } from "./printed.ts";

/** `iptables -A|-I|-D|-R|-C|-N|-X|-F|-Z|-P|-E`: the whole table is read anew, and what stays the same keeps its state. */
export function changeTable(command: string, words: readonly string[], name: TableName, machine: Machine): Printed {
  const { net } = machine.host;
  const table = tableOf(net, name);
  check(command, words, table);
  const missing = BASE_CHAINS[name].filter((chain) => !table.chains.has(chain));
  const text = formatTables([table], { counters: true })
    .replace(/COMMIT\n$/, "")
    .replace(new RegExp(`^:(${missing.join("|") || "-"}) .*\n`, "gm"), "");
  if (command === "C") {
    read(`${text}${line("-D", words)}\nCOMMIT\n`, machine, words);
    return printed("");
  }
  const changed = command === "E" ? renamed(text, words[0]!, words[1]!) : `${text}${line(`-${command}`, words)}\n`;
  const [read1] = read(`${changed}COMMIT\n`, machine, words);
  keep(table, read1!, command === "Z");
  if (command === "X" && words.length === 0) dropEmpty(read1!);
  net.netfilter.load([read1!]);
  return printed("");
}

const NO_FILTERING = '\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n';

/** What iptables looks at before the rule itself. */
function check(command: string, words: readonly string[], table: Table): void {
  const [chain = "", second = ""] = words;
  const exists = table.chains.has(chain) || BASE_CHAINS[table.name].includes(chain);
  if ("ADIRCXFZE".includes(command) && chain !== "" && !exists)
    throw new Refusal("iptables: No chain/target/match by that name.", 1);
  if (command === "I" && second === "0") throw problem("Invalid rule number `0'");
  if (command === "P" && !exists) throw new Refusal("iptables: Bad built-in chain name.", 1);
  if (command === "P" && words.length < 2) throw problem("-P requires a chain and a policy");
  if (command === "P" && second !== "ACCEPT" && second !== "DROP")
    throw new Refusal("iptables: Bad policy name. Run `dmesg' for more information.", 1);
  if (command === "P" && table.name === "nat" && second === "DROP") throw problem(NO_FILTERING);
  if (command === "E") {
    if (words.length !== 2) throw problem("-E requires the old and the new name of a chain");
    if (table.chains.has(second) || BASE_CHAINS[table.name].includes(second))
      throw new Refusal("iptables: File exists.", 1);
  }
  if (command === "N" && exists) throw new Refusal("iptables: Chain already exists.", 1);
  if ("NXFZ".includes(command) && words.length > 1 && !(command === "Z" && words.length === 2))
    throw problem(`Bad argument \`${words[1]}'`);
}

const line = (command: string, words: readonly string[]): string => [command, ...words.map(quoted)].join(" ");

const quoted = (word: string): string => (/^[^\s"\\]+$/.test(word) ? word : `"${word.replace(/["\\]/g, "\\$&")}"`);

function renamed(text: string, from: string, to: string): string {
  const name = from.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return text
    .replace(new RegExp(`^:${name} `, "m"), `:${to} `)
    .replace(new RegExp(`-A ${name}(?= |$)`, "gm"), `-A ${to}`)
    .replace(new RegExp(`(-[jg]) ${name}$`, "gm"), `$1 ${to}`);
}

/** What iptables says with an empty line behind it. */
const ENDS_WITH_BLANK = /^(Can't use -|\nThe "nat" table|.*must be specified)/;

/** @throws {Refusal} in iptables' own words where they are known. */
function read(text: string, machine: Machine, words: readonly string[]): Table[] {
  try {
    return parseRules(text, "iptables", { sets: machine.host.net.sets });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw refusal(error, words);
  }
}

function refusal(error: InputError, words: readonly string[]): Refusal {
  const reason = error instanceof RuleError && typeof error.reason === "string" ? error.reason : "";
  const [, failed] = /^line \d+ failed: (.*)$/.exec(reason) ?? [];
  if (failed !== undefined) return new Refusal(`iptables: ${failed}`, 1);
  const [, kernel] = /^\nline \d+: (.*)$/.exec(reason) ?? [];
  if (kernel !== undefined) return new Refusal(`iptables ${VERSION}:  ${kernel}`, 4);
  if (reason === "") return problem(`found ${error.found}, expected ${error.expected}`);
  if (reason.startsWith("Bad argument"))
    return new Refusal(`${reason}\nTry \`iptables -h' or 'iptables --help' for more information.`, 2);
  // The option as it was written.
  if (/^option ".*" requires an argument$/.test(reason))
    return problem(`option "${words.at(-1)}" requires an argument`);
  return problem(
    ENDS_WITH_BLANK.test(reason) ? `${reason.trimEnd()}${reason.startsWith("\n") ? "\n\n" : "\n"}` : reason,
  );
}

/** `iptables -X` takes base chains away, too, that have no rule and accept. */
function dropEmpty({ chains }: Table): void {
  for (const [name, { policy, rules }] of chains) if (policy === "ACCEPT" && rules.length === 0) chains.delete(name);
}

/**
 * Rules that the change did not touch stay the very same, with counters and what their matches remember. One whose
 * counters were zeroed does not: iptables-nft puts a new one in its place.
 */
function keep(before: Table, after: Table, zeroed: boolean): void {
  const olds = new Map([...before.chains].map(([name, chain]) => [name, [...chain.rules]]));
  for (const [name, chain] of after.chains) {
    const left = olds.get(name) ?? [];
    for (const [i, rule] of chain.rules.entries()) {
      const at = left.findIndex((old) => old.text === rule.text);
      if (at < 0) continue;
      const [old] = left.splice(at, 1);
      if (zeroed && old!.packets + old!.bytes > rule.packets + rule.bytes) continue;
      chain.rules[i] = rebound(old!, rule, after);
    }
  }
}

/** A rule that leads to a chain leads to the chain of the new table. */
function rebound(old: Rule, fresh: Rule, table: Table): Rule {
  const action =
    old.action.kind === "chain"
      ? { ...old.action, chain: table.chains.get(old.action.chain.name) as Chain }
      : old.action;
  const rule = new Rule(old.header, old.matches, action, old.text);
  rule.packets = fresh.packets;
  rule.bytes = fresh.bytes;
  rule.place = old.place;
  rule.notices = old.notices;
  return rule;
}
