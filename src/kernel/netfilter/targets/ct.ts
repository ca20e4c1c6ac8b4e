import type { Packet } from "../../../packet/packet.ts";
import type { TargetKind } from "../extension.ts";
import type { Target, TargetVerdict } from "../rule.ts";
import { unexpected } from "../tokenizer.ts";

/** `xt_ct_target()` and `notrack_tg()` of xt_CT.c. */
class CtTarget implements Target {
  constructor(
    readonly name: "CT" | "NOTRACK",
    private readonly notrack: boolean,
  ) {}

  apply(packet: Packet): TargetVerdict {
    if (this.notrack && packet.connection === null) packet.connectionState = "UNTRACKED";
    return "CONTINUE";
  }

  print(): string {
    return this.name === "CT" && this.notrack ? "--notrack" : "";
  }
}

export const ctKind: TargetKind = {
  name: "CT",
  tables: ["raw"],
  hooks: ["prerouting", "output"],
  options: [
    { name: "notrack", values: 0 },
    { name: "zone" },
    { name: "helper", unmodelled: true },
    { name: "timeout", unmodelled: true },
    { name: "ctevents", unmodelled: true },
    { name: "expevents", unmodelled: true },
    { name: "zone-orig", unmodelled: true },
    { name: "zone-reply", unmodelled: true },
  ],
  parse(options) {
    const zone = options.value("zone");
    if (zone !== null && zone.text !== "0")
      throw unexpected(zone, "zone 0; hopscope does not model other conntrack zones yet");
    return new CtTarget("CT", options.has("notrack"));
  },
};

export const notrackKind: TargetKind = {
  name: "NOTRACK",
  tables: ["raw"],
  hooks: ["prerouting", "output"],
  options: [],
  parse: () => new CtTarget("NOTRACK", true),
};
