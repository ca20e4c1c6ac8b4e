import type { Packet } from "../../../packet/packet.ts";
import type { Connection } from "../../conntrack/connection.ts";
import type { TargetKind } from "../extension.ts";
import type { RuleContext, Target, TargetVerdict } from "../rule.ts";
import { hex, readMask } from "../value.ts";
import { traceChange } from "./change.ts";
import { markOptions, readMarkChange } from "./mark.ts";

type Mode = "set" | "save" | "restore";

/** `connmark_tg()` of xt_connmark.c. */
class ConnmarkTarget implements Target {
  readonly name = "CONNMARK";

  constructor(
    private readonly mode: Mode,
    /** Of mode `set`. */
    private readonly value: number,
    private readonly connectionMask: number,
    private readonly packetMask: number,
  ) {}

  apply(packet: Packet, context: RuleContext): TargetVerdict {
    const connection = packet.connection as Connection | null;
    if (connection === null) return "CONTINUE";
    if (this.mode === "restore") {
      const before = packet.mark;
      packet.mark = (before & ~this.packetMask) ^ (connection.mark & this.connectionMask);
      traceChange(packet, context, "mark", before, packet.mark);
    } else {
      const before = connection.mark;
      const flip = this.mode === "set" ? this.value : packet.mark & this.packetMask;
      connection.mark = (before & ~this.connectionMask) ^ flip;
      if (connection.mark !== before) connection.news.mark = true;
      traceChange(packet, context, "connmark", before, connection.mark);
    }
    return "CONTINUE";
  }

  print(): string {
    if (this.mode === "set") return `--set-xmark ${hex(this.value)}/${hex(this.connectionMask)}`;
    return `--${this.mode}-mark --nfmask ${hex(this.packetMask)} --ctmask ${hex(this.connectionMask)}`;
  }
}

export const connmarkKind: TargetKind = {
  name: "CONNMARK",
  options: [
    ...markOptions("save-mark", "restore-mark"),
    { name: "save-mark", values: 0, excludes: ["restore-mark"] },
    { name: "restore-mark", values: 0 },
    { name: "mask", excludes: ["nfmask", "ctmask"] },
    { name: "nfmask" },
    { name: "ctmask" },
    { name: "left-shift-mark", unmodelled: true },
    { name: "right-shift-mark", unmodelled: true },
  ],
  parse(options) {
    const change = readMarkChange(options);
    const mask = options.value("mask");
    if (change !== null)
      return new ConnmarkTarget("set", change.value, mask === null ? change.mask : readMask(mask), 0);
    const mode: Mode = options.has("save-mark") ? "save" : "restore";
    if (mode === "restore" && !options.has("restore-mark"))
      throw options.lacks("--set-mark, --save-mark, --restore-mark or another change of the mark");
    const connectionMask = mask ?? options.value("ctmask");
    const packetMask = mask ?? options.value("nfmask");
    return new ConnmarkTarget(
      mode,
      0,
      connectionMask === null ? -1 : readMask(connectionMask),
      packetMask === null ? -1 : readMask(packetMask),
    );
  },
};
