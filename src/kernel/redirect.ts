import { NETWORK, type Packet } from "../packet/packet.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import type { InDevice } from "./in-device.ts";

/** `ip_rt_redirect_number`, `_load` and `_silence`, nanoseconds (HZ/50, and that shifted by one more than the number). */
const NUMBER = 9;
const LOAD = 20e6;
const SILENCE = LOAD * 2 ** (NUMBER + 1);

export interface RedirectPeer {
  last: number;
  sent: number;
}

/**
 * `ip_rt_send_redirect()`: a host on our link sends to us what it could send to `gateway` itself. Spaced 20 ms times
 * 2^n, at most nine, silent for 20.48 s. Borrows.
 */
export function sendRedirect(packet: Packet, from: InDevice, gateway: number): void {
  const { net } = from;
  const source = ipv4.source(packet.view, NETWORK);
  const now = net.fabric.scheduler.now;
  let peer = net.redirectPeers.get(source);
  if (peer === undefined) net.redirectPeers.set(source, (peer = { last: Number.NEGATIVE_INFINITY, sent: 0 }));
  if (now > peer.last + SILENCE) {
    peer.sent = 0;
  }
  if (peer.sent >= NUMBER) {
    peer.last = now;
    return;
  }
  if (peer.sent !== 0 && now <= peer.last + LOAD * 2 ** peer.sent) return;
  const better = gateway !== 0 ? gateway : ipv4.destination(packet.view, NETWORK);
  net.sendIcmpError(packet, icmp.REDIRECT, 1, better);
  peer.last = now;
  peer.sent++;
}
