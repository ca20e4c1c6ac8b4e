import type { Hook, Match, Notice, TableName, Target } from "./rule.ts";
import { kernelRefuses, type Reason, RuleError, type Token, unexpected } from "./tokenizer.ts";

/** An option that an extension takes. */
export interface OptionSpec {
  /** Without the two dashes. */
  readonly name: string;
  readonly aliases?: readonly string[];
  /** How many words follow; 1 without. */
  readonly values?: 0 | 1 | 2;
  /** `!` may stand before it. */
  readonly not?: boolean;
  /** Options that cannot stand beside it. */
  readonly excludes?: readonly string[];
  /** iptables knows it, hopscope refuses it by name. */
  readonly unmodelled?: boolean;
  /** hopscope takes the rule and cannot do this: what comes of it, for people. */
  readonly without?: string;
  /** It may be given again. */
  readonly repeats?: boolean;
}

/** What a rule is, for an extension that must know. */
export interface RuleScope {
  readonly table: TableName;
  /** The chain that the rule is in. */
  readonly chain: string;
  /** 0 for any. */
  readonly protocol: number;
  readonly notProtocol: boolean;
  /** The ipsets that there are; null where that is not known yet. */
  readonly sets: ReadonlyMap<string, unknown> | null;
}

/** An option as a rule gives it. */
export interface Given {
  readonly spec: OptionSpec;
  readonly token: Token;
  readonly not: boolean;
  readonly values: readonly Token[];
}

/** Where an extension may stand, and the word to complain about. */
export interface HookLimit {
  readonly hooks: readonly Hook[];
  readonly token: Token;
  readonly expected: string;
  /** Only a rule in a base chain is held to it: the extension looks when it is set up, not when chains are (`checkentry`). */
  readonly direct: boolean;
}

/** The options of one extension in one rule. */
export class Options {
  private readonly given: Given[] = [];
  readonly limits: HookLimit[] = [];
  /** What is taken and not done. */
  readonly notices: Notice[] = [];

  constructor(
    readonly name: string,
    private readonly specs: readonly OptionSpec[],
    /** The word that named the extension. */
    readonly token: Token,
    private readonly dash: "m" | "j",
  ) {}

  /** In the order in which they were given. */
  get all(): readonly Given[] {
    return this.given;
  }

  /** The options that a word without its dashes can stand for: the exact one, or all that begin with it. */
  find(word: string): OptionSpec[] {
    const exact = this.specs.filter((spec) => spec.name === word || spec.aliases?.includes(word));
    return exact.length > 0 ? exact : this.specs.filter((spec) => begins(spec, word));
  }

  /** True when `word` is the whole name of an option. */
  knows(word: string): boolean {
    return this.specs.some((spec) => spec.name === word || spec.aliases?.includes(word));
  }

  add(given: Given): void {
    const { spec, token } = given;
    if (spec.unmodelled)
      throw unexpected(token, `an option of ${this.name} that hopscope models; it does not model this one yet`);
    if (given.not && !spec.not)
      throw unexpected(
        token,
        "an option that can be inverted",
        `${this.name}: option "--${spec.name}" cannot be inverted.`,
      );
    for (const other of this.given) {
      if (other.spec === spec && !spec.repeats)
        throw unexpected(token, `--${spec.name} once`, `${this.name}: option "--${spec.name}" can only be used once.`);
      if (spec.excludes?.includes(other.spec.name) || other.spec.excludes?.includes(spec.name))
        throw unexpected(token, `no --${spec.name} beside --${other.spec.name}`, this.clash(spec, other.spec));
    }
    this.given.push(given);
    if (spec.without !== undefined)
      this.notices.push({ text: `--${spec.name} of ${this.name}: ${spec.without}`, place: token });
  }

  /** Something is taken and not done. */
  note(place: Token, text: string): void {
    this.notices.push({ text, place });
  }

