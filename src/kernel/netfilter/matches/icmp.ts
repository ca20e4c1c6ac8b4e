import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as icmp from "../../../wire/icmp.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { MatchKind } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { part, type Token, unexpected } from "../tokenizer.ts";
import { printOption, readInteger, readIntegerRange } from "../value.ts";

const ANY = 255;

/** Type, first and last code. */
type Wanted = readonly [type: number, codeMin: number, codeMax: number];

const NAMES = new Map<string, Wanted>(
  Object.entries<Wanted>({
    any: [ANY, 0, 255],
    "echo-reply": [0, 0, 255],
    pong: [0, 0, 255],
    "destination-unreachable": [3, 0, 255],
    "network-unreachable": [3, 0, 0],
    "host-unreachable": [3, 1, 1],
    "protocol-unreachable": [3, 2, 2],
    "port-unreachable": [3, 3, 3],
    "fragmentation-needed": [3, 4, 4],
    "source-route-failed": [3, 5, 5],
    "network-unknown": [3, 6, 6],
    "host-unknown": [3, 7, 7],
    "network-prohibited": [3, 9, 9],
    "host-prohibited": [3, 10, 10],
    "tos-network-unreachable": [3, 11, 11],
    "tos-host-unreachable": [3, 12, 12],
    "communication-prohibited": [3, 13, 13],
    "host-precedence-violation": [3, 14, 14],
    "precedence-cutoff": [3, 15, 15],
    "source-quench": [4, 0, 255],
    redirect: [5, 0, 255],
    "network-redirect": [5, 0, 0],
    "host-redirect": [5, 1, 1],
    "tos-network-redirect": [5, 2, 2],
    "tos-host-redirect": [5, 3, 3],
    "echo-request": [8, 0, 255],
    ping: [8, 0, 255],
    "router-advertisement": [9, 0, 255],
    "router-solicitation": [10, 0, 255],
    "time-exceeded": [11, 0, 255],
    "ttl-exceeded": [11, 0, 255],
    "ttl-zero-during-transit": [11, 0, 0],
    "ttl-zero-during-reassembly": [11, 1, 1],
    "parameter-problem": [12, 0, 255],
    "ip-header-bad": [12, 0, 0],
    "required-option-missing": [12, 1, 1],
    "timestamp-request": [13, 0, 255],
    "timestamp-reply": [14, 0, 255],
    "address-mask-request": [17, 0, 255],
    "address-mask-reply": [18, 0, 255],
  }),
);

/** `icmp_match()` of xt_tcpudp.c. */
class IcmpMatch implements Match {
  readonly name = "icmp";

  constructor(
    private readonly type: number,
    private readonly codeMin: number,
    private readonly codeMax: number,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet, context: RuleContext): boolean {
    const view = packet.view;
    if ((ipv4.fragmentWord(view, NETWORK) & ipv4.OFFSET_MASK) !== 0) return false;
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    if (packet.end - at < icmp.ICMP_HEADER) {
      context.hotdrop = true;
      return false;
    }
    if (this.type === ANY) return !this.not;
    const code = icmp.code(view, at);
    return (icmp.type(view, at) === this.type && code >= this.codeMin && code <= this.codeMax) !== this.not;
  }

  print(): string {
    const any = this.type === ANY;
    const code = any || (this.codeMin === 0 && this.codeMax === 255) ? "" : `/${this.codeMin}`;
    return printOption("icmp-type", any ? "any" : `${this.type}${code}`, this.not);
  }
}

export function readIcmpType(token: Token): Wanted {
  const what = "an ICMP type (a name such as echo-request, type or type/code)";
  const text = token.text.toLowerCase();
  const exact = NAMES.get(text);
  if (exact) return exact;
  if (!/^\d/.test(text)) {
    const begun = [...NAMES.keys()].filter((name) => text !== "" && name.startsWith(text));
    if (begun.length !== 1)
      throw unexpected(
        token,
        begun.length === 0 ? what : `one of ${begun.join(", ")}`,
        begun.length === 0
          ? `Unknown ICMP type \`${token.text}'`
          : `Ambiguous ICMP type \`${token.text}': \`${begun[0]}' or \`${begun[1]}'?`,
      );
    return NAMES.get(begun[0]!)!;
  }
  const slash = text.indexOf("/");
  if (slash < 0) return [readInteger(token, 0, 255, "an ICMP type"), 0, 255];
  const codes = readIntegerRange(part(token, slash + 1), 255, "an ICMP code");
  return [readInteger(part(token, 0, slash), 0, 255, "an ICMP type"), codes.min, codes.max];
}

export const icmpKind: MatchKind = {
  name: "icmp",
  options: [{ name: "icmp-type", not: true }],
  parse(options, scope) {
    options.needProtocol(scope, [ipv4.PROTOCOL_ICMP], "-p icmp in a rule with the match icmp");
    const given = options.need("icmp-type");
    const [type, codeMin, codeMax] = readIcmpType(given.values[0]!);
    return new IcmpMatch(type, codeMin, codeMax, given.not);
  },
};
