import type { Firewall, FirewallConfig } from "./bridge-rules.ts";
import type { RuleEra } from "./engine.ts";
import { ClassicFirewall } from "./firewall-classic.ts";
import { ModernFirewall } from "./firewall-modern.ts";

export function firewallOf(era: RuleEra, config: FirewallConfig): Firewall {
  return era === "classic" ? new ClassicFirewall(config) : new ModernFirewall(config, era);
}
