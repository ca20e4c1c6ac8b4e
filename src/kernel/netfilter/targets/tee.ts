import type { Packet } from "../../../packet/packet.ts";
import { formatIpv4 } from "../../../wire/address.ts";
import type { TargetKind } from "../extension.ts";
import type { RuleContext, Target, TargetVerdict } from "../rule.ts";
import { unexpected } from "../tokenizer.ts";
import { readAddress, readDeviceName } from "../value.ts";

/** `tee_tg4()` of xt_TEE.c: a copy of the packet goes to another host of the link. */
class TeeTarget implements Target {
  readonly name = "TEE";

  constructor(
    private readonly gateway: number,
    /** Empty for the one that routing names. */
    private readonly device: string,
  ) {}

  apply(packet: Packet, context: RuleContext): TargetVerdict {
    const device = this.device === "" ? null : context.net.device(this.device);
    context.net.duplicate(packet, context.hook, this.gateway, device === null ? 0 : device.index);
    return "CONTINUE";
  }

  print(): string {
    return `--gateway ${formatIpv4(this.gateway)}${this.device === "" ? "" : ` --oif ${this.device}`}`;
  }
}

export const teeKind: TargetKind = {
  name: "TEE",
  options: [{ name: "gateway" }, { name: "oif" }],
  parse(options) {
    const token = options.need("gateway").values[0]!;
    const gateway = readAddress(token);
    if (gateway === 0) throw unexpected(token, "an address other than 0.0.0.0");
    const device = options.value("oif");
    return new TeeTarget(gateway, device === null ? "" : readDeviceName(device));
  },
};
