import type { Packet } from "../../../packet/packet.ts";
import { maskOf } from "../../../wire/address.ts";
import type { Namespace } from "../../namespace.ts";
import type { Given, MatchKind, Options } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { splitList, type Token, unexpected } from "../tokenizer.ts";
import { readInteger } from "../value.ts";
import { formatRate, readRate } from "./hashlimit-rate.ts";
import { type HashlimitConfig, HashlimitTable } from "./hashlimit-table.ts";

const MODES = ["srcip", "srcport", "dstip", "dstport"] as const;
type Mode = (typeof MODES)[number];
const GC_INTERVAL = 1000;
const LAST = 0xffffffff;

/** What only the printed rule needs beside the table's configuration. */
interface Printed {
  readonly table: string;
  readonly above: boolean;
  readonly modes: readonly Mode[];
  readonly sourceLength: number;
  readonly destinationLength: number;
}

/** `hashlimit_mt()` of xt_hashlimit.c, revision 3. Rules of one name share its flows, and the first says how they count. */
class HashlimitMatch implements Match {
  readonly name = "hashlimit";
  readonly shares: string;

  constructor(
    private readonly config: HashlimitConfig,
    private readonly printed: Printed,
  ) {
    this.shares = `hashlimit/${printed.table}`;
  }

  attach(net: Namespace): void {
    if (!net.ruleState.has(this.shares))
      net.ruleState.set(this.shares, new HashlimitTable(this.config, net.fabric.scheduler.now));
  }

  matches(packet: Packet, context: RuleContext): boolean {
    const table = context.net.ruleState.get(this.shares) as HashlimitTable;
    const granted = table.grants(packet, context.net.fabric.scheduler.now);
    if (granted !== null) return granted !== this.printed.above;
    context.hotdrop = true;
    return false;
  }

  print(): string {
    const { config, printed } = this;
    const { rate, burst, expires } = formatRate(config.rate);
    const words = [`--hashlimit-${printed.above ? "above" : "upto"} ${rate}`];
    if (burst !== null) words.push(`--hashlimit-burst ${burst}`);
    if (printed.modes.length > 0) words.push(`--hashlimit-mode ${printed.modes.join(",")}`);
    words.push(`--hashlimit-name ${printed.table}`);
    if (config.size !== 0) words.push(`--hashlimit-htable-size ${config.size}`);
    if (config.max !== 0) words.push(`--hashlimit-htable-max ${config.max}`);
    if (config.interval !== GC_INTERVAL) words.push(`--hashlimit-htable-gcinterval ${config.interval}`);
    if (config.expires !== expires) words.push(`--hashlimit-htable-expire ${config.expires}`);
    if (printed.sourceLength !== 32) words.push(`--hashlimit-srcmask ${printed.sourceLength}`);
    if (printed.destinationLength !== 32) words.push(`--hashlimit-dstmask ${printed.destinationLength}`);
    if (config.span !== 0) words.push("--hashlimit-rate-match");
    if (config.span > 1) words.push(`--hashlimit-rate-interval ${config.span}`);
    return words.join(" ");
  }
}

function readModes(token: Token | null): Mode[] {
  const found = new Set<string>();
  for (const item of token === null ? [] : splitList(token)) {
    if (!(MODES as readonly string[]).includes(item.text)) throw unexpected(item, `one of ${MODES.join(", ")}`);
    found.add(item.text);
  }
  return MODES.filter((mode) => found.has(mode));
}

function readNumber(options: Options, name: string, otherwise: number): number {
  const token = options.value(`hashlimit-${name}`);
  return token === null ? otherwise : readInteger(token, 0, LAST, "a number");
}

function readLength(options: Options, name: string): number {
  const token = options.value(`hashlimit-${name}`);
  return token === null ? 32 : readInteger(token, 0, 32, "a prefix length");
}

function readName(options: Options): string {
  const token = options.need("hashlimit-name").values[0]!;
  if (token.text === "" || token.text.length > 254 || token.text.includes("/"))
    throw unexpected(token, "a name of 1 to 254 characters without /");
  return token.text;
}

function readConfig(options: Options, given: Given, modes: readonly Mode[], chain: string): HashlimitConfig {
  const rate = readRate(given.values[0]!, options.value("hashlimit-burst"), chain);
  const span = options.value("hashlimit-rate-interval");
  const spans = span === null ? 1 : readInteger(span, 1, 0xffffff, "a number of seconds");
  return {
    rate,
    sourceAddress: modes.includes("srcip"),
    sourcePort: modes.includes("srcport"),
    destinationAddress: modes.includes("dstip"),
    destinationPort: modes.includes("dstport"),
    sourceMask: maskOf(readLength(options, "srcmask")),
    destinationMask: maskOf(readLength(options, "dstmask")),
    size: readNumber(options, "htable-size", 0),
    max: readNumber(options, "htable-max", 0),
    interval: readNumber(options, "htable-gcinterval", GC_INTERVAL),
    expires: readNumber(options, "htable-expire", rate.expires),
    span: options.has("hashlimit-rate-match") ? spans : 0,
  };
}

export const hashlimitKind: MatchKind = {
  name: "hashlimit",
  options: [
    { name: "hashlimit-upto", aliases: ["hashlimit"], not: true, excludes: ["hashlimit-above"] },
    { name: "hashlimit-above", not: true },
    { name: "hashlimit-burst" },
    { name: "hashlimit-mode" },
    { name: "hashlimit-name" },
    { name: "hashlimit-htable-size" },
    { name: "hashlimit-htable-max" },
    { name: "hashlimit-htable-gcinterval" },
    { name: "hashlimit-htable-expire" },
    { name: "hashlimit-srcmask" },
    { name: "hashlimit-dstmask" },
    { name: "hashlimit-rate-match", values: 0 },
    { name: "hashlimit-rate-interval" },
  ],
  parse(options, scope) {
    const above = options.get("hashlimit-above");
    const given = above ?? options.get("hashlimit-upto");
    if (given === null) throw options.lacks("--hashlimit-upto or --hashlimit-above", "You have to specify --hashlimit");
    const modes = readModes(options.value("hashlimit-mode"));
    return new HashlimitMatch(readConfig(options, given, modes, scope.chain), {
      table: readName(options),
      above: (above !== null) !== given.not,
      modes,
      sourceLength: readLength(options, "srcmask"),
      destinationLength: readLength(options, "dstmask"),
    });
  },
};
