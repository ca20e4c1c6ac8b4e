import type { Namespace } from "../kernel/namespace.ts";
import { Table, type TableName } from "../kernel/netfilter/rule.ts";
import { Refusal } from "./printed.ts";

export const VERSION = "v1.8.9 (nf_tables)";

/** The end of what iptables says of a command line that it cannot read. */
export const problem = (reason: string): Refusal =>
  new Refusal(`iptables ${VERSION}: ${reason}\nTry \`iptables -h' or 'iptables --help' for more information.`, 2);

export const tableOf = (net: Namespace, name: TableName): Table => net.netfilter.tables.get(name) ?? new Table(name);
