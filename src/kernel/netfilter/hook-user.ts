import type { Device } from "../../link/device.ts";
import type { Packet } from "../../packet/packet.ts";
import type { Verdict } from "./rule.ts";

/**
 * Where the users of a hook stand (`enum nf_ip_hook_priorities`); lower runs first. The security table stands where
 * iptables-nft puts it, behind source NAT.
 */
export const PRIORITY = {
  defrag: -400,
  raw: -300,
  conntrack: -200,
  mangle: -150,
  natDestination: -100,
  filter: 0,
  natSource: 100,
  security: 150,
  confirm: 2_147_483_647,
};

/** Something that looks at every packet of a hook. STOLEN means that it took the packet. */
export interface HookUser {
  readonly priority: number;
  run(packet: Packet, input: Device | null, output: Device | null): Verdict;
}
