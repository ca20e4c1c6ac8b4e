import {
  append,
  type BridgeRules,
  destinationNat,
  ESTABLISHED,
  type Firewall,
  type FirewallConfig,
  first,
  ingressRules,
  insert,
  natJumps,
  newChain,
  openPort,
  ownPortMasquerade,
  type PortRules,
  sourceNat,
} from "./bridge-rules.ts";
import type { RuleChange } from "./rule-change.ts";

const STAGE_1 = "DOCKER-ISOLATION-STAGE-1";
const STAGE_2 = "DOCKER-ISOLATION-STAGE-2";

/** Engines before 28.0: four rules in FORWARD for each bridge, and isolation in two stages. */
export class ClassicFirewall implements Firewall {
  constructor(private readonly config: FirewallConfig) {}

  start(): RuleChange[] {
    return [
      newChain("nat", "DOCKER"),
      newChain("filter", "DOCKER"),
      newChain("filter", STAGE_1),
      newChain("filter", STAGE_2),
      append("filter", STAGE_1, "-j RETURN"),
      append("filter", STAGE_2, "-j RETURN"),
    ];
  }

  network(network: BridgeRules): RuleChange[] {
    const { bridge, subnet, internal } = network;
    const changes: RuleChange[] = [];
    if (subnet !== null) {
      changes.push(...(internal ? this.internalRules(network) : this.externalRules(network)));
      changes.push(first("filter", "FORWARD", `-j ${STAGE_1}`));
    }
    if (!internal)
      changes.push(
        insert("filter", STAGE_1, `-i ${bridge} ! -o ${bridge} -j ${STAGE_2}`),
        insert("filter", STAGE_2, `-o ${bridge} -j DROP`),
      );
    return [...changes, ...this.userChain()];
  }

  private externalRules(network: BridgeRules): RuleChange[] {
    const { bridge, masquerade } = network;
    const { userlandProxy } = this.config;
    const [outgoing, ...local] = sourceNat(network, this.config, true);
    const changes: RuleChange[] = masquerade ? [outgoing!] : [];
    if (masquerade && userlandProxy) changes.push(insert("nat", "DOCKER", `-i ${bridge} -j RETURN`));
    changes.push(
      ...local,
      this.icc(network),
      insert("filter", "FORWARD", `-i ${bridge} ! -o ${bridge} -j ACCEPT`),
      ...natJumps(this.config),
      insert("filter", "FORWARD", `-o ${bridge} -j DOCKER`),
      insert("filter", "FORWARD", `-o ${bridge} ${ESTABLISHED} -j ACCEPT`),
    );
    return changes;
  }

  private internalRules(network: BridgeRules): RuleChange[] {
    const { bridge, subnet } = network;
    return [
      insert("filter", STAGE_1, `! -d ${subnet} -i ${bridge} -j DROP`),
      insert("filter", STAGE_1, `! -s ${subnet} -o ${bridge} -j DROP`),
      this.icc(network),
    ];
  }

  private icc({ bridge, icc }: BridgeRules): RuleChange {
    return icc
      ? insert("filter", "FORWARD", `-i ${bridge} -o ${bridge} -j ACCEPT`)
      : append("filter", "FORWARD", `-i ${bridge} -o ${bridge} -j DROP`);
  }

  endpoint(): RuleChange[] {
    return [];
  }

  port(network: BridgeRules, port: PortRules): RuleChange[] {
    const translated = port.address.includes(":") === port.hostAddress.includes(":");
    if (network.internal || port.hostPort === 0 || !translated) return [];
    return [
      destinationNat(network, port, this.config),
      append("filter", "DOCKER", openPort(network.bridge, port)),
      ownPortMasquerade(port),
    ];
  }

  userChain(): RuleChange[] {
    return [
      newChain("filter", "DOCKER-USER"),
      append("filter", "DOCKER-USER", "-j RETURN"),
      first("filter", "FORWARD", "-j DOCKER-USER"),
    ];
  }

  ingress(bridge: string, ports: readonly PortRules[]): RuleChange[] {
    return [...ingressRules("FORWARD", bridge, ports), ...this.userChain()];
  }
}
