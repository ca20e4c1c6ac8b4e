import type { Packet } from "../../../packet/packet.ts";
import type { Options, RuleScope, TargetKind } from "../extension.ts";
import type { RuleContext, Target, TargetVerdict } from "../rule.ts";
import { readDirections, type SetDirections } from "../set-directions.ts";
import { unexpected } from "../tokenizer.ts";

/** `set_target_v3()` of xt_set.c. */
class SetTarget implements Target {
  readonly name = "SET";

  constructor(
    private readonly add: SetDirections | null,
    private readonly remove: SetDirections | null,
    private readonly exist: boolean,
  ) {}

  apply(packet: Packet, { net }: RuleContext): TargetVerdict {
    if (this.add !== null) this.add.find(net)?.add(packet, this.add.sources, this.exist);
    if (this.remove !== null) this.remove.find(net)?.remove(packet, this.remove.sources);
    return "CONTINUE";
  }

  print(): string {
    const words: string[] = [];
    if (this.add !== null) words.push(`--add-set ${this.add.text}`);
    if (this.exist) words.push("--exist");
    if (this.remove !== null) words.push(`--del-set ${this.remove.text}`);
    return words.join(" ");
  }
}

function read(options: Options, name: string, scope: RuleScope): SetDirections | null {
  const given = options.get(name);
  return given === null ? null : readDirections(given, scope);
}

export const setTargetKind: TargetKind = {
  name: "SET",
  options: [
    { name: "add-set", values: 2 },
    { name: "del-set", values: 2 },
    { name: "exist", values: 0 },
    { name: "timeout", unmodelled: true },
    { name: "map-set", values: 2, unmodelled: true },
    { name: "map-mark", values: 0, unmodelled: true },
    { name: "map-prio", values: 0, unmodelled: true },
    { name: "map-queue", values: 0, unmodelled: true },
  ],
  parse(options, scope) {
    const add = read(options, "add-set", scope);
    const remove = read(options, "del-set", scope);
    if (add === null && remove === null) throw options.lacks("--add-set or --del-set");
    const exist = options.get("exist");
    if (exist !== null && add === null) throw unexpected(exist.token, "--add-set beside --exist");
    return new SetTarget(add, remove, exist !== null);
  },
};
