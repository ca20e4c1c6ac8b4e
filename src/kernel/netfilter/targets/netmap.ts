import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { Connection } from "../../conntrack/connection.ts";
import type { TargetKind } from "../extension.ts";
import type { RuleContext, Target, Verdict } from "../rule.ts";
import { unexpected } from "../tokenizer.ts";
import { formatNetwork, prefixLength, readNetwork } from "../value.ts";

/** `netmap_tg4()` of xt_NETMAP.c: exchanges the network, keeps the host bits. */
class NetmapTarget implements Target {
  readonly name = "NETMAP";

  constructor(
    private readonly network: number,
    private readonly mask: number,
  ) {}

  apply(packet: Packet, context: RuleContext): Verdict {
    const manip = context.hook === "prerouting" || context.hook === "output" ? "destination" : "source";
    const old = manip === "source" ? ipv4.source(packet.view, NETWORK) : ipv4.destination(packet.view, NETWORK);
    const address = (old & ~this.mask) | this.network;
    const addresses = { min: address, max: address };
    const range = { addresses, ports: null, random: "no", persistent: false, basePort: null } as const;
    return context.net.nat.setup(packet, packet.connection as Connection, range, manip);
  }

  print(): string {
    return `--to ${formatNetwork(this.network, this.mask)}`;
  }
}

export const netmapKind: TargetKind = {
  name: "NETMAP",
  tables: ["nat"],
  hooks: ["prerouting", "input", "output", "postrouting"],
  options: [{ name: "to" }],
  parse(options) {
    const token = options.need("to").values[0]!;
    const { address, mask } = readNetwork(token);
    if (prefixLength(mask) < 0) throw unexpected(token, "a network with a prefix length (0-32)");
    return new NetmapTarget(address & mask, mask);
  },
};
