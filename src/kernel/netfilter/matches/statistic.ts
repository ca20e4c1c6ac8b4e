import type { Packet } from "../../../packet/packet.ts";
import type { Random } from "../../../sim/random.ts";
import type { Namespace } from "../../namespace.ts";
import type { MatchKind, Options } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { type Token, unexpected } from "../tokenizer.ts";
import { printOption, readInteger } from "../value.ts";

/** Probabilities are kept in units of 2^-31. */
const SCALE = 0x80000000;
const MOST = 0xffffffff;

/** `statistic_mt()` of xt_statistic.c, mode `random`. Unlike Linux, each rule has a stream of chance of its own. */
class RandomMatch implements Match {
  readonly name = "statistic";
  private random: Random | null = null;

  constructor(
    private readonly probability: number,
    private readonly not: boolean,
  ) {}

  attach(net: Namespace, label: string): void {
    this.random = net.random.fork(`statistic/${label}`);
  }

  matches(_packet: Packet, context: RuleContext): boolean {
    this.random ??= context.net.random.fork("statistic");
    return (this.random.next() & 0x7fffffff) < this.probability !== this.not;
  }

  print(): string {
    return `--mode random ${printOption("probability", (this.probability / SCALE).toFixed(11), this.not)}`;
  }
}

/** `statistic_mt()` of xt_statistic.c, mode `nth`: each rule counts the packets that reach it. */
class NthMatch implements Match {
  readonly name = "statistic";
  private count: number;

  constructor(
    private readonly every: number,
    private readonly packet: number,
    private readonly not: boolean,
  ) {
    this.count = every - 1 - packet;
  }

  matches(): boolean {
    this.count = this.count === this.every - 1 ? 0 : this.count + 1;
    return (this.count === 0) !== this.not;
  }

  print(): string {
    return `--mode nth ${printOption("every", `${this.every}`, this.not)} --packet ${this.packet}`;
  }
}

function readProbability(token: Token): number {
  const value = /^(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(token.text) ? Number(token.text) : Number.NaN;
  if (!(value >= 0 && value <= 1))
    throw unexpected(
      token,
      "a probability (0-1)",
      `statistic: bad value for option "--probability", or out of range (0-1).`,
    );
  return Math.round(value * SCALE);
}

function parseRandom(options: Options): Match {
  const given = options.need("probability");
  return new RandomMatch(readProbability(given.values[0]!), given.not);
}

function parseNth(options: Options): Match {
  const given = options.need("every");
  const every = readInteger(given.values[0]!, 1, MOST, "a number of packets");
  const packet = readInteger(options.need("packet").values[0]!, 0, MOST, "a packet");
  if (packet >= every)
    throw unexpected(
      options.value("packet")!,
      `a packet below --every (0-${every - 1})`,
      "the --packet p must be 0 <= p <= n-1",
    );
  return new NthMatch(every, packet, given.not);
}

export const statisticKind: MatchKind = {
  name: "statistic",
  options: [
    { name: "mode" },
    { name: "probability", not: true, excludes: ["every", "packet"] },
    { name: "every", not: true },
    { name: "packet" },
  ],
  parse(options) {
    const mode = options.need("mode").values[0]!;
    if (mode.text === "random") return parseRandom(options);
    if (mode.text === "nth") return parseNth(options);
    throw unexpected(mode, "random or nth");
  },
};
