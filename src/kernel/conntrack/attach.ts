import type { Packet } from "../../packet/packet.ts";

/**
 * `nf_ct_attach()`: what is made in answer to a packet belongs to its flow, as RELATED in the other direction. What
 * answers an untracked packet belongs to none, and yet no CT target touches it again.
 */
export function attach(made: Packet, to: Packet): void {
  made.attached = to.connectionState === "UNTRACKED";
  if (to.connection === null) return;
  const reply = to.connectionState === "ESTABLISHED_REPLY" || to.connectionState === "RELATED_REPLY";
  made.connection = to.connection;
  made.connectionState = reply ? "RELATED" : "RELATED_REPLY";
}
