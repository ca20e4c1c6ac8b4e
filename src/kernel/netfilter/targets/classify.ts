import type { Packet } from "../../../packet/packet.ts";
import type { TargetKind } from "../extension.ts";
import type { RuleContext, Target, TargetVerdict } from "../rule.ts";
import { unexpected } from "../tokenizer.ts";
import { traceChange } from "./change.ts";

/** `classify_tg()` of xt_CLASSIFY.c. */
class ClassifyTarget implements Target {
  readonly name = "CLASSIFY";

  constructor(
    /** `major << 16 | minor`. */
    private readonly priority: number,
  ) {}

  apply(packet: Packet, context: RuleContext): TargetVerdict {
    const before = packet.priority;
    packet.priority = this.priority;
    traceChange(packet, context, "priority", before, this.priority);
    return "CONTINUE";
  }

  print(): string {
    const word = (value: number): string => value.toString(16).padStart(4, "0");
    return `--set-class ${word(this.priority >>> 16)}:${word(this.priority & 0xffff)}`;
  }
}

export const classifyKind: TargetKind = {
  name: "CLASSIFY",
  hooks: ["forward", "output", "postrouting"],
  options: [{ name: "set-class" }],
  parse(options) {
    const token = options.need("set-class").values[0]!;
    const [, major, minor] = /^([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(token.text) ?? [];
    if (major === undefined || minor === undefined)
      throw unexpected(token, "a class such as 1:10 (two hexadecimal numbers, 0-ffff)");
    return new ClassifyTarget((Number.parseInt(major, 16) << 16) | Number.parseInt(minor, 16));
  },
};
