import { NETWORK, type Packet } from "../../../packet/packet.ts";
import { replace16 } from "../../../wire/checksum.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import * as tcp from "../../../wire/tcp.ts";
import { pull } from "../../fragment.ts";
import type { TargetKind } from "../extension.ts";
import type { Target, TargetVerdict } from "../rule.ts";

const BITS = tcp.ECE | tcp.CWR;

/** `ecn_tg()` of ipt_ECN.c: a connection without congestion notification. */
class EcnTarget implements Target {
  readonly name = "ECN";

  apply(packet: Packet): TargetVerdict {
    const { view } = packet;
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    if (packet.end - at < tcp.TCP_HEADER) return "DROP";
    const before = view.getUint16(at + 12);
    const after = before & ~BITS;
    if (after !== before) {
      pull(packet, at + tcp.TCP_HEADER);
      view.setUint16(at + 12, after);
      view.setUint16(at + 16, replace16(view.getUint16(at + 16), before, after));
    }
    return "CONTINUE";
  }

  print(): string {
    return "--ecn-tcp-remove";
  }
}

export const ecnKind: TargetKind = {
  name: "ECN",
  tables: ["mangle"],
  options: [
    { name: "ecn-tcp-remove", values: 0 },
    { name: "ecn-tcp-cwr", unmodelled: true },
    { name: "ecn-tcp-ece", unmodelled: true },
    { name: "ecn-ip-ect", unmodelled: true },
  ],
  parse(options, scope) {
    options.need("ecn-tcp-remove");
    options.needProtocol(scope, [ipv4.PROTOCOL_TCP], "ECN --ecn-tcp-remove only in a rule with -p tcp");
    return new EcnTarget();
  },
};
