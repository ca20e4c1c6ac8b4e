import {
  type Given,
  type HookLimit,
  type MatchKind,
  type OptionSpec,
  Options,
  type RuleScope,
  type TargetKind,
} from "./extension.ts";
import { MATCH_KINDS, UNMODELLED_MATCHES } from "./matches/index.ts";
import { protocolMatch, readProtocol } from "./protocol-name.ts";
import { type Action, BASE_CHAINS, type Chain, type Match, Rule, type RuleHeader, type TableName } from "./rule.ts";
import { formatRule } from "./rule-format.ts";
import { TARGET_KINDS, UNMODELLED_TARGETS } from "./targets/index.ts";
import { kernelRefuses, part, splitList, type Token, unexpected } from "./tokenizer.ts";
import { type Network, parseInteger, readDeviceName, readNetwork } from "./value.ts";

/** What a rule is read against. */
export interface RulePlace {
  readonly table: TableName;
  readonly chain: Chain;
  /** Every chain of the table so far. */
  readonly chains: ReadonlyMap<string, Chain>;
  /** The ipsets that there are; null where that is not known yet. */
  readonly sets?: ReadonlyMap<string, unknown> | null;
}

export interface ParsedRule {
  readonly rule: Rule;
  /** Where its extensions may stand. */
  readonly limits: readonly HookLimit[];
  /** The name of the chain it leads to. */
  readonly jump: Token | null;
}

/** The options that every rule has; `letter` follows one dash. */
interface Generic extends OptionSpec {
  readonly letter: string;
}

const GENERIC: readonly Generic[] = [
  { name: "source", letter: "s", aliases: ["src"], not: true },
  { name: "destination", letter: "d", aliases: ["dst"], not: true },
  { name: "in-interface", letter: "i", not: true },
  { name: "out-interface", letter: "o", not: true },
  { name: "protocol", letter: "p", not: true },
  { name: "fragments", letter: "f", values: 0, not: true },
  { name: "jump", letter: "j" },
  { name: "goto", letter: "g" },
  { name: "match", letter: "m" },
  { name: "set-counters", letter: "c" },
  { name: "ipv4", letter: "4", values: 0 },
  { name: "ipv6", letter: "6", values: 0 },
];

const VERDICTS = ["ACCEPT", "DROP", "RETURN"] as const;
type BuiltinVerdict = (typeof VERDICTS)[number];
const ANY: Network = { address: 0, mask: 0 };
const COUNTER = 2 ** 53 - 1;

function readCount(token: Token, what: string): number {
  const count = parseInteger(token.text);
  if (count >= 0 && count <= COUNTER) return count;
  throw unexpected(token, `a count of ${what}s (0-${COUNTER})`, `-c ${what} counter not numeric`);
}

function read<Part>(
  kind: { parse(options: Options, scope: RuleScope): Part },
  options: Options,
  scope: RuleScope,
): Part {
  try {
    return kind.parse(options, scope);
  } catch (error) {
    throw options.explain(error);
  }
}

/** Reads the options of one rule; addresses with commas make several rules of it. */
export class RuleParser {
  private readonly seen = new Map<string, Given>();
  private readonly matches: { readonly kind: MatchKind; readonly options: Options }[] = [];
  private target: { readonly kind: TargetKind; readonly options: Options } | null = null;
  private action: Action = { kind: "none" };
  private jump: Token | null = null;
  private protocol = 0;
  private notProtocol = false;
  private packets = 0;
  private bytes = 0;
  private at = 0;

  constructor(
    private readonly tokens: readonly Token[],
    private readonly end: Token,
    private readonly place: RulePlace,
  ) {}

  /** An empty list for a rule that is for IPv6 only. */
  parse(counters: { readonly packets: number; readonly bytes: number }): ParsedRule[] {
    this.packets = counters.packets;
    this.bytes = counters.bytes;
    while (this.at < this.tokens.length) this.readOption();
    if (this.seen.has("ipv6")) return [];
    const parsed: ParsedRule[] = [];
    for (const source of this.addresses("source"))
      for (const destination of this.addresses("destination")) parsed.push(this.build(source, destination));
    return parsed;
  }

