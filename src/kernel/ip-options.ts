import { NETWORK, type Packet } from "../packet/packet.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { InDevice } from "./in-device.ts";

const END = 0;
const NOOP = 1;
const LOOSE_ROUTE = 131;
const STRICT_ROUTE = 137;

/**
 * `ip_options_compile()`: walks the options behind the fixed header. Null when all is well, the offset of the byte that
 * is wrong, or "source route".
 */
function inspect(packet: Packet): number | "source route" | null {
  const { view } = packet;
  const header = ipv4.headerLength(view, NETWORK);
  let routed = false;
  for (let at = ipv4.IPV4_HEADER; at < header; ) {
    const kind = view.getUint8(NETWORK + at);
    if (kind === END) break;
    if (kind === NOOP) {
      at++;
      continue;
    }
    if (at + 1 >= header) return at;
    const length = view.getUint8(NETWORK + at + 1);
    if (length < 2 || at + length > header) return at;
    if (kind === LOOSE_ROUTE || kind === STRICT_ROUTE) {
      if (length < 3) return at + 1;
      if (view.getUint8(NETWORK + at + 2) < 4) return at + 2;
      if (routed) return at;
      routed = true;
    }
    at += length;
  }
  return routed ? "source route" : null;
}

/** `ip_rcv_options()`: false when the packet was dropped. Takes ownership when false. */
export function checkOptions(packet: Packet, device: InDevice): boolean {
  const { net } = device;
  const found = inspect(packet);
  if (found === null) return true;
  if (found !== "source route") net.sendIcmpError(packet, icmp.PARAMETER_PROBLEM, 0, found << 24);
  // Unlike Linux, accept_source_route does nothing: source routes are always refused, as every distribution sets it.
  net.fabric.drop(packet, device.device.place, "IP_INHDR");
  return false;
}
