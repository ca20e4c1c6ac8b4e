import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { MatchKind } from "../extension.ts";
import { PROTOCOL_DCCP } from "../protocol-name.ts";
import type { Match, RuleContext } from "../rule.ts";
import { splitList, type Token, unexpected } from "../tokenizer.ts";
import { printOption, readInteger } from "../value.ts";
import { type GivenPorts, PORT_OPTIONS, passes, printGivenPorts, readGivenPorts } from "./given-ports.ts";

/** In the order of their numbers (RFC 4340 section 5.1). */
export const DCCP_TYPES = "REQUEST RESPONSE DATA ACK DATAACK CLOSEREQ CLOSE RESET SYNC SYNCACK INVALID".split(" ");
/** iptables takes INVALID for every number that is none of the others. */
const INVALID = 0xfc00;
const DCCP_HEADER = 12;
/** What stands behind the generic header, by type (`dccp_packet_hdr_len()`). */
const FURTHER = [4, 12, 0, 8, 8, 8, 8, 12, 8, 8];
const FURTHER_OTHERS = 12;
const EXTENDED = 4;

interface Wanted {
  readonly value: number;
  readonly not: boolean;
}

const typeOf = (view: DataView, at: number): number => (view.getUint8(at + 8) >> 1) & 15;

/** `dccp_mt()` of xt_dccp.c. */
class DccpMatch implements Match {
  readonly name = "dccp";

  constructor(
    private readonly source: GivenPorts | null,
    private readonly destination: GivenPorts | null,
    /** A bit for each type. */
    private readonly types: Wanted | null,
    private readonly option: Wanted | null,
  ) {}

  matches(packet: Packet, context: RuleContext): boolean {
    const { view, end } = packet;
    if (ipv4.fragmentOffset(view, NETWORK) !== 0) return false;
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    if (end - at < DCCP_HEADER) {
      context.hotdrop = true;
      return false;
    }
    if (!passes(view.getUint16(at), this.source) || !passes(view.getUint16(at + 2), this.destination)) return false;
    const { types, option } = this;
    if (types !== null && ((types.value & (1 << typeOf(view, at))) !== 0) === types.not) return false;
    return option === null || this.hasOption(packet, at, option.value, context) !== option.not;
  }

  /** `dccp_find_option()`. */
  private hasOption({ view, end }: Packet, at: number, wanted: number, context: RuleContext): boolean {
    const extended = (view.getUint8(at + 8) & 1) !== 0;
    const own = DCCP_HEADER + (extended ? EXTENDED : 0) + (FURTHER[typeOf(view, at)] ?? FURTHER_OTHERS);
    const header = view.getUint8(at + 4) * 4;
    context.hotdrop = header < own || (header > own && at + header > end);
    if (context.hotdrop) return false;
    for (let i = at + own; i < at + header; ) {
      const kind = view.getUint8(i);
      if (kind === wanted) return true;
      i += kind < 2 || i === at + header - 1 ? 1 : view.getUint8(i + 1) || 1;
    }
    return false;
  }

  print(): string {
    const words = [...printGivenPorts("sport", this.source), ...printGivenPorts("dport", this.destination)];
    const { types, option } = this;
    if (types !== null) {
      const names = DCCP_TYPES.filter((_, type) => types.value & (1 << type));
      words.push(printOption("dccp-types", names.join(","), types.not));
    }
    if (option !== null) words.push(printOption("dccp-option", `${option.value}`, option.not));
    return words.join(" ");
  }
}

function readTypes(token: Token): number {
  let types = 0;
  for (const item of splitList(token)) {
    if (item.text === "") continue;
    const type = DCCP_TYPES.indexOf(item.text.toUpperCase());
    if (type < 0) throw unexpected(item, `a DCCP type (${DCCP_TYPES.join(", ")})`, `Unknown DCCP type \`${item.text}'`);
    types |= item.text.toUpperCase() === "INVALID" ? INVALID : 1 << type;
  }
  return types;
}

export const dccpKind: MatchKind = {
  name: "dccp",
  options: [...PORT_OPTIONS, { name: "dccp-types", not: true }, { name: "dccp-option", not: true }],
  parse(options, scope) {
    options.needProtocol(scope, [PROTOCOL_DCCP], "-p dccp in a rule with the match dccp");
    const types = options.get("dccp-types");
    const option = options.get("dccp-option");
    return new DccpMatch(
      readGivenPorts(options, "sport"),
      readGivenPorts(options, "dport"),
      types === null ? null : { value: readTypes(types.values[0]!), not: types.not },
      option === null ? null : { value: readInteger(option.values[0]!, 1, 255, "a DCCP option"), not: option.not },
    );
  },
};
