import { NETWORK, type Packet } from "../packet/packet.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { InDevice } from "./in-device.ts";

/** `ip_rt_redirect_number`, `_load` and `_silence`, nanoseconds (HZ/50, and that shifted by one more than the number). */
const NUMBER = 9;
const LOAD = 20e6;
const SILENCE = LOAD * 2 ** (NUMBER + 1);

/**
 * `ip_rt_send_redirect()`: a host on our link sends to us what it could send to `gateway` itself. Spaced 20 ms times
 * 2^n, at most nine, silent for 20.48 s. It empties the bucket of errors, too. Borrows.
 */
export function sendRedirect(packet: Packet, from: InDevice, gateway: number): void {
  const { net } = from;
  const source = ipv4.source(packet.view, NETWORK);
  const now = net.fabric.scheduler.now;
  const peer = net.icmpLimits.peer(source);
  if (now > peer.last + SILENCE) peer.tokens = peer.redirects = 0;
  if (peer.redirects >= NUMBER) {
    peer.last = now;
    return;
  }
  if (peer.redirects !== 0 && now <= peer.last + LOAD * 2 ** peer.redirects) return;
  const better = gateway !== 0 ? gateway : ipv4.destination(packet.view, NETWORK);
  net.sendIcmpError(packet, icmp.REDIRECT, 1, better);
  peer.last = now;
  peer.redirects++;
}
