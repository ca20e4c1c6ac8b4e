import { NETWORK, type Packet } from "../../../packet/packet.ts";
import { replace16 } from "../../../wire/checksum.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import * as tcp from "../../../wire/tcp.ts";
import type { Route } from "../../fib.ts";
import { pull } from "../../fragment.ts";
import { outDevice } from "../../ip-output.ts";
import type { TargetKind } from "../extension.ts";
import type { RuleContext, Target, TargetVerdict } from "../rule.ts";
import { readInteger } from "../value.ts";
import { traceChange } from "./change.ts";

/** `IP_MAX_MTU`. */
const LARGEST_MTU = 0xffff;
const MSS_OPTION = 2;
const MSS_LENGTH = 4;
const HEADERS = ipv4.IPV4_HEADER + tcp.TCP_HEADER;
const MOST_HEADER = 60;
/** RFC 879: what a host must be able to take that did not say more. */
const DEFAULT_MSS = 536;

/** `tcpmss_tg4()` of xt_TCPMSS.c. */
class TcpmssTarget implements Target {
  readonly name = "TCPMSS";

  constructor(
    /** In bytes; null clamps to the path's MTU. */
    private readonly mss: number | null,
  ) {}

  apply(packet: Packet, context: RuleContext): TargetVerdict {
    const view = packet.view;
    if (ipv4.fragmentOffset(view, NETWORK) !== 0) return "CONTINUE";
    pull(packet, packet.end);
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    const length = packet.end - at;
    if (length < tcp.TCP_HEADER) return "DROP";
    const header = tcp.headerLength(view, at);
    if (length < header || header < tcp.TCP_HEADER) return "DROP";
    const mss = this.mss ?? pathMtu(packet, context) - HEADERS;
    if (mss <= 0 && this.mss === null) return "DROP";
    const option = findMss(view, at, header);
    if (option > 0) {
      const before = view.getUint16(option + 2);
      if (before > mss) {
        setWord(view, at, option + 2, mss);
        traceChange(packet, context, "mss", before, mss);
      }
      return "CONTINUE";
    }
    if (length > header || header >= MOST_HEADER) return "CONTINUE";
    if (packet.end + MSS_LENGTH > packet.capacity) return "DROP";
    const added = Math.min(mss, DEFAULT_MSS);
    insertMss(packet, at, header, added);
    traceChange(packet, context, "mss", 0, added);
    return "CONTINUE";
  }

  print(): string {
    return this.mss === null ? "--clamp-mss-to-pmtu" : `--set-mss ${this.mss}`;
  }
}

/** `dst_mtu()` of its own route and `tcpmss_reverse_mtu()`: what is known of the way on and of the way back. */
function pathMtu(packet: Packet, { net, out }: RuleContext): number {
  const { view } = packet;
  const back = net.path({ destination: ipv4.source(view, NETWORK), source: 0, tos: 0, mark: 0, device: 0 });
  const route = packet.route as Route | null;
  // A bridged packet has no route: the bridge device stands for one (`br_netfilter_rtable_init()`).
  const onward =
    route === null
      ? (out?.mtu ?? LARGEST_MTU)
      : net.paths.mtu(ipv4.destination(view, NETWORK), route, outDevice(net, route));
  return Math.min(onward, back.error === null ? back.mtu : LARGEST_MTU, LARGEST_MTU);
}

/** Offset of the MSS option, or 0. */
function findMss(view: DataView, at: number, header: number): number {
  for (let i = at + tcp.TCP_HEADER; i <= at + header - MSS_LENGTH; ) {
    const kind = view.getUint8(i);
    const length = view.getUint8(i + 1);
    if (kind === MSS_OPTION && length === MSS_LENGTH) return i;
    i += kind <= 1 || length === 0 ? 1 : length;
  }
  return 0;
}

/** Sets a 16-bit word of the segment, which need not be aligned, and mends the TCP checksum. */
function setWord(view: DataView, at: number, offset: number, value: number): void {
  const first = offset - ((offset - at) & 1);
  const checksum = at + 16;
  const words = (offset - at) & 1 ? 2 : 1;
  const before = [view.getUint16(first), view.getUint16(first + 2)];
  view.setUint16(offset, value);
  for (let i = 0; i < words; i++)
    view.setUint16(checksum, replace16(view.getUint16(checksum), before[i]!, view.getUint16(first + 2 * i)));
}

/** Puts the option before all others; the segment has no data. */
function insertMss(packet: Packet, at: number, header: number, mss: number): void {
  const view = packet.view;
  const options = at + tcp.TCP_HEADER;
  packet.bytes.copyWithin(options + MSS_LENGTH, options, packet.end);
  packet.end += MSS_LENGTH;
  view.setUint16(options, (MSS_OPTION << 8) | MSS_LENGTH);
  view.setUint16(options + 2, mss);
  const word = view.getUint16(at + 12);
  const grown = (word & 0x0fff) | (((header + MSS_LENGTH) >> 2) << 12);
  view.setUint16(at + 12, grown);
  let sum = replace16(view.getUint16(at + 16), header, header + MSS_LENGTH);
  sum = replace16(sum, 0, (MSS_OPTION << 8) | MSS_LENGTH);
  sum = replace16(sum, 0, mss);
  view.setUint16(at + 16, replace16(sum, word, grown));
  const total = ipv4.totalLength(view, NETWORK);
  view.setUint16(NETWORK + 2, total + MSS_LENGTH);
  view.setUint16(NETWORK + 10, replace16(view.getUint16(NETWORK + 10), total, total + MSS_LENGTH));
}

export const tcpmssKind: TargetKind = {
  name: "TCPMSS",
  options: [{ name: "set-mss" }, { name: "clamp-mss-to-pmtu", values: 0 }],
  parse(options, scope) {
    options.needProtocol(scope, [ipv4.PROTOCOL_TCP], "TCPMSS only in a rule with -p tcp");
    const mss = options.value("set-mss");
    if (mss !== null) return new TcpmssTarget(readInteger(mss, 0, 0xffff - HEADERS + 1, "a segment size in bytes"));
    if (!options.has("clamp-mss-to-pmtu"))
      throw options.lacks("--set-mss or --clamp-mss-to-pmtu", "TCPMSS target: At least one parameter is required");
    options.limitBase(["forward", "output", "postrouting"], options.token);
    return new TcpmssTarget(null);
  },
};
