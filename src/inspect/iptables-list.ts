import { formatProtocol } from "../kernel/netfilter/protocol-name.ts";
import { BASE_CHAINS, Chain, type Rule, type RuleHeader, type Table } from "../kernel/netfilter/rule.ts";
import { prefixLength } from "../kernel/netfilter/value.ts";
import { formatIpv4 } from "../wire/address.ts";
import { matchText } from "./match-text.ts";
import { targetText } from "./target-text.ts";

/** The options of `iptables -L` and `-S`. */
export interface ListOptions {
  readonly numeric: boolean;
  readonly verbose: boolean;
  /** `-x`: counters in full. */
  readonly exact: boolean;
  readonly lineNumbers: boolean;
  /** The name of an address, null where it has none. */
  nameOf(address: number): string | null;
}

/** Base chains that nobody named do not exist, and iptables prints them all the same. */
export function chainsOf(table: Table): Chain[] {
  const base = BASE_CHAINS[table.name].map((name) => table.chains.get(name) ?? new Chain(name, "ACCEPT"));
  return [...base, ...[...table.chains.values()].filter(({ policy }) => policy === null)];
}

/** `iptables -L [CHAIN [NUMBER]]` (1.8.9); `chains` are those to print. */
export function listChains(table: Table, chains: readonly Chain[], options: ListOptions): string {
  return chains.map((chain) => listChain(table, chain, options)).join("\n");
}

/** `iptables -L CHAIN NUMBER`. */
export function listRule(chain: Chain, number: number, options: ListOptions): string {
  const rule = chain.rules[number - 1];
  return rule === undefined ? "" : `${ruleLine(rule, number, options)}\n`;
}

function listChain(table: Table, chain: Chain, options: ListOptions): string {
  const rules = chain.rules.map((rule, i) => `${ruleLine(rule, i + 1, options)}\n`);
  return `${chainLine(table, chain, options)}\n${columns(options)}\n${rules.join("")}`;
}

function chainLine(table: Table, chain: Chain, options: ListOptions): string {
  if (chain.policy === null) return `Chain ${chain.name} (${references(table, chain)} references)`;
  if (!options.verbose) return `Chain ${chain.name} (policy ${chain.policy})`;
  const packets = amount(chain.packets, options.exact);
  return `Chain ${chain.name} (policy ${chain.policy} ${packets} packets, ${amount(chain.bytes, options.exact)} bytes)`;
}

function references(table: Table, chain: Chain): number {
  let count = 0;
  for (const other of table.chains.values())
    for (const { action } of other.rules) if (action.kind === "chain" && action.chain.name === chain.name) count++;
  return count;
}

function columns({ verbose, exact, lineNumbers }: ListOptions): string {
  const counters = exact ? "    pkts      bytes " : " pkts bytes ";
  const devices = verbose ? "in     out    " : "";
  return `${lineNumbers ? "num  " : ""}${verbose ? counters : ""}target     prot opt ${devices}${verbose ? " " : ""}source               destination         `;
}

const UNITS = ["", "K", "M", "G", "T"];

/** `xtables_print_num()`: thousands, rounded, once a number has more than five digits. */
function amount(value: number, exact: boolean): string {
  let unit = 0;
  if (!exact && value > 99_999)
    do {
      value = Math.floor((value + 500) / 1000);
      unit++;
    } while (value > 9999 && unit < UNITS.length - 1);
  return `${value}${UNITS[unit]}`;
}

function counter(value: number, exact: boolean): string {
  return `${amount(value, exact).padStart(exact ? 8 : 5)} `;
}

function ruleLine(rule: Rule, number: number, options: ListOptions): string {
  const { header, action } = rule;
  const { numeric, verbose, exact } = options;
  const name = protocolName(header, numeric);
  let line = options.lineNumbers ? `${String(number).padEnd(4)} ` : "";
  if (verbose) line += counter(rule.packets, exact) + counter(rule.bytes, exact);
  line += `${targetName(rule).padEnd(9)} ${header.notProtocol ? "!" : " "}${name.padEnd(4)} ${fragments(header)} `;
  if (verbose)
    line += ` ${devicePattern(header.in, header.notIn, numeric)} ${devicePattern(header.out, header.notOut, numeric)} `;
  line += `${header.notSource ? "!" : " "}${network(header.source, header.sourceMask, options).padEnd(19)} `;
  line += `${header.notDestination ? "!" : " "}${network(header.destination, header.destinationMask, options).padEnd(19)} `;
  if (action.kind === "chain" && action.goto) line += "[goto] ";
  const style = { numeric, protocol: header.notProtocol ? "" : formatProtocol(header.protocol) };
  for (const match of rule.matches) line += prefixed(matchText(match, style));
  if (action.kind === "target") line += prefixed(targetText(action.target, style));
  return line;
}

const prefixed = (text: string): string => (text === "" ? "" : ` ${text}`);

function targetName({ action }: Rule): string {
  if (action.kind === "verdict") return action.verdict;
  if (action.kind === "chain") return action.chain.name;
  if (action.kind === "none") return "";
  return action.target.name === "NOTRACK" ? "CT" : action.target.name;
}

function protocolName({ protocol }: RuleHeader, numeric: boolean): string {
  if (numeric) return String(protocol);
  return protocol === 0 ? "all" : formatProtocol(protocol);
}

const fragments = ({ fragment, notFragment }: RuleHeader): string => (notFragment ? "!f" : fragment ? "-f" : "--");

const devicePattern = (pattern: string, not: boolean, numeric: boolean): string =>
  (pattern === "" ? (numeric ? "*" : "any") : `${not ? "!" : ""}${pattern}`).padEnd(6);

function network(address: number, mask: number, { numeric, nameOf }: ListOptions): string {
  if (mask === 0) return numeric ? "0.0.0.0/0" : "anywhere";
  const length = prefixLength(mask);
  const name = (numeric ? null : nameOf(address)) ?? formatIpv4(address);
  if (length === 32) return name;
  return `${name}/${length < 0 ? formatIpv4(mask) : length}`;
}

/** `iptables -S [CHAIN [NUMBER]]`. */
export function listCommands(chains: readonly Chain[], options: ListOptions, number: number | null): string {
  const out: string[] = [];
  const counted = (of: { packets: number; bytes: number }) => (options.verbose ? ` -c ${of.packets} ${of.bytes}` : "");
  if (number === null)
    for (const chain of chains)
      out.push(chain.policy === null ? `-N ${chain.name}` : `-P ${chain.name} ${chain.policy}${counted(chain)}`);
  for (const chain of chains)
    for (const [i, rule] of chain.rules.entries())
      if (number === null || number === i + 1) out.push(commandText(chain, rule, counted(rule)));
  return out.map((line) => `${line}\n`).join("");
}

/** The counters stand before the target. */
function commandText(chain: Chain, { text }: Rule, counters: string): string {
  const at = counters === "" ? -1 : Math.max(text.lastIndexOf(" -j "), text.lastIndexOf(" -g "));
  if (text === "") return `-A ${chain.name}${counters}`;
  if (counters === "") return `-A ${chain.name} ${text}`;
  if (/^-[jg] /.test(text)) return `-A ${chain.name}${counters} ${text}`;
  return at < 0
    ? `-A ${chain.name} ${text}${counters}`
    : `-A ${chain.name} ${text.slice(0, at)}${counters}${text.slice(at)}`;
}