  private readOption(): void {
    let token = this.next("an option");
    const not = token.text === "!" && !token.quoted ? token : null;
    if (not !== null) token = this.next("an option that ! inverts");
    if (not !== null && token.text === "!") throw unexpected(token, "an option after one !");
    const { spec, owner, value } = this.resolve(token);
    const values: Token[] = value === null ? [] : [value];
    const wanted = spec.values ?? 1;
    if (value !== null && wanted === 0) throw unexpected(value, `no value for --${spec.name}`);
    while (values.length < wanted) values.push(this.readValue(spec, values.length > 0));
    if (owner === null && values[0]?.text === "!" && !values[0].quoted)
      throw unexpected(values[0], `a value for --${spec.name}; ! stands before the option`);
    const given = { spec, token, not: not !== null, values };
    if (owner !== null) owner.add(given);
    else this.addGeneric(given);
  }

  private readValue(spec: OptionSpec, further: boolean): Token {
    const expected = further ? `a second value for --${spec.name}` : `a value for --${spec.name}`;
    const reason = further ? `--${spec.name} requires two args.` : `option "--${spec.name}" requires an argument`;
    const token = this.next(expected, reason);
    if (further && !token.quoted && /^[-!]/.test(token.text)) throw unexpected(token, expected, reason);
    return token;
  }

  private next(expected: string, reason = ""): Token {
    const token = this.tokens[this.at];
    if (token === undefined) throw unexpected(this.end, expected, reason);
    this.at++;
    return token;
  }

  /** Which option a word is: a generic one, one of the extension loaded last, or one of the protocol's match. */
  private resolve(token: Token): { spec: OptionSpec; owner: Options | null; value: Token | null } {
    if (/^-[^-]/.test(token.text)) {
      const spec = GENERIC.find((generic) => generic.letter === token.text[1]);
      if (spec === undefined) throw unexpected(token, "an option of a rule", `unknown option "${token.text}"`);
      return { spec, owner: null, value: token.text.length > 2 ? part(token, 2) : null };
    }
    if (!/^--./.test(token.text)) throw unexpected(token, "an option", `Bad argument \`${token.text}'`);
    const equals = token.text.indexOf("=");
    const word = token.text.slice(2, equals < 0 ? undefined : equals);
    const value = equals < 0 ? null : part(token, equals + 1);
    let found = this.find(word);
    if (found.length === 0 && this.loadProtocol()) found = this.find(word);
    if (found.length === 0) throw unexpected(token, this.missing(word), `unknown option "--${word}"`);
    if (found.length > 1)
      throw unexpected(token, `one of ${found.map(({ spec }) => `--${spec.name}`).join(", ")} in full`);
    return { ...found[0]!, value };
  }

  private find(word: string): { spec: OptionSpec; owner: Options | null }[] {
    const owners = [...this.matches, ...(this.target ? [this.target] : [])].map(({ options }) => options).reverse();
    for (const generic of GENERIC)
      if (generic.name === word || generic.aliases?.includes(word)) return [{ spec: generic, owner: null }];
    for (const owner of owners) if (owner.knows(word)) return [{ spec: owner.find(word)[0]!, owner }];
    const begun: { spec: OptionSpec; owner: Options | null }[] = [];
    for (const generic of GENERIC)
      if ([generic.name, ...(generic.aliases ?? [])].some((name) => name.startsWith(word)))
        begun.push({ spec: generic, owner: null });
    for (const owner of owners)
      for (const spec of owner.find(word))
        if (!begun.some((other) => other.spec.name === spec.name)) begun.push({ spec, owner });
    return begun;
  }

  /** `-p tcp --dport 80` needs no `-m tcp`. */
  private loadProtocol(): boolean {
    const name = protocolMatch(this.protocol);
    const kind = name === null ? undefined : MATCH_KINDS.get(name);
    if (kind === undefined || this.matches.some((match) => match.kind === kind)) return false;
    const token = this.seen.get("protocol")!.values[0]!;
    this.matches.push({ kind, options: this.optionsOf(kind, { ...token, text: kind.name }, "m") });
    return true;
  }

