import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { TargetKind } from "../extension.ts";
import type { RuleContext, Target, TargetVerdict } from "../rule.ts";
import { type Token, unexpected } from "../tokenizer.ts";
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

/** RFC 2474, 2597 and 3246: BE, CS0-CS7, AF11-AF43, EF. */
function readClass(token: Token): number {
  const [, selector, group, drop] = /^(?:CS([0-7])|AF([1-4])([1-3]))$/i.exec(token.text) ?? [];
  if (selector !== undefined) return Number(selector) << 3;
  if (group !== undefined) return (Number(group) << 3) | (Number(drop) << 1);
  const name = token.text.toUpperCase();
  if (name === "EF") return 0x2e;
  if (name === "BE") return 0;
  throw unexpected(token, "a class (BE, CS0-CS7, AF11-AF43 or EF)");
}

export const dscpKind: TargetKind = {
  name: "DSCP",
  tables: ["mangle"],
  options: [{ name: "set-dscp", excludes: ["set-dscp-class"] }, { name: "set-dscp-class" }],
  parse(options) {
    const value = options.value("set-dscp");
    if (value !== null) return new DscpTarget(readInteger(value, 0, 63, "a DSCP value"));
    const name = options.value("set-dscp-class");
    if (name === null) throw options.lacks("--set-dscp or --set-dscp-class");
    return new DscpTarget(readClass(name));
  },
};
