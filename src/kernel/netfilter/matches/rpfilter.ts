import { Loopback } from "../../../link/loopback.ts";
import { NETWORK, type Packet } from "../../../packet/packet.ts";
import { isMulticast, isZeronet } from "../../../wire/address.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { Flow } from "../../fib.ts";
import type { MatchKind } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { isLoopedBack } from "./pkttype.ts";

interface Wanted {
  readonly loose: boolean;
  readonly validMark: boolean;
  readonly acceptLocal: boolean;
  readonly invert: boolean;
}

/** `rpfilter_mt()` of ipt_rpfilter.c: would an answer leave by the device on which this packet came in? */
class RpfilterMatch implements Match {
  readonly name = "rpfilter";
  private readonly flow: Flow = { destination: 0, source: 0, tos: 0, mark: 0, in: 0, out: 0 };

  constructor(private readonly wanted: Wanted) {}

  matches(packet: Packet, context: RuleContext): boolean {
    return this.passes(packet, context) !== this.wanted.invert;
  }

  private passes(packet: Packet, context: RuleContext): boolean {
    const { view } = packet;
    const device = context.in;
    if (device === null || device instanceof Loopback || isLoopedBack(packet, context)) return true;
    const source = ipv4.source(view, NETWORK);
    const destination = ipv4.destination(view, NETWORK);
    const toMany = destination === -1 || isMulticast(destination);
    if (isZeronet(source) && toMany) return true;
    const { flow, wanted } = this;
    flow.destination = source;
    flow.source = toMany || isZeronet(destination) ? 0 : destination;
    flow.tos = ipv4.tos(view, NETWORK) & 0x1c;
    flow.mark = wanted.validMark ? packet.mark : 0;
    flow.in = context.net.loopback.device.index;
    const route = context.net.fib.lookup(flow);
    if (route === null || (route.type !== "unicast" && !(route.type === "local" && wanted.acceptLocal))) return false;
    return wanted.loose || route.device?.device === device;
  }

  print(): string {
    const { loose, validMark, acceptLocal, invert } = this.wanted;
    const words = [
      loose && "--loose",
      validMark && "--validmark",
      acceptLocal && "--accept-local",
      invert && "--invert",
    ];
    return words.filter((word) => word !== false).join(" ");
  }
}

export const rpfilterKind: MatchKind = {
  name: "rpfilter",
  options: ["loose", "validmark", "accept-local", "invert"].map((name) => ({ name, values: 0 as const })),
  parse(options, scope) {
    if (scope.table !== "mangle" && scope.table !== "raw") throw options.lacks("a place in table mangle or raw");
    options.limit(["prerouting"]);
    return new RpfilterMatch({
      loose: options.has("loose"),
      validMark: options.has("validmark"),
      acceptLocal: options.has("accept-local"),
      invert: options.has("invert"),
    });
  },
};
