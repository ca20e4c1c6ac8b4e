import type { Packet } from "../packet/packet.ts";

/** `skb_scrub_packet()`: what the sender knew does not cross a cable; its mark goes along inside one namespace. Borrows. */
export function scrub(packet: Packet, crossing: boolean): void {
  packet.connection = null;
  packet.connectionState = "NONE";
  packet.attached = false;
  packet.route = null;
  packet.gateway = 0;
  packet.options = null;
  packet.redirect = false;
  packet.fragmentMax = 0;
  packet.fragmentDf = false;
  packet.fragments = null;
  packet.ignoreDf = false;
  packet.bridgeIn = 0;
  packet.bridgeOut = 0;
  packet.bridgePrerouted = false;
  packet.bridgeDnat = false;
  packet.partialChecksum = false;
  packet.socket = null;
  packet.arrival = 0;
  packet.priority = 0;
  if (crossing) packet.mark = 0;
}
