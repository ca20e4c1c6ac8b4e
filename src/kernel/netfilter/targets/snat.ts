import type { Packet } from "../../../packet/packet.ts";
import type { Connection } from "../../conntrack/connection.ts";
import type { TargetKind } from "../extension.ts";
import type { RuleContext, Target, Verdict } from "../rule.ts";
import { flagOptions, formatRange, type PrintedRange, readRange } from "./nat-range.ts";

/** `xt_snat_target_v2()` of xt_nat.c. */
class SnatTarget implements Target {
  readonly name = "SNAT";

  constructor(private readonly to: PrintedRange) {}

  apply(packet: Packet, context: RuleContext): Verdict {
    return context.net.nat.setup(packet, packet.connection as Connection, this.to.range, "source");
  }

  print(): string {
    return `--to-source ${formatRange(this.to.range)}${this.to.flags}`;
  }
}

export const snatKind: TargetKind = {
  name: "SNAT",
  tables: ["nat"],
  hooks: ["postrouting", "input"],
  options: [{ name: "to-source" }, ...flagOptions("random", "random-fully", "persistent")],
  parse: (options, scope) => new SnatTarget(readRange(options, "to-source", scope, false)),
};
