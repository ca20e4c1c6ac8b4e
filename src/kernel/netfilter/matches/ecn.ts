import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import * as tcp from "../../../wire/tcp.ts";
import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { printOption, readInteger } from "../value.ts";

const ECN_MASK = 3;

/** Bits that must be set, or must not. */
interface BitTest {
  readonly option: "ecn-tcp-ece" | "ecn-tcp-cwr";
  readonly bit: number;
  readonly not: boolean;
}

/** `ecn_mt4()` of xt_ecn.c. */
class EcnMatch implements Match {
  readonly name = "ecn";

  constructor(
    private readonly bits: readonly BitTest[],
    private readonly codepoint: { readonly value: number; readonly not: boolean } | null,
  ) {}

  matches(packet: Packet): boolean {
    const { view } = packet;
    const { codepoint, bits } = this;
    if (codepoint !== null && ((ipv4.tos(view, NETWORK) & ECN_MASK) === codepoint.value) === codepoint.not)
      return false;
    if (bits.length === 0) return true;
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    if (packet.end - at < tcp.TCP_HEADER) return false;
    const flags = tcp.flags(view, at);
    for (const { bit, not } of bits) if (((flags & bit) === 0) !== not) return false;
    return true;
  }

  print(): string {
    const words = this.bits.map(({ option, not }) => printOption(option, "", not));
    if (this.codepoint !== null) words.push(printOption("ecn-ip-ect", `${this.codepoint.value}`, this.codepoint.not));
    return words.join(" ");
  }
}

const BITS = [
  ["ecn-tcp-ece", tcp.ECE],
  ["ecn-tcp-cwr", tcp.CWR],
] as const;

export const ecnKind: MatchKind = {
  name: "ecn",
  options: [
    { name: "ecn-tcp-cwr", values: 0, not: true },
    { name: "ecn-tcp-ece", values: 0, not: true },
    { name: "ecn-ip-ect", not: true },
  ],
  parse(options, scope) {
    options.needAny("one of its options", "ECN match: some option required");
    const bits = BITS.flatMap(([option, bit]) => {
      const given = options.get(option);
      return given === null ? [] : [{ option, bit, not: given.not }];
    });
    if (bits.length > 0) options.needProtocol(scope, [ipv4.PROTOCOL_TCP], "-p tcp in a rule that looks at TCP's flags");
    const given = options.get("ecn-ip-ect");
    const codepoint =
      given === null ? null : { value: readInteger(given.values[0]!, 0, 3, "an ECN field"), not: given.not };
    return new EcnMatch(bits, codepoint);
  },
};