  /** iptables names the option first that stands first in its table. */
  private clash(one: OptionSpec, other: OptionSpec): string {
    const [first, second] = this.specs.indexOf(one) < this.specs.indexOf(other) ? [one, other] : [other, one];
    return `${this.name}: option "--${first.name}" cannot be used together with "--${second.name}".`;
  }

  get(name: string): Given | null {
    return this.given.find((given) => given.spec.name === name) ?? null;
  }

  has(name: string): boolean {
    return this.get(name) !== null;
  }

  /** The value of an option that takes one, or null. */
  value(name: string): Token | null {
    return this.get(name)?.values[0] ?? null;
  }

  need(name: string): Given {
    const given = this.get(name);
    if (given === null) throw this.lacks(`--${name}`, `${this.name}: option "--${name}" must be specified`);
    return given;
  }

  /** True when both are given and `first` comes before `second`. */
  before(first: string, second: string): boolean {
    const names = this.given.map(({ spec }) => spec.name);
    return names.includes(first) && names.indexOf(first) < names.indexOf(second);
  }

  /** At least one option must be there. */
  needAny(what: string, reason: Reason = ""): void {
    if (this.given.length === 0) throw this.lacks(what, reason);
  }

  lacks(what: string, reason: Reason = ""): RuleError {
    return unexpected(this.token, `-${this.dash} ${this.name} with ${what}`, reason);
  }

  /** What was thrown on reading these options, with iptables' words for an option whose value is bad. */
  explain(error: unknown): unknown {
    if (!(error instanceof RuleError) || typeof error.reason === "string") return error;
    const { column } = error.token;
    const given = [...this.given].reverse().find(({ token }) => token.column <= column);
    return given === undefined
      ? error
      : new RuleError(error.token, error.expected, error.reason(this.name, given.spec.name));
  }

  /** The extension works in these hooks only, from wherever it is called. */
  limit(hooks: readonly Hook[], token = this.token): void {
    const chains = hooks.map((hook) => hook.toUpperCase()).join(", ");
    const expected = `${token.text} only in chains that are reached from ${chains}`;
    this.limits.push({ hooks, token, expected, direct: false });
  }

  /** This option may not stand in the other base chains. */
  limitBase(hooks: readonly Hook[], token: Token): void {
    const chains = hooks.map((hook) => hook.toUpperCase()).join(", ");
    this.limits.push({
      hooks,
      token,
      expected: `${token.text} only in chains of one's own, or ${chains}`,
      direct: true,
    });
  }

  /** The rule must name one of these protocols, without `!`. */
  needProtocol(scope: RuleScope, protocols: readonly number[], what: string): void {
    if (!scope.notProtocol && protocols.includes(scope.protocol)) return;
    // The matches that -p loads by itself are refused by iptables, all others by the kernel.
    const own = this.name === "tcp" || this.name === "udp";
    const reason = own ? `${this.name.toUpperCase()} match requires '-p ${this.name}'` : "";
    throw unexpected(this.token, what, reason || kernelRefuses(this.token, scope.chain));
  }
}

const begins = (spec: OptionSpec, word: string): boolean =>
  spec.name.startsWith(word) || (spec.aliases?.some((alias) => alias.startsWith(word)) ?? false);

/** What `matches/index.ts` registers. */
export interface MatchKind {
  readonly name: string;
  /** hopscope takes the rule and cannot do this: what comes of it, for people. */
  readonly without?: string;
  readonly options: readonly OptionSpec[];
  parse(options: Options, scope: RuleScope): Match;
}

/** What `targets/index.ts` registers. */
export interface TargetKind {
  readonly name: string;
  /** As of a match. */
  readonly without?: string;
  readonly options: readonly OptionSpec[];
  /** Any, without. */
  readonly tables?: readonly TableName[];
  /** Any, without. */
  readonly hooks?: readonly Hook[];
  parse(options: Options, scope: RuleScope): Target;
}
