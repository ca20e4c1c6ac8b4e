import { NETWORK, type Packet } from "../../../packet/packet.ts";
import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { type Token, unexpected } from "../tokenizer.ts";
import { printOption } from "../value.ts";

const MOST = 2n ** 64n - 1n;

/** `quota_mt()` of xt_quota.c: one packet too many and nothing passes any more. */
class QuotaMatch implements Match {
  readonly name = "quota";
  private left: number;

  constructor(
    private readonly quota: bigint,
    private readonly not: boolean,
  ) {
    this.left = Number(quota);
  }

  matches(packet: Packet): boolean {
    const bytes = packet.end - NETWORK;
    const enough = this.left >= bytes;
    this.left = enough ? this.left - bytes : 0;
    return enough !== this.not;
  }

  print(): string {
    return printOption("quota", `${this.quota}`, this.not);
  }
}

function readQuota(token: Token): bigint {
  const quota = /^(\d+|0x[0-9a-f]+)$/i.test(token.text) ? BigInt(token.text) : -1n;
  if (quota < 0n || quota > MOST)
    throw unexpected(
      token,
      `a number of bytes (0-${MOST})`,
      `quota: bad value for option "--quota", or out of range (0-${MOST}).`,
    );
  return quota;
}

export const quotaKind: MatchKind = {
  name: "quota",
  options: [{ name: "quota", not: true }],
  parse(options) {
    const given = options.need("quota");
    return new QuotaMatch(readQuota(given.values[0]!), given.not);
  },
};
