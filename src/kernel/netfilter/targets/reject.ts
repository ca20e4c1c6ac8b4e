import type { Packet } from "../../../packet/packet.ts";
import * as icmp from "../../../wire/icmp.ts";
import { PROTOCOL_TCP } from "../../../wire/ipv4.ts";
import type { TargetKind } from "../extension.ts";
import { checksumAllowsAnswer } from "../reject-checksum.ts";
import type { RuleContext, Target, Verdict } from "../rule.ts";
import { unexpected } from "../tokenizer.ts";

/** What REJECT answers with, its short name, and the code of the ICMP type 3 message. */
const ANSWERS = [
  { name: "icmp-net-unreachable", short: "net-unreach", code: 0 },
  { name: "icmp-host-unreachable", short: "host-unreach", code: 1 },
  { name: "icmp-proto-unreachable", short: "proto-unreach", code: 2 },
  { name: "icmp-port-unreachable", short: "port-unreach", code: 3 },
  { name: "icmp-net-prohibited", short: "net-prohib", code: 9 },
  { name: "icmp-host-prohibited", short: "host-prohib", code: 10 },
  { name: "tcp-reset", short: "tcp-rst", code: -1 },
  { name: "icmp-admin-prohibited", short: "admin-prohib", code: 13 },
] as const;
type Answer = (typeof ANSWERS)[number];

/** `reject_tg()` of ipt_REJECT.c. */
class RejectTarget implements Target {
  readonly name = "REJECT";

  constructor(private readonly answer: Answer) {}

  apply(packet: Packet, context: RuleContext): Verdict {
    if (this.answer.code < 0) context.net.sendTcpReset(packet, context.hook);
    else if (checksumAllowsAnswer(packet)) context.net.sendIcmpError(packet, icmp.UNREACHABLE, this.answer.code, 0);
    return "DROP";
  }

  print(): string {
    return `--reject-with ${this.answer.name}`;
  }
}

export const rejectKind: TargetKind = {
  name: "REJECT",
  tables: ["filter"],
  hooks: ["input", "forward", "output"],
  options: [{ name: "reject-with" }],
  parse(options, scope) {
    const token = options.value("reject-with");
    if (token === null) return new RejectTarget(ANSWERS[3]);
    const word = token.text.toLowerCase();
    const answer = ANSWERS.find(({ name, short }) => word !== "" && (name.startsWith(word) || short.startsWith(word)));
    if (answer === undefined)
      throw unexpected(
        token,
        `one of ${ANSWERS.map(({ name }) => name).join(", ")}`,
        `unknown reject type "${token.text}"`,
      );
    if (answer.code < 0 && (scope.protocol !== PROTOCOL_TCP || scope.notProtocol))
      throw unexpected(token, "tcp-reset only in a rule with -p tcp");
    return new RejectTarget(answer);
  },
};
