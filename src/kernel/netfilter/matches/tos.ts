import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { readTos } from "../tos-name.ts";
import { hexByte, printOption } from "../value.ts";

/** `tos_mt()` of xt_dscp.c. */
class TosMatch implements Match {
  readonly name = "tos";

  constructor(
    private readonly value: number,
    private readonly mask: number,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet): boolean {
    return ((ipv4.tos(packet.view, NETWORK) & this.mask) === this.value) !== this.not;
  }

  print(): string {
    return printOption("tos", `${hexByte(this.value)}/${hexByte(this.mask)}`, this.not);
  }
}

export const tosKind: MatchKind = {
  name: "tos",
  options: [{ name: "tos", not: true }],
  parse(options) {
    const given = options.need("tos");
    const { value, mask } = readTos(given.values[0]!);
    return new TosMatch(value, mask, given.not);
  },
};
