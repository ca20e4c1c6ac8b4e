import { BASE_CHAINS, type TableName } from "../kernel/netfilter/rule.ts";

interface ChainChange {
  readonly kind: "chain";
  readonly table: TableName;
  readonly chain: string;
}

interface PolicyChange {
  readonly kind: "policy";
  readonly table: TableName;
  readonly chain: string;
  readonly policy: "ACCEPT" | "DROP";
}

interface TextChange {
  /** `first` moves a rule to the head of its chain. */
  readonly kind: "append" | "insert" | "first" | "delete";
  readonly table: TableName;
  readonly chain: string;
  /** As `iptables-save` prints it, without `-A CHAIN`. */
  readonly rule: string;
}

interface SetChange {
  readonly kind: "set" | "set-add" | "set-delete";
  readonly set: string;
  readonly subnet: string;
}

/** One change to the rules, as one call of iptables or ipset makes it. */
export type RuleChange = ChainChange | PolicyChange | TextChange | SetChange;

/** What takes a change back; null for what Docker leaves behind: chains, policies and sets. */
export function undone(change: RuleChange): RuleChange | null {
  if (change.kind === "append" || change.kind === "insert") return { ...change, kind: "delete" };
  return change.kind === "set-add" ? { ...change, kind: "set-delete" } : null;
}

const LETTERS = { append: "-A", insert: "-I", first: "-I", delete: "-D" } as const;

/** The command that makes a change. */
export function formatChange(change: RuleChange, family: 4 | 6 = 4): string {
  if ("set" in change) return formatSetChange(change, family);
  const table = change.table === "filter" ? "" : ` -t ${change.table}`;
  const iptables = `${family === 4 ? "iptables" : "ip6tables"}${table}`;
  if (change.kind === "chain") return `${iptables} -N ${change.chain}`;
  if (change.kind === "policy") return `${iptables} -P ${change.chain} ${change.policy}`;
  return `${iptables} ${LETTERS[change.kind]} ${change.chain} ${change.rule}`;
}

function formatSetChange({ kind, set, subnet }: SetChange, family: 4 | 6): string {
  if (kind === "set") return `ipset create ${set} hash:net family ${family === 4 ? "inet" : "inet6"}`;
  return `ipset ${kind === "set-add" ? "add" : "del"} ${set} ${subnet}`;
}

interface ChainText {
  policy: "ACCEPT" | "DROP" | null;
  readonly rules: string[];
}

/** The rules of one address family as text, changed as Docker changes them. */
export class RuleSet {
  private readonly tables = new Map<TableName, Map<string, ChainText>>();
  private readonly sets = new Map<string, Set<string>>();

  /**
   * Makes a change unless it is made already, as Docker does, which looks with `iptables -C` first. Answers with what was
   * to be done.
   */
  apply(change: RuleChange): RuleChange[] {
    if ("set" in change) return this.changeSet(change);
    const chains = this.table(change.table);
    const chain = chains.get(change.chain);
    if (change.kind === "chain") {
      if (chain !== undefined) return [];
      chains.set(change.chain, { policy: null, rules: [] });
      return [change];
    }
    if (chain === undefined) throw new RangeError(`no chain ${change.chain} in table ${change.table}`);
    if (change.kind === "policy") {
      if (chain.policy === change.policy) return [];
      chain.policy = change.policy;
      return [change];
    }
    return this.changeRule(chain.rules, change);
  }

  private changeRule(rules: string[], change: TextChange): RuleChange[] {
    const at = rules.indexOf(change.rule);
    if (change.kind === "delete") {
      if (at < 0) return [];
      rules.splice(at, 1);
      return [change];
    }
    if (at === 0 || (at > 0 && change.kind !== "first")) return [];
    if (at > 0) rules.splice(at, 1);
    if (change.kind === "append") rules.push(change.rule);
    else rules.unshift(change.rule);
    const insert = { ...change, kind: change.kind === "append" ? "append" : "insert" } as const;
    return at > 0 ? [{ ...change, kind: "delete" }, insert] : [insert];
  }

  private changeSet(change: SetChange): RuleChange[] {
    const set = this.sets.get(change.set);
    if (change.kind === "set") {
      if (set !== undefined) return [];
      this.sets.set(change.set, new Set());
      return [change];
    }
    if (set === undefined) throw new RangeError(`no set ${change.set}`);
    if (set.has(change.subnet) === (change.kind === "set-add")) return [];
    if (change.kind === "set-add") set.add(change.subnet);
    else set.delete(change.subnet);
    return [change];
  }

  private table(name: TableName): Map<string, ChainText> {
    let chains = this.tables.get(name);
    if (chains === undefined) {
      chains = new Map(BASE_CHAINS[name].map((base) => [base, { policy: "ACCEPT" as const, rules: [] }]));
      this.tables.set(name, chains);
    }
    return chains;
  }

  /** As `iptables-save -t TABLE` prints it, without comments. */
  save(name: TableName): string {
    const chains = this.sorted(name);
    const lines = [`*${name}`];
    for (const [chain, { policy }] of chains) lines.push(`:${chain} ${policy ?? "-"} [0:0]`);
    for (const [chain, { rules }] of chains) for (const rule of rules) lines.push(`-A ${chain} ${rule}`);
    return `${lines.join("\n")}\nCOMMIT\n`;
  }

  /** As `iptables -t TABLE -S` prints it. */
  list(name: TableName): string {
    const chains = this.sorted(name);
    const lines: string[] = [];
    for (const [chain, { policy }] of chains) lines.push(policy === null ? `-N ${chain}` : `-P ${chain} ${policy}`);
    for (const [chain, { rules }] of chains) for (const rule of rules) lines.push(`-A ${chain} ${rule}`);
    return `${lines.join("\n")}\n`;
  }

  /** Base chains first, then the others by name, as iptables-nft keeps them. */
  private sorted(name: TableName): [string, ChainText][] {
    const all = [...this.table(name)];
    const user = all.filter(([, { policy }]) => policy === null).sort(([a], [b]) => (a < b ? -1 : 1));
    return [...all.filter(([, { policy }]) => policy !== null), ...user];
  }
}
