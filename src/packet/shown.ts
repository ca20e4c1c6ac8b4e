import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import { FRAME, NETWORK, type Packet } from "./packet.ts";

/**
 * A packet socket shares a frame's bytes with the kernel until it is read. Whoever changes a packet makes a copy first,
 * with one exception: the later fragments of a datagram that leaves as it came get their headers written over where they
 * are (`ip_fraglist_prepare()`), so that a tap shows the fragment's arrival with the headers of its departure.
 */
export const isLaterFragment = ({ view, end }: Packet): boolean =>
  end >= NETWORK + ipv4.IPV4_HEADER &&
  ethernet.etherType(view, FRAME) === ethernet.ETHERTYPE_IPV4 &&
  ipv4.fragmentOffset(view, NETWORK) !== 0;

/** A tap shows the packet now; what earlier taps show changes with it. */
export function show(packet: Packet, bytes: Uint8Array): void {
  overwrite(packet, FRAME);
  packet.shown ??= [];
  packet.shown.push({ bytes, payload: NETWORK - FRAME + ipv4.headerLength(packet.view, NETWORK) });
}

/** The packet's headers from byte `from` on have been written over those that taps show. */
export function overwrite({ shown, bytes, view }: Packet, from: number): void {
  if (shown === null) return;
  const headers = bytes.subarray(from, NETWORK + ipv4.headerLength(view, NETWORK));
  for (const frame of shown) {
    const room = Math.min(headers.length, frame.payload);
    frame.bytes.set(headers.subarray(headers.length - room), frame.payload - room);
  }
}
