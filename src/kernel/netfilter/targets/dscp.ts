import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { TargetKind } from "../extension.ts";
import type { RuleContext, Target, TargetVerdict } from "../rule.ts";
import { readDscpClass } from "../tos-name.ts";
import { hexByte, readInteger } from "../value.ts";
import { traceChange } from "./change.ts";

/** `dscp_tg()` of xt_DSCP.c: the upper six bits of the TOS byte. */
class DscpTarget implements Target {
  readonly name = "DSCP";

  constructor(private readonly value: number) {}

  apply(packet: Packet, context: RuleContext): TargetVerdict {
    const before = ipv4.tos(packet.view, NETWORK);
    const after = (before & 3) | (this.value << 2);
    if (after !== before) {
      ipv4.setTos(packet.view, NETWORK, after);
      traceChange(packet, context, "tos", before, after);
    }
    return "CONTINUE";
  }

  print(): string {
    return `--set-dscp ${hexByte(this.value)}`;
  }
}

export const dscpKind: TargetKind = {
  name: "DSCP",
  tables: ["mangle"],
  options: [{ name: "set-dscp", excludes: ["set-dscp-class"] }, { name: "set-dscp-class" }],
  parse(options) {
    const value = options.value("set-dscp");
    if (value !== null) return new DscpTarget(readInteger(value, 0, 63, "a DSCP value"));
    const name = options.value("set-dscp-class");
    if (name === null)
      throw options.lacks("--set-dscp or --set-dscp-class", "DSCP target: Parameter --set-dscp is required");
    return new DscpTarget(readDscpClass(name));
  },
};
