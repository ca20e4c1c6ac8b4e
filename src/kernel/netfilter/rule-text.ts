import { InputError } from "../../wire/input-error.ts";
import { checkTable } from "./chain-check.ts";
import { BASE_CHAINS, Chain, TABLES, Table, type TableName } from "./rule.ts";
import { type ParsedRule, RuleParser } from "./rule-parser.ts";
import { endOfLine, part, type Token, tokenize, unexpected } from "./tokenizer.ts";
import { parseInteger } from "./value.ts";

export { formatRule, formatTables } from "./rule-format.ts";

const COUNTERS = /^\[(\d+):(\d+)\]$/;
const CHAIN_NAME = 28;
const UNMODELLED = "-E --rename-chain -C --check -L --list -S --list-rules".split(" ");
const COMMANDS: Readonly<Record<string, string>> = {
  "--append": "-A",
  "--insert": "-I",
  "--delete": "-D",
  "--replace": "-R",
  "--new-chain": "-N",
  "--delete-chain": "-X",
  "--policy": "-P",
  "--flush": "-F",
  "--zero": "-Z",
};
const WORDS = Object.entries(COMMANDS).map(([long, short]) => `${short}, ${long}`);

export interface RuleOptions {
  /** The ipsets that rules may name; without, they may name any. */
  readonly sets?: ReadonlyMap<string, unknown>;
  /** Tables whose rules stay, as `iptables-restore --noflush` has it; they change once the whole table is read. */
  readonly onto?: ReadonlyMap<TableName, Table>;
}

/**
 * Reads what `iptables-restore` reads. A table that comes twice is as it stands the second time. Counters are kept, as
 * `iptables-restore --counters` does.
 * @throws {InputError} for the first thing that iptables would refuse or that hopscope does not model.
 */