  private optionsOf(kind: MatchKind | TargetKind, token: Token, dash: "m" | "j"): Options {
    const options = new Options(kind.name, kind.options, token, dash);
    if (kind.without !== undefined)
      options.notices.push({ text: `-${dash} ${kind.name}: ${kind.without}`, place: token });
    return options;
  }

  private missing(word: string): string {
    const name = protocolMatch(this.protocol);
    if (name !== null && UNMODELLED_MATCHES.has(name)) return `a modelled match; hopscope does not model ${name} yet`;
    // Of all that have ports TCP is the likeliest.
    for (const kind of [MATCH_KINDS.get("tcp")!, ...MATCH_KINDS.values()])
      if (kind.options.some((spec) => spec.name === word)) return `-m ${kind.name} before --${word}`;
    for (const kind of TARGET_KINDS.values())
      if (kind.options.some((spec) => spec.name === word)) return `-j ${kind.name} before --${word}`;
    return "an option of a rule or of its matches and target";
  }

  private addGeneric(given: Given): void {
    const { spec, token, values } = given;
    const value = values[0]!;
    if (given.not && !spec.not) throw unexpected(token, "an option that can be inverted");
    if (spec.name === "match") this.loadMatch(value);
    else if (spec.name === "set-counters") this.readCounters(value);
    else this.addOnce(given);
  }

  private addOnce(given: Given): void {
    const { spec, token, values } = given;
    const value = values[0]!;
    const key = spec.name === "goto" ? "jump" : spec.name;
    if (this.seen.has(key))
      throw unexpected(token, `--${spec.name} once`, `multiple -${token.text[1]} flags not allowed`);
    this.seen.set(key, given);
    if (key === "jump") this.readJump(value, spec.name === "goto");
    else if (key === "protocol") this.readProtocol(given);
    else if (key === "in-interface") this.readDevice(given, ["OUTPUT", "POSTROUTING"]);
    else if (key === "out-interface") this.readDevice(given, ["PREROUTING", "INPUT"]);
  }

  private readProtocol(given: Given): void {
    this.protocol = readProtocol(given.values[0]!);
    this.notProtocol = given.not;
    if (given.not && this.protocol === 0)
      throw unexpected(given.values[0]!, "a protocol other than all behind !", "rule would never match protocol");
  }

  private readDevice(given: Given, never: readonly string[]): void {
    readDeviceName(given.values[0]!);
    if (never.includes(this.place.chain.name))
      throw unexpected(
        given.token,
        `no --${given.spec.name} in ${this.place.chain.name}`,
        `Can't use -${given.spec.name[0]} with ${this.place.chain.name}`,
      );
  }

  private readCounters(first: Token): void {
    const comma = first.text.indexOf(",");
    const packets = comma < 0 ? first : part(first, 0, comma);
    const both = "-c requires packet and byte counter";
    const bytes = comma < 0 ? this.next("a count of bytes", both) : part(first, comma + 1);
    this.packets = readCount(packets, "packet");
    this.bytes = readCount(bytes, "byte");
  }

  private loadMatch(token: Token): void {
    const kind = MATCH_KINDS.get(token.text);
    if (kind === undefined)
      throw unexpected(
        token,
        UNMODELLED_MATCHES.has(token.text) ? `a modelled match; hopscope does not model ${token.text} yet` : "a match",
        UNMODELLED_MATCHES.has(token.text) ? "" : `Couldn't load match \`${token.text}':No such file or directory\n`,
      );
    this.matches.push({ kind, options: this.optionsOf(kind, token, "m") });
  }

