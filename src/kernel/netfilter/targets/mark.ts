import type { Packet } from "../../../packet/packet.ts";
import type { OptionSpec, Options, TargetKind } from "../extension.ts";
import type { RuleContext, Target, TargetVerdict } from "../rule.ts";
import { hex, type Masked, readMask, readMasked } from "../value.ts";
import { traceChange } from "./change.ts";

/** `mark_tg()` of xt_mark.c: clears the bits of the mask, then flips those of the value. */
class MarkTarget implements Target {
  readonly name = "MARK";

  constructor(
    private readonly value: number,
    private readonly mask: number,
  ) {}

  apply(packet: Packet, context: RuleContext): TargetVerdict {
    const before = packet.mark;
    packet.mark = (before & ~this.mask) ^ this.value;
    traceChange(packet, context, "mark", before, packet.mark);
    return "CONTINUE";
  }

  print(): string {
    return `--set-xmark ${hex(this.value)}/${hex(this.mask)}`;
  }
}

const OPERATIONS = ["set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark"];

/** The ways to say what becomes of a mark; `others` cannot stand beside them. */
export const markOptions = (...others: readonly string[]): OptionSpec[] =>
  OPERATIONS.map((name, i) => ({ name, excludes: [...OPERATIONS.slice(i + 1), ...others] }));

/** Clear and flip masks, or null without any of {@link markOptions}. */
export function readMarkChange(options: Options): Masked | null {
  const exclusive = options.value("set-xmark");
  if (exclusive !== null) return readMasked(exclusive);
  const set = options.value("set-mark");
  if (set !== null) {
    const { value, mask } = readMasked(set);
    return { value, mask: mask | value };
  }
  const and = options.value("and-mark");
  if (and !== null) return { value: 0, mask: ~readMask(and) };
  const or = options.value("or-mark");
  if (or !== null) {
    const value = readMask(or);
    return { value, mask: value };
  }
  const xor = options.value("xor-mark");
  return xor === null ? null : { value: readMask(xor), mask: 0 };
}

export const markKind: TargetKind = {
  name: "MARK",
  options: markOptions(),
  parse(options) {
    const change = readMarkChange(options);
    if (change === null)
      throw options.lacks(
        "--set-mark or another change of the mark",
        "MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required",
      );
    return new MarkTarget(change.value, change.mask);
  },
};
