import type { Device } from "../../link/device.ts";
import { NETWORK, type Packet } from "../../packet/packet.ts";
import { STEP, wordNumber } from "../../trace/step.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import type { Namespace } from "../namespace.ts";
import { type HookUser, PRIORITY } from "./hook-user.ts";
import type { Chain, Hook, Match, RuleContext, Table, TargetVerdict, Verdict } from "./rule.ts";

const WORD: Readonly<Record<TargetVerdict | "jump" | "goto", number>> = {
  DROP: wordNumber("verdict", "drop"),
  ACCEPT: wordNumber("verdict", "accept"),
  STOLEN: wordNumber("verdict", "stolen"),
  CONTINUE: wordNumber("verdict", "continue"),
  RETURN: wordNumber("verdict", "return"),
  jump: wordNumber("verdict", "jump"),
  goto: wordNumber("verdict", "goto"),
};

function interfaceMatches(pattern: string, device: Device | null): boolean {
  if (device === null) return false;
  if (pattern === device.name) return true;
  return pattern.endsWith("+") && device.name.startsWith(pattern.slice(0, -1));
}

function allMatch(matches: readonly Match[], packet: Packet, context: RuleContext): boolean {
  for (let i = 0; i < matches.length; i++) {
    if (!matches[i]!.matches(packet, context)) return false;
    if (context.hotdrop) return false;
  }
  return true;
}

/** One table at one hook: walks its chains for each packet (`ipt_do_table()`). */
export class TableWalk implements HookUser {
  readonly priority: number;
  private readonly base: Chain;
  private readonly reroutes: boolean;
  private readonly context: RuleContext;
  /** Where jumps return to. Walks may nest (a REJECT sends a packet of its own), so the stack is shared by depth. */
  private readonly chains: Chain[] = [];
  private readonly positions: number[] = [];
  private depth = 0;

  constructor(
    private readonly net: Namespace,
    table: Table,
    hook: Hook,
  ) {
    this.base = table.base(hook)!;
    this.context = { net, table: table.name, hook, in: null, out: null, hotdrop: false };
    const { name } = table;
    this.reroutes = name === "mangle" && hook === "output";
    if (name === "nat")
      this.priority = hook === "prerouting" || hook === "output" ? PRIORITY.natDestination : PRIORITY.natSource;
    else this.priority = PRIORITY[name];
  }

  run(packet: Packet, input: Device | null, output: Device | null): Verdict {
    const { context } = this;
    const { in: outerIn, out: outerOut } = context;
    context.in = input;
    context.out = output;
    const depth = this.depth;
    const verdict = this.reroutes ? this.walkAndRoute(packet, output) : this.walk(packet, input, output);
    this.depth = depth;
    context.in = outerIn;
    context.out = outerOut;
    return verdict;
  }

  /** `ipt_mangle_out()`: what mangle changes of our own packets may send them elsewhere. */
  private walkAndRoute(packet: Packet, output: Device | null): Verdict {
    const { view, mark } = packet;
    const source = ipv4.source(view, NETWORK);
    const destination = ipv4.destination(view, NETWORK);
    const tos = ipv4.tos(view, NETWORK);
    const verdict = this.walk(packet, null, output);
    if (verdict !== "ACCEPT") return verdict;
    const same =
      packet.mark === mark &&
      ipv4.tos(view, NETWORK) === tos &&
      ipv4.source(view, NETWORK) === source &&
      ipv4.destination(view, NETWORK) === destination;
    return same || this.net.rerouteOutput(packet) ? "ACCEPT" : "DROP";
  }

  private walk(packet: Packet, input: Device | null, output: Device | null): Verdict {
    const { context } = this;
    const { trace } = this.net.fabric;
    const { view } = packet;
    const source = ipv4.source(view, NETWORK);
    const destination = ipv4.destination(view, NETWORK);
    const protocol = ipv4.protocol(view, NETWORK);
    const laterFragment = ipv4.fragmentOffset(view, NETWORK) !== 0;
    const floor = this.depth;
    let chain = this.base;
    let position = 0;
    for (;;) {
      const { rules } = chain;
      if (position === rules.length) {
        if (this.depth === floor) return this.policy(packet);
        this.depth--;
        chain = this.chains[this.depth]!;
        position = this.positions[this.depth]!;
        continue;
      }
      const rule = rules[position++]!;
      const { header } = rule;
      if (
        (((source ^ header.source) & header.sourceMask) !== 0) !== header.notSource ||
        (((destination ^ header.destination) & header.destinationMask) !== 0) !== header.notDestination ||
        (header.protocol !== 0 && (header.protocol !== protocol) !== header.notProtocol) ||
        (header.in !== "" && interfaceMatches(header.in, input) === header.notIn) ||
        (header.out !== "" && interfaceMatches(header.out, output) === header.notOut) ||
        (header.fragment && laterFragment === header.notFragment)
      )
        continue;
      if (rule.matches.length > 0 && !allMatch(rule.matches, packet, context)) {
        if (!context.hotdrop) {
          if (trace !== null && rule.notices.length > 0)
            trace.step(STEP.unmodelled, packet.id, this.net.place, rule.place);
          continue;
        }
        context.hotdrop = false;
        if (trace !== null) trace.step(STEP.rule, packet.id, this.net.place, rule.place, WORD.DROP);
        return "DROP";
      }
      rule.packets++;
      rule.bytes += packet.end - NETWORK;
      const { action } = rule;
      if (action.kind === "chain") {
        if (trace !== null)
          trace.step(
            STEP.rule,
            packet.id,
            this.net.place,
            rule.place,
            action.goto ? WORD.goto : WORD.jump,
            action.chain.place,
          );
        if (!action.goto) {
          this.chains[this.depth] = chain;
          this.positions[this.depth] = position;
          this.depth++;
        }
        chain = action.chain;
        position = 0;
        continue;
      }
      const verdict: TargetVerdict =
        action.kind === "verdict"
          ? action.verdict
          : action.kind === "target"
            ? action.target.apply(packet, context)
            : "CONTINUE";
      if (trace !== null) trace.step(STEP.rule, packet.id, this.net.place, rule.place, WORD[verdict]);
      if (verdict === "CONTINUE") continue;
      if (verdict !== "RETURN") return verdict;
      position = rules.length;
    }
  }

  private policy(packet: Packet): Verdict {
    const { base } = this;
    if (base.counts) {
      base.packets++;
      base.bytes += packet.end - NETWORK;
    }
    const verdict = base.policy ?? "ACCEPT";
    const { trace } = this.net.fabric;
    if (trace !== null) trace.step(STEP.policy, packet.id, this.net.place, base.place, WORD[verdict]);
    return verdict;
  }
}
