import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import * as tcp from "../../../wire/tcp.ts";
import type { MatchKind } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { unexpected } from "../tokenizer.ts";
import { printOption, readIntegerRange } from "../value.ts";

const MSS_OPTION = 2;
const MSS_LENGTH = 4;

/** `tcpmss_mt()` of xt_tcpmss.c. */
class TcpmssMatch implements Match {
  readonly name = "tcpmss";

  constructor(
    private readonly min: number,
    private readonly max: number,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet, context: RuleContext): boolean {
    const { view } = packet;
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    const room = packet.end - at;
    const header = room < tcp.TCP_HEADER ? 0 : tcp.headerLength(view, at);
    if (header < tcp.TCP_HEADER || header > room) {
      context.hotdrop = true;
      return false;
    }
    const end = at + header;
    for (let i = at + tcp.TCP_HEADER; i < end; ) {
      const kind = view.getUint8(i);
      const length = view.getUint8(i + 1);
      if (kind === MSS_OPTION && length === MSS_LENGTH && end - i >= MSS_LENGTH) {
        const mss = view.getUint16(i + 2);
        return (mss >= this.min && mss <= this.max) !== this.not;
      }
      i += kind < 2 ? 1 : length || 1;
    }
    return this.not;
  }

  print(): string {
    return printOption("mss", this.min === this.max ? `${this.min}` : `${this.min}:${this.max}`, this.not);
  }
}

export const tcpmssKind: MatchKind = {
  name: "tcpmss",
  options: [{ name: "mss", not: true }],
  parse(options, scope) {
    options.needProtocol(scope, [ipv4.PROTOCOL_TCP], "-p tcp in a rule with the match tcpmss");
    const given = options.need("mss");
    const { min, max } = readIntegerRange(given.values[0]!, 0xffff, "a segment size in bytes");
    if (max < min)
      throw unexpected(
        given.values[0]!,
        "a range of sizes whose first is not above its last",
        "tcpmss: invalid range given",
      );
    return new TcpmssMatch(min, max, given.not);
  },
};
