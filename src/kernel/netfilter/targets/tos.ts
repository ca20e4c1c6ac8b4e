import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { Options, TargetKind } from "../extension.ts";
import type { RuleContext, Target, TargetVerdict } from "../rule.ts";
import { part, type Token, unexpected } from "../tokenizer.ts";
import { hexByte, type Masked, readInteger } from "../value.ts";
import { traceChange } from "./change.ts";

/** RFC 1349. */
const NAMES = new Map<string, number>(
  Object.entries({
    "minimize-delay": 0x10,
    "maximize-throughput": 0x08,
    "maximize-reliability": 0x04,
    "minimize-cost": 0x02,
    "normal-service": 0x00,
  }),
);
/** A name says nothing of the precedence bits. */
const NAME_MASK = 0x3f;

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

const readByte = (token: Token): number => readInteger(token, 0, 255, "a TOS byte");

function readTos(token: Token): Masked {
  if (/^\d/.test(token.text)) {
    const slash = token.text.indexOf("/");
    if (slash < 0) return { value: readByte(token), mask: 0xff };
    return { value: readByte(part(token, 0, slash)), mask: readByte(part(token, slash + 1)) };
  }
  const value = NAMES.get(token.text.toLowerCase());
  if (value === undefined)
    throw unexpected(token, "a TOS byte (0-255) with or without a mask, or a name such as Minimize-Delay");
  return { value, mask: NAME_MASK };
}

function readChange(options: Options): Masked | null {
  const set = options.value("set-tos");
  if (set !== null) return readTos(set);
  const and = options.value("and-tos");
  if (and !== null) return { value: 0, mask: ~readByte(and) & 0xff };
  const or = options.value("or-tos");
  if (or !== null) return { value: readByte(or), mask: readByte(or) };
  const xor = options.value("xor-tos");
  return xor === null ? null : { value: readByte(xor), mask: 0 };
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
    if (change === null) throw options.lacks("--set-tos, --and-tos, --or-tos or --xor-tos");
    return new TosTarget(change.value, change.mask);
  },
};
