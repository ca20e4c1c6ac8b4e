import { TABLES, type TableName } from "../kernel/netfilter/rule.ts";
import type { Decision } from "./evidence.ts";

/** A rule as an expectation names it. */
export interface RuleName {
  readonly table: TableName;
  readonly chain: string;
  /** 0 for the policy; null where it is named by its text. */
  readonly number: number | null;
  readonly text: string;
}

/** `filter FORWARD policy`, `nat DOCKER 1` or `nat POSTROUTING -j MASQUERADE`; null for anything else. */
export function parseRuleName(text: string): RuleName | null {
  const [, table, chain, rest] = /^(\S+) +(\S+) +(.+)$/.exec(text.trim()) ?? [];
  const known = TABLES.find((name) => name === table);
  if (known === undefined || chain === undefined || rest === undefined) return null;
  if (rest === "policy") return { table: known, chain, number: 0, text: "" };
  return { table: known, chain, number: /^\d+$/.test(rest) ? Number(rest) : null, text: rest };
}

export function decides(name: RuleName, decision: Decision): boolean {
  if (name.table !== decision.table || name.chain !== decision.chain) return false;
  return name.number === null
    ? decision.number > 0 && decision.text.includes(name.text)
    : name.number === decision.number;
}

/** As `filter FORWARD policy` or `nat POSTROUTING 1`. */
export const formatRuleName = ({ table, chain, number }: Decision): string =>
  `${table} ${chain} ${number === 0 ? "policy" : number}`;
