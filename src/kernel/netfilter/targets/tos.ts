import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { Options, TargetKind } from "../extension.ts";
import type { RuleContext, Target, TargetVerdict } from "../rule.ts";
import { readTos, readTosByte } from "../tos-name.ts";
import { hexByte, type Masked } from "../value.ts";
import { traceChange } from "./change.ts";

/** `tos_tg()` of xt_DSCP.c. */
class TosTarget implements Target {
  readonly name = "TOS";

  constructor(
    private readonly value: number,
    private readonly mask: number,
  ) {}

  apply(packet: Packet, context: RuleContext): TargetVerdict {
    const before = ipv4.tos(packet.view, NETWORK);
    const after = (before & ~this.mask) ^ this.value;
    if (after !== before) {
      ipv4.setTos(packet.view, NETWORK, after);
      traceChange(packet, context, "tos", before, after);
    }
    return "CONTINUE";
  }

  print(): string {
    return `--set-tos ${hexByte(this.value)}/${hexByte(this.mask)}`;
  }
}

function readChange(options: Options): Masked | null {
  const set = options.value("set-tos");
  if (set !== null) return readTos(set);
  const and = options.value("and-tos");
  if (and !== null) return { value: 0, mask: ~readTosByte(and) & 0xff };
  const or = options.value("or-tos");
  if (or !== null) return { value: readTosByte(or), mask: readTosByte(or) };
  const xor = options.value("xor-tos");
  return xor === null ? null : { value: readTosByte(xor), mask: 0 };
}

export const tosKind: TargetKind = {
  name: "TOS",
  tables: ["mangle"],
  options: [
    { name: "set-tos", excludes: ["and-tos", "or-tos", "xor-tos"] },
    { name: "and-tos", excludes: ["or-tos", "xor-tos"] },
    { name: "or-tos", excludes: ["xor-tos"] },
    { name: "xor-tos" },
  ],
  parse(options) {
    const change = readChange(options);
    if (change === null)
      throw options.lacks("--set-tos, --and-tos, --or-tos or --xor-tos", "TOS: An action is required");
    return new TosTarget(change.value, change.mask);
  },
};