export function parseRules(text: string, file: string, options: RuleOptions = {}): Table[] {
  const tables = new Map<TableName, Table>();
  let open: TableText | null = null;
  const lines = text.split(/\r?\n/);
  for (const [i, line] of lines.entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const tokens = tokenize(line, file, i + 1);
    const end = endOfLine(line, file, i + 1);
    if (open === null) open = new TableText(readTableName(tokens, end), tables, options);
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
  if (!token.text.startsWith("*")) throw unexpected(token, 'a table ("*filter")', `line ${token.line} failed`);
  const name = TABLES.find((table) => `*${table}` === token.text);
  if (name === undefined)
    throw unexpected(
      part(token, 1),
      `a table (${TABLES.join(", ")})`,
      `iptables-restore: line ${token.line} table name '${token.text.slice(1)}' invalid`,
    );
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
    private readonly options: RuleOptions,
  ) {
    for (const [base, { policy }] of before.get(name)?.chains ?? []) if (policy !== null) this.addChain(base, policy);
    for (const chain of options.onto?.get(name)?.chains.values() ?? []) {
      this.chains.set(chain.name, chain);
      this.rules.set(
        chain,
        chain.rules.map((rule) => ({ rule, limits: [], jump: null })),
      );
    }
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
    for (const [chain, rules] of this.rules) chain.rules.splice(0, Infinity, ...rules.map(({ rule }) => rule));
    return table;
  }

  /** `:CHAIN POLICY [packets:bytes]` */
  private readDeclaration(tokens: readonly Token[], end: Token): void {
    const name = part(tokens[0]!, 1);
    const policy = tokens[1];
    if (policy === undefined)
      throw unexpected(end, "a policy (ACCEPT, DROP or -)", `iptables-restore: line ${end.line} policy invalid`);
    const chain = this.chains.get(name.text) ?? this.addChain(readChainName(name), this.isBase(name) ? "ACCEPT" : null);
    // iptables-nft empties a chain that is declared again; iptables-legacy would refuse it.
    if (chain.policy === null) this.rules.get(chain)!.length = 0;
    if (policy.text === "-") chain.counts = true;
    else this.setPolicy(chain, policy);
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
    const long = !command.end && Object.hasOwn(COMMANDS, command.text);
    const short = command.end ? "" : long ? COMMANDS[command.text]! : command.text;
    if (short === "-A" || short === "-I" || short === "-R") this.readRule(tokens, end, counters);
    else if (short === "-N") this.create(tokens, end);
    else if (short === "-P") this.setPolicy(this.readChain(tokens[1] ?? end), tokens[2] ?? end);
    else if (short === "-F") this.flush(tokens);
    else if (short === "-D") this.deleteRule(tokens, end);
    else if (short === "-X") this.remove(tokens);
    else if (short === "-Z") this.zero(tokens);
    else throw unexpected(command, `a command (${WORDS.join(", ")}), a chain (":NAME") or COMMIT`);
  }

  /** `-A CHAIN ...`, `-I CHAIN [number] ...` or `-R CHAIN number ...` */
  private readRule(tokens: readonly Token[], end: Token, counters: { packets: number; bytes: number }): void {
    const command = COMMANDS[tokens[0]!.text] ?? tokens[0]!.text;
    const chain = this.readChain(tokens[1] ?? end);
    const numbered = command === "-R" || (command === "-I" && /^\d+$/.test(tokens[2]?.text ?? ""));
    const rules = this.rules.get(chain)!;
    let at = command === "-I" ? 0 : rules.length;
    if (numbered) {
      const [more, what] = command === "-I" ? ([1, "insertion"] as const) : ([0, "replacement"] as const);
      at = this.readNumber(tokens[2] ?? end, rules.length + more, what) - 1;
    }
    rules.splice(at, command === "-R" ? 1 : 0, ...this.parse(chain, tokens.slice(numbered ? 3 : 2), end, counters));
  }

  private parse(
    chain: Chain,
    tokens: readonly Token[],
    end: Token,
    counters: { packets: number; bytes: number },
  ): ParsedRule[] {
    const place = { table: this.name, chain, chains: this.chains, ...this.options };
    return new RuleParser(tokens, end, place).parse(counters);
  }

  private readNumber(token: Token, most: number, command: "insertion" | "replacement" | "deletion"): number {
    const number = parseInteger(token.text);
    if (number >= 1 && number <= most) return number;
    throw unexpected(
      token,
      most === 0 ? "a chain with rules" : `a rule number (1-${most})`,
      failed(token, `Index of ${command} too big`),
    );
  }

  /** `-D CHAIN number`, or the first rule that says the same. */
  private deleteRule(tokens: readonly Token[], end: Token): void {
    const chain = this.readChain(tokens[1] ?? end);
    const rules = this.rules.get(chain)!;
    if (tokens.length === 3 && /^\d+$/.test(tokens[2]!.text)) {
      rules.splice(this.readNumber(tokens[2]!, rules.length, "deletion") - 1, 1);
      return;
    }
    for (const { rule } of this.parse(chain, tokens.slice(2), end, { packets: 0, bytes: 0 })) {
      const at = rules.findIndex((other) => other.rule.text === rule.text);
      if (at < 0) {
        const token = tokens[2] ?? end;
        throw unexpected(
          token,
          "a rule of this chain",
          failed(token, "Bad rule (does a matching rule exist in that chain?)"),
        );
      }
      rules.splice(at, 1);
    }
  }

  /** `-X [CHAIN]`: of a chain that no rule leads to. */
  private remove(tokens: readonly Token[]): void {
    const named = tokens[1] === undefined ? null : this.readChain(tokens[1]);
    for (const chain of [...this.rules.keys()]) {
      if (chain.policy !== null || (named !== null && chain !== named)) continue;
      for (const rules of this.rules.values())
        for (const { rule } of rules)
          if (rule.action.kind === "chain" && rule.action.chain === chain)
            throw unexpected(
              tokens[1] ?? tokens[0]!,
              `a chain that no rule leads to, as one does to ${chain.name}`,
              `\nline ${tokens[0]!.line}: CHAIN_DEL failed (Device or resource busy): chain ${chain.name}`,
            );
      this.chains.delete(chain.name);
      this.rules.delete(chain);
    }
  }

  /** `-Z [CHAIN [number]]` */
  private zero(tokens: readonly Token[]): void {
    for (const [chain, rules] of this.rules) {
      if (tokens[1] !== undefined && chain !== this.readChain(tokens[1])) continue;
      const one = tokens[2] === undefined ? null : rules[this.readNumber(tokens[2], rules.length, "replacement") - 1]!;
      for (const counted of one === null ? [chain, ...rules.map(({ rule }) => rule)] : [one.rule]) {
        counted.packets = 0;
        counted.bytes = 0;
      }
    }
  }

  private create(tokens: readonly Token[], end: Token): void {
    const name = tokens[1] ?? end;
    if (this.chains.has(name.text))
      throw unexpected(name, "a chain that does not exist yet", failed(name, "Chain already exists"));
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
    if (!this.isBase(token))
      throw unexpected(token, "a chain of this table", failed(token, "No chain/target/match by that name"));
    const made = this.addChain(token.text, "ACCEPT");
    made.counts = false;
    return made;
  }

  /** A base chain comes to be when it is named first, as iptables-nft has it. */
  private isBase(token: Token): boolean {
    return !token.end && BASE_CHAINS[this.name].includes(token.text);
  }

  private setPolicy(chain: Chain, token: Token): void {
    if (token.text !== "ACCEPT" && token.text !== "DROP")
      throw unexpected(token, "a policy (ACCEPT or DROP)", failed(token, "Bad policy name"));
    if (chain.policy === null)
      throw unexpected(token, "- (a user-defined chain has no policy)", failed(token, "Bad built-in chain name"));
    chain.policy = token.text;
    chain.counts = true;
  }

  private addChain(name: string, policy: "ACCEPT" | "DROP" | null): Chain {
    const chain = new Chain(name, policy);
    this.chains.set(name, chain);
    this.rules.set(chain, []);
    return chain;
  }
}

/** A command that libiptc could not carry out. */
const failed = ({ line }: Token, why: string): string => `line ${line} failed: ${why}.`;

function readChainName(token: Token): string {
  const { text } = token;
  if (token.end || text === "" || text.length > CHAIN_NAME || /^[-!]/.test(text))
    throw unexpected(
      token,
      `a chain name (1 to ${CHAIN_NAME} characters, not - or ! at its start)`,
      text.length > CHAIN_NAME
        ? `chain name \`${text}' too long (must be under ${CHAIN_NAME + 1} chars)`
        : `Invalid chain name \`${text}'`,
    );
  if (["ACCEPT", "DROP", "RETURN", "QUEUE"].includes(text))
    throw unexpected(token, "a chain name that is no verdict", "chain name may not clash with target name");
  return text;
}
