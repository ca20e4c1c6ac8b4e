import { InputError } from "../../wire/input-error.ts";
import { checkTable } from "./chain-check.ts";
import { BASE_CHAINS, Chain, TABLES, Table, type TableName } from "./rule.ts";
import { type ParsedRule, RuleParser } from "./rule-parser.ts";
import { endOfLine, part, type Token, tokenize, unexpected } from "./tokenizer.ts";
import { readInteger } from "./value.ts";

export { formatRule, formatTables } from "./rule-format.ts";

const COUNTERS = /^\[(\d+):(\d+)\]$/;
const CHAIN_NAME = 28;
const UNMODELLED = "-D --delete -R --replace -X --delete-chain -Z --zero -E --rename-chain -C --check".split(" ");
const COMMANDS = ["-A", "--append", "-I", "--insert", "-N", "--new-chain", "-P", "--policy", "-F", "--flush"];

/**
 * Reads what `iptables-restore` reads. A table that comes twice is as it stands the second time. Counters are kept, as
 * `iptables-restore --counters` does.
 * @throws {InputError} for the first thing that iptables would refuse or that hopscope does not model.
 */
export function parseRules(text: string, file: string): Table[] {
  const tables = new Map<TableName, Table>();
  let open: TableText | null = null;
  const lines = text.split(/\r?\n/);
  for (const [i, line] of lines.entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const tokens = tokenize(line, file, i + 1);
    const end = endOfLine(line, file, i + 1);
    if (open === null) open = new TableText(readTableName(tokens, end), tables);
    else if (tokens[0]!.text === "COMMIT") {
      if (tokens.length > 1) throw unexpected(tokens[1]!, "nothing after COMMIT");
      const table: Table = open.finish();
      tables.set(table.name, table);
      open = null;
    } else open.readLine(tokens, end);
  }
  if (open !== null) {
    const last = lines.at(-1) === "" ? lines.length - 1 : lines.length;
    throw new InputError({ file, line: last + 1, column: 1 }, "the end of the file", "COMMIT");
  }
  return [...tables.values()];
}

function readTableName(tokens: readonly Token[], end: Token): TableName {
  const token = tokens[0]!;
  if (!token.text.startsWith("*")) throw unexpected(token, 'a table ("*filter")');
  const name = TABLES.find((table) => `*${table}` === token.text);
  if (name === undefined) throw unexpected(part(token, 1), `a table (${TABLES.join(", ")})`);
  if (tokens.length > 1) throw unexpected(tokens[1] ?? end, "nothing after the table");
  return name;
}

/** The part of a rule file between `*table` and `COMMIT`. */
class TableText {
  private readonly chains = new Map<string, Chain>();
  private readonly rules = new Map<Chain, ParsedRule[]>();

  constructor(
    private readonly name: TableName,
    before: ReadonlyMap<TableName, Table>,
  ) {
    for (const [base, { policy }] of before.get(name)?.chains ?? []) if (policy !== null) this.addChain(base, policy);
  }

  readLine(tokens: readonly Token[], end: Token): void {
    const first = tokens[0]!;
    if (first.text.startsWith(":")) this.readDeclaration(tokens, end);
    else if (first.text.startsWith("[")) {
      const close = first.text.indexOf("]") + 1;
      const [, packets, bytes] = COUNTERS.exec(first.text.slice(0, close)) ?? [];
      if (packets === undefined || bytes === undefined) throw unexpected(first, "counters ([packets:bytes])");
      const rest = close < first.text.length ? [part(first, close), ...tokens.slice(1)] : tokens.slice(1);
      this.readCommand(rest, end, { packets: Number(packets), bytes: Number(bytes) });
    } else this.readCommand(tokens, end, { packets: 0, bytes: 0 });
  }

