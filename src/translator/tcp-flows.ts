import type { Packet } from "../packet/packet.ts";
import type { Guest } from "./guest.ts";
import type { Impersonation } from "./impersonation.ts";

/** The TCP connections of one guest. */
export class TcpFlows {
  constructor(private readonly guest: Guest) {}

  receive(packet: Packet, _at: number, _impersonation: Impersonation): void {
    this.guest.drop(packet, "IP_NOPROTO");
  }
}
