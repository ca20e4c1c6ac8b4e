import type { Packet } from "../../packet/packet.ts";

/** `nf_ct_attach()`: what is made in answer to a packet belongs to its flow, as RELATED in the other direction. */
export function attach(made: Packet, to: Packet): void {
  if (to.connection === null) return;
  const reply = to.connectionState === "ESTABLISHED_REPLY" || to.connectionState === "RELATED_REPLY";
  made.connection = to.connection;
  made.connectionState = reply ? "RELATED" : "RELATED_REPLY";
}
