import type { Firewall, FirewallConfig } from "./bridge-rules.ts";
import type { RuleEra } from "./engine.ts";
import { ClassicFirewall } from "./firewall-classic.ts";
import { ModernFirewall } from "./firewall-modern.ts";
import { PairwiseFirewall } from "./firewall-pairwise.ts";

export function firewallOf(era: RuleEra, config: FirewallConfig): Firewall {
  if (era === "17.05") return new PairwiseFirewall(config);
  return era === "classic" ? new ClassicFirewall(config) : new ModernFirewall(config, era);
}
