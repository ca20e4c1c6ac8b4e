import type { Packet } from "../../../packet/packet.ts";
import type { Connection } from "../../conntrack/connection.ts";
import type { Options, TargetKind } from "../extension.ts";
import type { RuleContext, Target, TargetVerdict } from "../rule.ts";
import { hex, readInteger, readMask } from "../value.ts";
import { traceChange } from "./change.ts";
import { markOptions, readMarkChange } from "./mark.ts";

type Mode = "set" | "save" | "restore";

/** Bits to the left; below 0 to the right. */
function shift(mark: number, bits: number): number {
  return bits < 0 ? mark >>> -bits : mark << bits;
}

/** `connmark_tg_v2()` of xt_connmark.c. */
class ConnmarkTarget implements Target {
  readonly name = "CONNMARK";

  constructor(
    private readonly mode: Mode,
    /** Of mode `set`. */
    private readonly value: number,
    private readonly connectionMask: number,
    private readonly packetMask: number,
    private readonly shift: number,
  ) {}

  apply(packet: Packet, context: RuleContext): TargetVerdict {
    const connection = packet.connection as Connection | null;
    if (connection === null) return "CONTINUE";
    if (this.mode === "restore") {
      const before = packet.mark;
      packet.mark = ((before & ~this.packetMask) ^ shift(connection.mark & this.connectionMask, this.shift)) | 0;
      traceChange(packet, context, "mark", before, packet.mark);
    } else {
      const before = connection.mark;
      const kept = before & ~this.connectionMask;
      connection.mark =
        (this.mode === "set"
          ? shift(kept ^ this.value, this.shift)
          : kept ^ shift(packet.mark & this.packetMask, this.shift)) | 0;
      if (connection.mark !== before) connection.news.mark = true;
      traceChange(packet, context, "connmark", before, connection.mark);
    }
    return "CONTINUE";
  }

  print(): string {
    const words =
      this.mode === "set"
        ? `--set-xmark ${hex(this.value)}/${hex(this.connectionMask)}`
        : `--${this.mode}-mark --nfmask ${hex(this.packetMask)} --ctmask ${hex(this.connectionMask)}`;
    if (this.shift === 0) return words;
    return `${words} --${this.shift < 0 ? "right" : "left"}-shift-mark ${Math.abs(this.shift)}`;
  }
}

function readShift(options: Options): number {
  const left = options.value("left-shift-mark");
  if (left !== null) return readInteger(left, 0, 31, "a number of bits");
  const right = options.value("right-shift-mark");
  return right === null ? 0 : -readInteger(right, 0, 31, "a number of bits") | 0;
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
    { name: "left-shift-mark", excludes: ["right-shift-mark"] },
    { name: "right-shift-mark" },
  ],
  parse(options) {
    const change = readMarkChange(options);
    const mask = options.value("mask");
    if (change !== null)
      return new ConnmarkTarget(
        "set",
        change.value,
        mask === null ? change.mask : readMask(mask),
        0,
        readShift(options),
      );
    const mode: Mode = options.has("save-mark") ? "save" : "restore";
    if (mode === "restore" && !options.has("restore-mark"))
      throw options.lacks(
        "--set-mark, --save-mark, --restore-mark or another change of the mark",
        "CONNMARK target: No operation specified",
      );
    const connectionMask = mask ?? options.value("ctmask");
    const packetMask = mask ?? options.value("nfmask");
    return new ConnmarkTarget(
      mode,
      0,
      connectionMask === null ? -1 : readMask(connectionMask),
      packetMask === null ? -1 : readMask(packetMask),
      readShift(options),
    );
  },
};
