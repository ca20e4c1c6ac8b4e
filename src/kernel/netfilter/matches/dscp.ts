import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { readDscpClass } from "../tos-name.ts";
import { hexByte, printOption, readInteger } from "../value.ts";

/** `dscp_mt()` of xt_dscp.c: the upper six bits of the TOS byte. */
class DscpMatch implements Match {
  readonly name = "dscp";

  constructor(
    private readonly value: number,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet): boolean {
    return (ipv4.tos(packet.view, NETWORK) >> 2 === this.value) !== this.not;
  }

  print(): string {
    return printOption("dscp", hexByte(this.value), this.not);
  }
}

export const dscpKind: MatchKind = {
  name: "dscp",
  options: [
    { name: "dscp", not: true, excludes: ["dscp-class"] },
    { name: "dscp-class", not: true },
  ],
  parse(options) {
    const given = options.get("dscp");
    if (given !== null) return new DscpMatch(readInteger(given.values[0]!, 0, 63, "a DSCP value"), given.not);
    const name = options.get("dscp-class");
    if (name === null) throw options.lacks("--dscp or --dscp-class", "DSCP match: Parameter --dscp is required");
    return new DscpMatch(readDscpClass(name.values[0]!), name.not);
  },
};
