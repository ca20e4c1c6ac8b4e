import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { MatchKind } from "../extension.ts";
import { formatPortRange, readPort } from "../port.ts";
import { PROTOCOL_DCCP, PROTOCOL_SCTP, PROTOCOL_UDPLITE } from "../protocol-name.ts";
import type { Match, RuleContext } from "../rule.ts";
import { part, splitList, type Token, unexpected } from "../tokenizer.ts";
import { printOption } from "../value.ts";

const OPTIONS = ["sports", "dports", "ports"] as const;
type Which = (typeof OPTIONS)[number];
/** `XT_MULTI_PORTS`: a range takes two. */
const SLOTS = 15;

/** `multiport_mt()` of xt_multiport.c. */
class MultiportMatch implements Match {
  readonly name = "multiport";

  constructor(
    private readonly which: Which,
    /** First and last of each range in turn. */
    private readonly ranges: readonly number[],
    private readonly not: boolean,
  ) {}

  matches(packet: Packet, context: RuleContext): boolean {
    const view = packet.view;
    if ((ipv4.fragmentWord(view, NETWORK) & ipv4.OFFSET_MASK) !== 0) return false;
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    if (packet.end - at < 4) {
      context.hotdrop = true;
      return false;
    }
    const found =
      (this.which !== "dports" && this.covers(view.getUint16(at))) ||
      (this.which !== "sports" && this.covers(view.getUint16(at + 2)));
    return found !== this.not;
  }

  private covers(port: number): boolean {
    const ranges = this.ranges;
    for (let i = 0; i < ranges.length; i += 2) if (port >= ranges[i]! && port <= ranges[i + 1]!) return true;
    return false;
  }

  print(): string {
    const items: string[] = [];
    for (let i = 0; i < this.ranges.length; i += 2) items.push(formatPortRange(this.ranges[i]!, this.ranges[i + 1]!));
    return printOption(this.which, items.join(","), this.not);
  }
}

function readRanges(token: Token): number[] {
  const ranges: number[] = [];
  let slots = 0;
  for (const item of splitList(token)) {
    const colon = item.text.indexOf(":");
    const first = readPort(colon < 0 ? item : part(item, 0, colon));
    const last = colon < 0 ? first : readPort(part(item, colon + 1));
    if (first > last || (colon >= 0 && first === last))
      throw unexpected(item, "a port range whose first port is below its last");
    slots += colon < 0 ? 1 : 2;
    if (slots > SLOTS)
      throw unexpected(item, `no more than ${SLOTS} ports (a range counts as two)`, "too many ports specified");
    ranges.push(first, last);
  }
  return ranges;
}

export const multiportKind: MatchKind = {
  name: "multiport",
  options: [
    { name: "sports", aliases: ["source-ports"], not: true, excludes: ["dports", "ports"] },
    { name: "dports", aliases: ["destination-ports"], not: true, excludes: ["ports"] },
    { name: "ports", not: true },
  ],
  parse(options, scope) {
    options.needProtocol(
      scope,
      [ipv4.PROTOCOL_TCP, ipv4.PROTOCOL_UDP, PROTOCOL_UDPLITE, PROTOCOL_SCTP, PROTOCOL_DCCP],
      "-p tcp, udp, udplite, sctp or dccp in a rule with the match multiport",
    );
    for (const which of OPTIONS) {
      const given = options.get(which);
      if (given !== null) return new MultiportMatch(which, readRanges(given.values[0]!), given.not);
    }
    throw options.lacks("--sports, --dports or --ports", "multiport expection an option");
  },
};
