import { formatIpv4 } from "../../../wire/address.ts";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "../../../wire/ipv4.ts";
import type { TargetKind } from "../extension.ts";
import { readPort } from "../port.ts";
import type { Target, TargetVerdict } from "../rule.ts";
import { hex, readAddress, readMasked } from "../value.ts";

/**
 * `tproxy_tg4_v1()` of xt_TPROXY.c gives a packet to a transparent socket and marks it, or drops it where there is none.
 * No program here opens one (`IP_TRANSPARENT`), so it drops.
 */
class TproxyTarget implements Target {
  readonly name = "TPROXY";

  constructor(
    private readonly port: number,
    private readonly address: number,
    private readonly mark: number,
    private readonly mask: number,
  ) {}

  apply(): TargetVerdict {
    return "DROP";
  }

  print(): string {
    const { port, address, mark, mask } = this;
    return `--on-port ${port} --on-ip ${formatIpv4(address)} --tproxy-mark ${hex(mark)}/${hex(mask)}`;
  }
}

export const tproxyKind: TargetKind = {
  name: "TPROXY",
  tables: ["mangle"],
  hooks: ["prerouting"],
  options: [
    { name: "on-port", without: "no program has a transparent socket, so that the packet is dropped" },
    { name: "on-ip" },
    { name: "tproxy-mark" },
  ],
  parse(options, scope) {
    options.needProtocol(scope, [PROTOCOL_TCP, PROTOCOL_UDP], "TPROXY only in a rule with -p tcp or -p udp");
    const port = readPort(options.need("on-port").values[0]!);
    const address = options.value("on-ip");
    const mark = options.value("tproxy-mark");
    const { value, mask } = mark === null ? { value: 0, mask: 0 } : readMasked(mark);
    return new TproxyTarget(port, address === null ? 0 : readAddress(address), value, mask);
  },
};