  private readJump(token: Token, goto: boolean): void {
    const name = token.text;
    const kind = goto ? undefined : TARGET_KINDS.get(name);
    if (!goto && VERDICTS.includes(name as BuiltinVerdict)) {
      if (name === "DROP" && this.place.table === "nat")
        throw unexpected(
          token,
          "no DROP in table nat, which is not for filtering",
          '\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n',
        );
      this.action = { kind: "verdict", verdict: name as BuiltinVerdict };
    } else if (kind !== undefined) {
      if (kind.tables && !kind.tables.includes(this.place.table))
        throw unexpected(
          token,
          `${name} only in table ${kind.tables.join(" or ")}`,
          kernelRefuses(token, this.place.chain.name),
        );
      this.target = { kind, options: this.optionsOf(kind, token, "j") };
    } else this.readChain(token, goto);
  }

  private readChain(token: Token, goto: boolean): void {
    const chain = this.place.chains.get(token.text);
    const absent = `Chain '${token.text}' does not exist`;
    if (chain === undefined && UNMODELLED_TARGETS.has(token.text))
      throw unexpected(token, `a modelled target; hopscope does not model ${token.text} yet`);
    if (chain === undefined && BASE_CHAINS[this.place.table].includes(token.text))
      throw unexpected(token, "a target or a user-defined chain", absent);
    if (chain === undefined)
      throw unexpected(token, goto ? "a chain of this table" : "a target or a chain of this table", absent);
    if (chain.policy !== null) throw unexpected(token, "a target or a user-defined chain");
    this.jump = token;
    this.action = { kind: "chain", chain, goto };
  }

  private addresses(name: "source" | "destination"): { network: Network; not: boolean }[] {
    const given = this.seen.get(name);
    if (given === undefined) return [{ network: ANY, not: false }];
    const items = splitList(given.values[0]!);
    if (items.length > 1 && given.not)
      throw unexpected(
        given.values[0]!,
        "one address behind !",
        "! not allowed with multiple source or destination IP addresses",
      );
    return items.map((item) => {
      const network = readNetwork(item);
      if (network.mask === 0 && given.not) throw unexpected(item, "an address that is not all of them behind !");
      return { network: { address: network.address & network.mask, mask: network.mask }, not: given.not };
    });
  }

  private build(
    source: { network: Network; not: boolean },
    destination: { network: Network; not: boolean },
  ): ParsedRule {
    const { table, sets = null } = this.place;
    const scope = { table, sets, chain: this.place.chain.name, protocol: this.protocol, notProtocol: this.notProtocol };
    const limits: HookLimit[] = [];
    const matches: Match[] = [];
    for (const { kind, options } of this.matches) {
      options.limits.length = 0;
      matches.push(read(kind, options, scope));
      limits.push(...options.limits);
    }
    if (this.target !== null) {
      const { kind, options } = this.target;
      options.limits.length = 0;
      if (kind.hooks) options.limit(kind.hooks);
      this.action = { kind: "target", target: read(kind, options, scope) };
      limits.push(...options.limits);
    }
    const header = this.header(source, destination);
    const rule = new Rule(header, matches, this.action, formatRule(header, matches, this.action));
    rule.notices = [...this.matches, ...(this.target ? [this.target] : [])].flatMap(({ options }) => options.notices);
    rule.packets = this.packets;
    rule.bytes = this.bytes;
    return { rule, limits, jump: this.jump };
  }

  private header(
    source: { network: Network; not: boolean },
    destination: { network: Network; not: boolean },
  ): RuleHeader {
    const fragments = this.seen.get("fragments");
    const [input, notIn] = this.device("in-interface");
    const [output, notOut] = this.device("out-interface");
    return {
      source: source.network.address,
      sourceMask: source.network.mask,
      notSource: source.not,
      destination: destination.network.address,
      destinationMask: destination.network.mask,
      notDestination: destination.not,
      in: input,
      notIn,
      out: output,
      notOut,
      protocol: this.protocol,
      notProtocol: this.notProtocol,
      fragment: fragments !== undefined,
      notFragment: fragments?.not ?? false,
    };
  }

  /** A lone `+` stands for any device, which is what no name says too. */
  private device(name: string): [string, boolean] {
    const given = this.seen.get(name);
    if (given === undefined) return ["", false];
    const text = given.values[0]!.text;
    return text === "+" && !given.not ? ["", false] : [text, given.not];
  }
}