  finish(): Table {
    const table = new Table(this.name);
    const user = [...this.chains.values()].filter((chain) => chain.policy === null);
    user.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const base of BASE_CHAINS[this.name]) {
      const chain = this.chains.get(base);
      if (chain !== undefined) table.chains.set(base, chain);
    }
    for (const chain of user) table.chains.set(chain.name, chain);
    checkTable(table, this.rules);
    for (const [chain, rules] of this.rules) chain.rules.push(...rules.map(({ rule }) => rule));
    return table;
  }

  /** `:CHAIN POLICY [packets:bytes]` */
  private readDeclaration(tokens: readonly Token[], end: Token): void {
    const name = part(tokens[0]!, 1);
    const policy = tokens[1];
    if (policy === undefined) throw unexpected(end, "a policy (ACCEPT, DROP or -)");
    const chain = this.chains.get(name.text) ?? this.addChain(readChainName(name), this.isBase(name) ? "ACCEPT" : null);
    if (policy.text !== "-") this.setPolicy(chain, policy);
    const counters = tokens[2];
    if (counters === undefined) return;
    const [, packets, bytes] = COUNTERS.exec(counters.text) ?? [];
    if (packets === undefined || bytes === undefined) throw unexpected(counters, "counters ([packets:bytes])");
    chain.packets = Number(packets);
    chain.bytes = Number(bytes);
    if (tokens.length > 3) throw unexpected(tokens[3]!, "nothing after the counters");
  }

  private readCommand(tokens: readonly Token[], end: Token, counters: { packets: number; bytes: number }): void {
    const command = tokens[0] ?? end;
    if (UNMODELLED.includes(command.text))
      throw unexpected(command, `a command that hopscope models; it does not model ${command.text} in rule text yet`);
    if (!COMMANDS.includes(command.text))
      throw unexpected(command, `a command (${COMMANDS.join(", ")}), a chain (":NAME") or COMMIT`);
    if (command.text === "-N" || command.text === "--new-chain") this.create(tokens, end);
    else if (command.text === "-F" || command.text === "--flush") this.flush(tokens);
    else if (command.text === "-P" || command.text === "--policy")
      this.setPolicy(this.readChain(tokens[1] ?? end), tokens[2] ?? end);
    else this.readRule(tokens, end, counters);
  }

  /** `-A CHAIN ...` or `-I CHAIN [number] ...` */
  private readRule(tokens: readonly Token[], end: Token, counters: { packets: number; bytes: number }): void {
    const chain = this.readChain(tokens[1] ?? end);
    const insert = tokens[0]!.text === "-I" || tokens[0]!.text === "--insert";
    const numbered = insert && /^\d+$/.test(tokens[2]?.text ?? "");
    const rules = this.rules.get(chain)!;
    let at = insert ? 0 : rules.length;
    if (numbered) at = readInteger(tokens[2]!, 1, rules.length + 1, "a rule number") - 1;
    const from = numbered ? 3 : 2;
    const place = { table: this.name, chain, chains: this.chains };
    rules.splice(at, 0, ...new RuleParser(tokens.slice(from), end, place).parse(counters));
  }

  private create(tokens: readonly Token[], end: Token): void {
    const name = tokens[1] ?? end;
    if (this.chains.has(name.text)) throw unexpected(name, "a chain that does not exist yet");
    this.addChain(readChainName(name), null);
    if (tokens.length > 2) throw unexpected(tokens[2]!, "nothing after the chain");
  }

  private flush(tokens: readonly Token[]): void {
    for (const [chain, rules] of this.rules)
      if (tokens[1] === undefined || chain === this.readChain(tokens[1])) rules.length = 0;
  }

  private readChain(token: Token): Chain {
    const chain = token.end ? undefined : this.chains.get(token.text);
    if (chain !== undefined) return chain;
    if (!this.isBase(token)) throw unexpected(token, "a chain of this table");
    return this.addChain(token.text, "ACCEPT");
  }

  /** A base chain comes to be when it is named first, as iptables-nft has it. */
  private isBase(token: Token): boolean {
    return !token.end && BASE_CHAINS[this.name].includes(token.text);
  }

  private setPolicy(chain: Chain, token: Token): void {
    if (token.text !== "ACCEPT" && token.text !== "DROP") throw unexpected(token, "a policy (ACCEPT or DROP)");
    if (chain.policy === null) throw unexpected(token, "- (a user-defined chain has no policy)");
    chain.policy = token.text;
  }

  private addChain(name: string, policy: "ACCEPT" | "DROP" | null): Chain {
    const chain = new Chain(name, policy);
    this.chains.set(name, chain);
    this.rules.set(chain, []);
    return chain;
  }
}

function readChainName(token: Token): string {
  const { text } = token;
  if (token.end || text === "" || text.length > CHAIN_NAME || /^[-!]/.test(text))
    throw unexpected(token, `a chain name (1 to ${CHAIN_NAME} characters, not - or ! at its start)`);
  if (["ACCEPT", "DROP", "RETURN", "QUEUE"].includes(text)) throw unexpected(token, "a chain name that is no verdict");
  return text;
}
