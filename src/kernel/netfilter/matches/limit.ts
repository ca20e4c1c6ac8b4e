import type { Packet } from "../../../packet/packet.ts";
import type { MatchKind } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { type Token, unexpected } from "../tokenizer.ts";
import { readInteger } from "../value.ts";

/** `XT_LIMIT_SCALE`: iptables keeps rates as the pause between two packets in units of 1/10,000 s. */
const SCALE = 10_000;
const UNITS = [
  { name: "day", long: "day", seconds: 86_400 },
  { name: "hour", long: "hour", seconds: 3600 },
  { name: "min", long: "minute", seconds: 60 },
  { name: "sec", long: "second", seconds: 1 },
] as const;
const NANOSECONDS = 1_000_000_000;
const DEFAULT_BURST = 5;

interface Rate {
  readonly packets: number;
  readonly unit: (typeof UNITS)[number];
}

/** `nft_limit_eval()` of nft_limit.c, which is what iptables-nft makes of `-m limit`: a token bucket in nanoseconds. */
class LimitMatch implements Match {
  readonly name = "limit";
  private readonly cost: number;
  private readonly capacity: number;
  private tokens: number;
  private last = 0;

  constructor(
    private readonly rate: Rate,
    private readonly burst: number,
  ) {
    this.cost = Math.floor((rate.unit.seconds * NANOSECONDS) / rate.packets);
    this.capacity = this.cost * burst;
    this.tokens = this.capacity;
  }

  matches(_packet: Packet, context: RuleContext): boolean {
    const now = context.net.fabric.scheduler.now;
    const tokens = Math.min(this.tokens + now - this.last, this.capacity);
    this.last = now;
    const enough = tokens >= this.cost;
    this.tokens = enough ? tokens - this.cost : tokens;
    return enough;
  }

  print(): string {
    const burst = this.burst === DEFAULT_BURST ? "" : ` --limit-burst ${this.burst}`;
    return `--limit ${this.rate.packets}/${this.rate.unit.name}${burst}`;
  }
}

/** `5/min`: packets over any beginning of second, minute, hour or day. */
function readRate(token: Token): Rate {
  const [, digits = "", suffix = ""] = /^(\d+)(?:\/([a-z]+))?$/i.exec(token.text) ?? [];
  const word = suffix.toLowerCase();
  const given = token.text.includes("/") ? UNITS.find((unit) => word !== "" && unit.long.startsWith(word)) : UNITS[3];
  const packets = Number(digits);
  if (given === undefined || packets === 0)
    throw unexpected(token, "a rate such as 5/second, 5/minute, 5/hour or 5/day", `bad rate "${token.text}"'`);
  const pause = Math.floor((SCALE * given.seconds) / packets);
  if (pause === 0) throw unexpected(token, `a rate of at most ${SCALE}/second`);
  return simplify(pause);
}

/** The shortest unit that gives the rate without much of a rest, `print_rate()` of libxt_limit. */
function simplify(pause: number): Rate {
  let unit: Rate["unit"] = UNITS[0];
  for (const next of UNITS.slice(1)) {
    const whole = SCALE * next.seconds;
    if (pause > whole || Math.floor(whole / pause) < whole % pause) break;
    unit = next;
  }
  return { packets: Math.floor((SCALE * unit.seconds) / pause), unit };
}

export const limitKind: MatchKind = {
  name: "limit",
  options: [{ name: "limit" }, { name: "limit-burst" }],
  parse(options) {
    const rate = options.value("limit");
    const burst = options.value("limit-burst");
    return new LimitMatch(
      rate === null ? simplify(SCALE * 1200) : readRate(rate),
      burst === null ? DEFAULT_BURST : readInteger(burst, 0, 10_000, "a number of packets") || DEFAULT_BURST,
    );
  },
};
