import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { TargetKind } from "../extension.ts";
import type { RuleContext, Target, TargetVerdict } from "../rule.ts";
import { readInteger } from "../value.ts";
import { traceChange } from "./change.ts";

const OPTIONS = ["ttl-set", "ttl-dec", "ttl-inc"] as const;
type Change = (typeof OPTIONS)[number];

/** `ttl_tg()` of xt_HL.c. */
class TtlTarget implements Target {
  readonly name = "TTL";

  constructor(
    private readonly change: Change,
    private readonly value: number,
  ) {}

  apply(packet: Packet, context: RuleContext): TargetVerdict {
    const before = ipv4.ttl(packet.view, NETWORK);
    const after =
      this.change === "ttl-set"
        ? this.value
        : this.change === "ttl-inc"
          ? Math.min(before + this.value, 255)
          : Math.max(before - this.value, 0);
    if (after !== before) {
      ipv4.setTtl(packet.view, NETWORK, after);
      traceChange(packet, context, "ttl", before, after);
    }
    return "CONTINUE";
  }

  print(): string {
    return `--${this.change} ${this.value}`;
  }
}

export const ttlKind: TargetKind = {
  name: "TTL",
  tables: ["mangle"],
  options: [
    { name: "ttl-set", excludes: ["ttl-dec", "ttl-inc"] },
    { name: "ttl-dec", excludes: ["ttl-inc"] },
    { name: "ttl-inc" },
  ],
  parse(options) {
    for (const change of OPTIONS) {
      const token = options.value(change);
      if (token !== null) return new TtlTarget(change, readInteger(token, change === "ttl-set" ? 0 : 1, 255, "a TTL"));
    }
    throw options.lacks("--ttl-set, --ttl-dec or --ttl-inc");
  },
};
