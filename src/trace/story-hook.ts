import type { Headers } from "./headers.ts";
import { connectionText, manipText, quoteText, routeText, setText } from "./step-text.ts";
import { NO_BREAK, type Role } from "./story-line.ts";
import type { Step, StepOf } from "./trace.ts";

/** One line about what a netfilter hook does. */
export interface HookLine {
  readonly text: string;
  readonly role: Role;
  readonly depth: number;
  readonly time: number;
}

type WalkStep = StepOf<"rule"> | StepOf<"policy">;

/** Tells what happens to one packet in one hook: its tables, chain by chain, connection tracking and NAT. */
export class HookStory {
  readonly lines: HookLine[] = [];
  /** What decided, for the line of a drop. */
  decision = "";
  /** Things of little news, gathered for one line. */
  private quiet: { readonly who: string[]; readonly what: string }[] = [];
  private quietSince = 0;
  /** The chains that jumps have led to, outermost first. */
  private readonly chains: string[] = [];
  private table = "";
  private matched = false;

  constructor(
    private readonly steps: readonly Step[],
    private readonly headers: Headers,
    private readonly hook: string,
  ) {
    for (let i = 0; i < steps.length; i++) {
      i += this.tell(steps[i]!, i);
    }
    this.flush();
  }

  /** Returns how many of the following steps it has told, too. */
  private tell(step: Step, index: number): number {
    switch (step.kind) {
      case "rule":
        return this.rule(step, index);
      case "policy":
        this.policy(step);
        break;
      case "unmodelled":
        this.unmodelled(step);
        break;
      case "conntrack":
        this.whisper(step.change === "find" ? "" : "conntrack", connectionText(step), step.time);
        break;
      case "bind":
        if (!this.steps.some((other) => other.kind === "rewrite" && other.manip === step.manip))
          this.say(step, `the flow's ${manipText(step, this.headers)}`, "change");
        break;
      case "rewrite":
        this.say(step, step.layer === "packet" ? manipText(step, this.headers) : quoteText(step), "change");
        break;
      case "set":
        this.say(step, setText(step), "change");
        break;
      case "reassemble":
        this.say(step, `the last fragment is here: one datagram of ${step.bytes} bytes`, "change");
        break;
      case "route":
        this.say(step, `routed again: ${routeText(step, this.headers)}`, "change");
        break;
    }
    return 0;
  }

  /** A table of its own: no chain of the last one counts any more. */
  private enter(table: string): void {
    if (table === this.table) return;
    this.table = table;
    this.matched = false;
    this.chains.length = 0;
  }

  private rule(step: StepOf<"rule">, index: number): number {
    const { rule, verdict, to } = step;
    if (rule === null) return 0;
    this.enter(rule.table);
    this.matched = true;
    while (this.chains.length > 0 && this.chains[this.chains.length - 1] !== rule.chain) this.chains.pop();
    const depth = this.chains.length;
    const name = `${rule.table}${rule.chain === this.hook ? "" : ` ${rule.chain}`} rule ${rule.number}`;
    let told = 0;
    let after = "";
    if (to !== null && (verdict === "jump" || verdict === "goto")) {
      const returned = this.returnOf(to.chain, index);
      if (returned !== null) [told, after] = returned;
      else if (verdict === "goto" && depth > 0) this.chains[depth - 1] = to.chain;
      else if (verdict === "jump") this.chains.push(to.chain);
    } else if (verdict === "return") this.chains.pop();
    else if (verdict !== "continue") this.decision = `${name}${rule.chain === this.hook ? ` of ${rule.chain}` : ""}`;
    if (rule.unmodelled !== undefined) after += keep(`(hopscope does not model ${rule.unmodelled})`);
    if (verdict === "drop" && !/-j (DROP|REJECT)/.test(rule.text)) after += keep("(drops at once: hotdrop)");
    this.say(step, `${name}  ${rule.text}${after}`, roleOf(verdict), depth);
    return told;
  }

  private unmodelled({ rule, ...step }: StepOf<"unmodelled">): void {
    if (rule === null) return;
    this.enter(rule.table);
    const name = `${rule.table}${rule.chain === this.hook ? "" : ` ${rule.chain}`} rule ${rule.number}`;
    const after = keep(`(no match; hopscope does not model ${rule.unmodelled})`);
    this.say({ rule, ...step }, `${name}  ${rule.text}${after}`, "text", this.chains.length);
  }

  /** What becomes of a jump to `chain` that comes back at once, and how many steps that takes; null where more happens. */
  private returnOf(chain: string, index: number): [number, string] | null {
    const offset = this.steps.slice(index + 1).findIndex(({ kind }) => kind === "rule" || kind === "policy");
    const next = offset < 0 ? null : (this.steps[index + 1 + offset] as WalkStep);
    if (next?.kind !== "rule" || next.rule?.chain !== chain) return [0, keep("(no rule there matches)")];
    if (offset !== 0 || next.verdict !== "return" || next.rule.text !== "-j RETURN") return null;
    return [1, keep(`(returns by its rule ${next.rule.number})`)];
  }

  private policy(step: StepOf<"policy">): void {
    if (step.chain === null) return;
    this.enter(step.chain.table);
    const verdict = step.verdict.toUpperCase();
    const what = this.matched ? `policy ${verdict}` : `no rule matches, policy ${verdict}`;
    if (step.verdict === "accept") this.whisper(step.chain.table, what, step.time);
    else {
      this.decision = `the policy of ${step.chain.table} ${step.chain.chain}`;
      this.say(step, `${step.chain.table}: ${what}`, "drop");
    }
  }

  private say(step: Step, text: string, role: Role, depth = 0): void {
    this.flush();
    this.lines.push({ text, role, depth, time: step.time });
  }

  private whisper(who: string, what: string, time: number): void {
    if (this.quiet.length === 0) this.quietSince = time;
    const last = this.quiet[this.quiet.length - 1];
    if (last?.what === what && who !== "") last.who.push(who);
    else this.quiet.push({ who: who === "" ? [] : [who], what });
  }

  private flush(): void {
    if (this.quiet.length === 0) return;
    const text = this.quiet.map(({ who, what }) => (who.length === 0 ? what : `${who.join(", ")}: ${what}`)).join("; ");
    this.lines.push({ text, role: "text", depth: 0, time: this.quietSince });
    this.quiet = [];
  }
}

const roleOf = (verdict: string): Role => (verdict === "accept" ? "accept" : verdict === "drop" ? "drop" : "text");

/** Something behind a rule's text that is not torn apart. */
const keep = (text: string): string => ` ${text.replaceAll(" ", NO_BREAK)}`;
