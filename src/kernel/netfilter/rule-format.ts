import { formatProtocol } from "./protocol-name.ts";
import { type Action, BASE_CHAINS, Chain, type Match, type RuleHeader, type Table, type TableName } from "./rule.ts";
import { formatNetwork } from "./value.ts";

/** A rule as `iptables-save` prints it, without `-A CHAIN`. */
export function formatRule(header: RuleHeader, matches: readonly Match[], action: Action): string {
  const words = formatHeader(header);
  for (const match of matches) words.push(join(`-m ${match.name}`, match.print()));
  if (action.kind === "verdict") words.push(`-j ${action.verdict}`);
  else if (action.kind === "chain") words.push(`${action.goto ? "-g" : "-j"} ${action.chain.name}`);
  else if (action.kind === "target") words.push(join(`-j ${action.target.name}`, action.target.print()));
  return words.join(" ");
}

function formatHeader(header: RuleHeader): string[] {
  const words: string[] = [];
  const add = (not: boolean, text: string): void => void words.push(not ? `! ${text}` : text);
  if (header.sourceMask !== 0) add(header.notSource, `-s ${formatNetwork(header.source, header.sourceMask)}`);
  if (header.destinationMask !== 0)
    add(header.notDestination, `-d ${formatNetwork(header.destination, header.destinationMask)}`);
  if (header.in !== "") add(header.notIn, `-i ${header.in}`);
  if (header.out !== "") add(header.notOut, `-o ${header.out}`);
  if (header.protocol !== 0) add(header.notProtocol, `-p ${formatProtocol(header.protocol)}`);
  if (header.fragment || header.notFragment) add(header.notFragment, "-f");
  return words;
}

const join = (name: string, options: string): string => (options === "" ? name : `${name} ${options}`);

/** The order in which `iptables-save` prints tables. */
const TABLE_ORDER: readonly TableName[] = ["mangle", "security", "raw", "filter", "nat"];

/** How `iptables-save` is to print. */
export interface SaveOptions {
  readonly counters: boolean;
  /** `legacy` prints the table first that was named last; nft, without it, has an order of its own. */
  readonly backend?: "nft" | "legacy";
}

/** The text of `iptables-save` (1.8.9) without its comment lines. */
export function formatTables(tables: readonly Table[], options: SaveOptions): string {
  const rank = (table: Table): number =>
    options.backend === "legacy" ? -tables.indexOf(table) : TABLE_ORDER.indexOf(table.name);
  return [...tables]
    .sort((a, b) => rank(a) - rank(b))
    .map((table) => formatTable(table, options.counters))
    .join("");
}

function formatTable(table: Table, counters: boolean): string {
  const lines = [`*${table.name}`];
  // Base chains that nobody named do not exist, and iptables-save prints them all the same.
  const base = BASE_CHAINS[table.name].map((name) => table.chains.get(name) ?? new Chain(name, "ACCEPT"));
  const chains = [...base, ...[...table.chains.values()].filter((chain) => chain.policy === null)];
  for (const chain of chains) lines.push(`:${chain.name} ${chain.policy ?? "-"} ${formatCounters(chain, counters)}`);
  for (const chain of chains)
    for (const rule of chain.rules) {
      const prefix = counters ? `${formatCounters(rule, true)} ` : "";
      lines.push(`${prefix}${join(`-A ${chain.name}`, rule.text)}`);
    }
  return `${lines.join("\n")}\nCOMMIT\n`;
}

function formatCounters(counted: Pick<Chain, "packets" | "bytes">, counters: boolean): string {
  return counters ? `[${counted.packets}:${counted.bytes}]` : "[0:0]";
}
