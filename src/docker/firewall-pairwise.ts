import { append, type BridgeRules, ESTABLISHED, insert, newChain } from "./bridge-rules.ts";
import { ClassicFirewall } from "./firewall-classic.ts";
import type { RuleChange } from "./rule-change.ts";

const ISOLATION = "DOCKER-ISOLATION";

/** Until 17.05: two rules for each pair of networks keep them apart (`setINC()`), and DOCKER-USER is not there yet. */
export class PairwiseFirewall extends ClassicFirewall {
  protected override readonly isolation = ISOLATION;

  override start(): RuleChange[] {
    return [
      newChain("nat", "DOCKER"),
      newChain("filter", "DOCKER"),
      newChain("filter", ISOLATION),
      append("filter", ISOLATION, "-j RETURN"),
    ];
  }

  protected override stages(): RuleChange[] {
    return [];
  }

  override between(network: BridgeRules, other: BridgeRules): RuleChange[] {
    if (network.internal || other.internal) return [];
    const [mine, its] = [network.bridge, other.bridge];
    return [
      insert("filter", ISOLATION, `-i ${mine} -o ${its} -j DROP`),
      insert("filter", ISOLATION, `-i ${its} -o ${mine} -j DROP`),
    ];
  }

  protected override arrivals(bridge: string): [string, string] {
    return [`-o ${bridge} ${ESTABLISHED} -j ACCEPT`, `-o ${bridge} -j DOCKER`];
  }

  override userChain(): RuleChange[] {
    return [];
  }
}
