import { Loopback } from "../../../link/loopback.ts";
import { FRAME, type Packet } from "../../../packet/packet.ts";
import { formatMac, type Mac } from "../../../wire/address.ts";
import * as ethernet from "../../../wire/ethernet.ts";
import type { MatchKind } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { type Token, unexpected } from "../tokenizer.ts";
import { printOption } from "../value.ts";
import { isLoopedBack } from "./pkttype.ts";

/** `mac_mt()` of xt_mac.c: what did not come over Ethernet has no address, and does not match inverted either. */
class MacMatch implements Match {
  readonly name = "mac";

  constructor(
    private readonly source: Mac,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet, context: RuleContext): boolean {
    if (context.in === null || context.in instanceof Loopback || isLoopedBack(packet, context)) return false;
    const { view } = packet;
    const same =
      ethernet.sourceHigh(view, FRAME) === this.source.high && ethernet.sourceLow(view, FRAME) === this.source.low;
    return same !== this.not;
  }

  print(): string {
    return printOption("mac-source", formatMac(this.source.high, this.source.low), this.not);
  }
}

/** Six bytes of one or two digits each. */
function readMac(token: Token): Mac {
  const bytes = /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(token.text)
    ? token.text.split(":").map((byte) => Number.parseInt(byte, 16))
    : null;
  if (bytes === null)
    throw unexpected(token, "a MAC address such as 02:42:ac:11:00:02", "Invalid MAC address specified.");
  const [a, b, c, d, e, f] = bytes as [number, number, number, number, number, number];
  return { high: (a << 8) | b, low: (c << 24) | (d << 16) | (e << 8) | f };
}

export const macKind: MatchKind = {
  name: "mac",
  options: [{ name: "mac-source", not: true }],
  parse(options) {
    const given = options.need("mac-source");
    options.limit(["prerouting", "input", "forward"]);
    return new MacMatch(readMac(given.values[0]!), given.not);
  },
};
