import type { Packet } from "../../../packet/packet.ts";
import type { Connection } from "../../conntrack/connection.ts";
import type { TargetKind } from "../extension.ts";
import type { RuleContext, Target, Verdict } from "../rule.ts";
import { flagOptions, formatRange, type PrintedRange, readRange } from "./nat-range.ts";

/** `xt_dnat_target_v2()` of xt_nat.c. */
class DnatTarget implements Target {
  readonly name = "DNAT";

  constructor(private readonly to: PrintedRange) {}

  apply(packet: Packet, context: RuleContext): Verdict {
    return context.net.nat.setup(packet, packet.connection as Connection, this.to.range, "destination");
  }

  print(): string {
    return `--to-destination ${formatRange(this.to.range)}${this.to.flags}`;
  }
}

export const dnatKind: TargetKind = {
  name: "DNAT",
  tables: ["nat"],
  hooks: ["prerouting", "output"],
  options: [{ name: "to-destination" }, ...flagOptions("random", "persistent")],
  parse: (options, scope) => new DnatTarget(readRange(options, "to-destination", scope, true)),
};
