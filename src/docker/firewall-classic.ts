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

/** Engines from 17.12 to 27: four rules in FORWARD for each bridge, and isolation in two stages. */
export class ClassicFirewall implements Firewall {
  /** The chain that keeps networks apart. */
  protected readonly isolation: string = STAGE_1;

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
      changes.push(first("filter", "FORWARD", `-j ${this.isolation}`));
    }
    if (!internal) changes.push(...this.stages(bridge));
    return [...changes, ...this.userChain()];
  }

  protected stages(bridge: string): RuleChange[] {
    return [
      insert("filter", STAGE_1, `-i ${bridge} ! -o ${bridge} -j ${STAGE_2}`),
      insert("filter", STAGE_2, `-o ${bridge} -j DROP`),
    ];
  }

  between(_network: BridgeRules, _other: BridgeRules): RuleChange[] {
    return [];
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
      ...this.arrivals(bridge).map((rule) => insert("filter", "FORWARD", rule)),
    );
    return changes;
  }

  /** What comes to the bridge from elsewhere, the last one first. */
  protected arrivals(bridge: string): [string, string] {
    return [`-o ${bridge} -j DOCKER`, `-o ${bridge} ${ESTABLISHED} -j ACCEPT`];
  }

  private internalRules(network: BridgeRules): RuleChange[] {
    const { bridge, subnet } = network;
    return [
      insert("filter", this.isolation, `! -d ${subnet} -i ${bridge} -j DROP`),
      insert("filter", this.isolation, `! -s ${subnet} -o ${bridge} -j DROP`),
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
