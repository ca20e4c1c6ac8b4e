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
  portMatch,
  single,
  sourceNat,
} from "./bridge-rules.ts";
import type { RuleEra } from "./engine.ts";
import type { RuleChange } from "./rule-change.ts";

const STAGE_1 = "DOCKER-ISOLATION-STAGE-1";
const STAGE_2 = "DOCKER-ISOLATION-STAGE-2";

/** Engines from 28.0 on: unpublished ports are dropped by rule, and direct access to containers in the raw table. */
export class ModernFirewall implements Firewall {
  constructor(
    private readonly config: FirewallConfig,
    private readonly era: Exclude<RuleEra, "classic">,
  ) {}

  /** The chain with what each bridge accepts. */
  private get forward(): string {
    return this.era === "28.0" ? "FORWARD" : "DOCKER-FORWARD";
  }

  /** The chain with what guards internal networks. */
  private get guard(): string {
    return this.era === "29" ? "DOCKER-INTERNAL" : STAGE_1;
  }

  private get extBridges(): string {
    return `docker-ext-bridges-v${this.config.family}`;
  }

  start(): RuleChange[] {
    const { era, config } = this;
    const changes = [newChain("nat", "DOCKER"), newChain("filter", "DOCKER")];
    if (era === "28.0") changes.unshift({ kind: "set", set: this.extBridges, subnet: "" });
    else for (const chain of ["DOCKER-FORWARD", "DOCKER-BRIDGE", "DOCKER-CT"]) changes.push(newChain("filter", chain));
    const guards = era === "29" ? ["DOCKER-INTERNAL"] : [STAGE_1, STAGE_2];
    for (const chain of guards) changes.push(newChain("filter", chain));
    changes.push(...natJumps(config), ...this.jumps());
    if (config.family === 4 && config.userlandProxy && config.wsl2Mirrored === true)
      changes.push(insert("nat", "DOCKER", "-d 127.0.0.0/8 -i loopback0 -j RETURN"));
    return changes;
  }

  private jumps(): RuleChange[] {
    if (this.era === "28.0") {
      const toBridges = `-m set --match-set ${this.extBridges} dst`;
      return [
        first("filter", "FORWARD", `${toBridges} -j DOCKER`),
        first("filter", "FORWARD", `-j ${STAGE_1}`),
        first("filter", "FORWARD", `${toBridges} ${ESTABLISHED} -j ACCEPT`),
      ];
    }
    return [
      first("filter", "FORWARD", "-j DOCKER-FORWARD"),
      first("filter", "DOCKER-FORWARD", "-j DOCKER-BRIDGE"),
      first("filter", "DOCKER-FORWARD", `-j ${this.guard}`),
      first("filter", "DOCKER-FORWARD", "-j DOCKER-CT"),
    ];
  }

  network(network: BridgeRules): RuleChange[] {
    if (network.subnet === null) return [];
    return network.internal ? this.internalRules(network) : this.externalRules(network);
  }

  private externalRules(network: BridgeRules): RuleChange[] {
    const { bridge, subnet, mode, masquerade, icc } = network;
    const { era, forward, config } = this;
    const routed = mode === "routed";
    const skip = era === "28.0" ? routed || (masquerade && config.userlandProxy) : masquerade && config.userlandProxy;
    const [outgoing, ...local] = sourceNat(network, config, true);
    const changes: RuleChange[] = masquerade && !routed ? [outgoing!] : [];
    if (era !== "29" && skip) changes.push(insert("nat", "DOCKER", `-i ${bridge} -j RETURN`));
    changes.push(...local);
    if (!icc) changes.push(append("filter", forward, `-i ${bridge} -o ${bridge} -j DROP`));
    if (routed) changes.push(append("filter", "DOCKER", `-o ${bridge} -p ${this.icmp} -j ACCEPT`));
    changes.push(append("filter", forward, icc ? `-i ${bridge} -j ACCEPT` : `-i ${bridge} ! -o ${bridge} -j ACCEPT`));
    const rest = mode === "nat-unprotected" ? "ACCEPT" : "DROP";
    changes.push(append("filter", "DOCKER", `! -i ${bridge} -o ${bridge} -j ${rest}`));
    if (era === "28.0") changes.push({ kind: "set-add", set: this.extBridges, subnet: subnet! });
    else
      changes.push(
        append("filter", "DOCKER-CT", `-o ${bridge} ${ESTABLISHED} -j ACCEPT`),
        append("filter", "DOCKER-BRIDGE", `-o ${bridge} -j DOCKER`),
      );
    if (era !== "29") changes.push(...this.isolation(network));
    return changes;
  }

  private get icmp(): string {
    return this.config.family === 4 ? "icmp" : "ipv6-icmp";
  }

  /** `setINC()` */
  private isolation({ bridge, mode }: BridgeRules): RuleChange[] {
    const routed = [
      insert("filter", STAGE_1, `-o ${bridge} -j RETURN`),
      insert("filter", STAGE_1, `-i ${bridge} ${ESTABLISHED} -j ACCEPT`),
    ];
    return [
      ...(mode === "routed" ? routed : []),
      append("filter", STAGE_1, `-i ${bridge} ! -o ${bridge} -j ${STAGE_2}`),
      insert("filter", STAGE_2, `-o ${bridge} -j DROP`),
    ];
  }

  private internalRules({ bridge, subnet, icc }: BridgeRules): RuleChange[] {
    const not = this.config.family === 6;
    const incoming = not ? `! -d ${subnet} -i ${bridge} ! -o ${bridge}` : `! -d ${subnet} -i ${bridge}`;
    const outgoing = not ? `! -s ${subnet} ! -i ${bridge} -o ${bridge}` : `! -s ${subnet} -o ${bridge}`;
    return [
      insert("filter", this.guard, `${incoming} -j DROP`),
      insert("filter", this.guard, `${outgoing} -j DROP`),
      append("filter", this.forward, `-i ${bridge} -o ${bridge} -j ${icc ? "ACCEPT" : "DROP"}`),
    ];
  }

  endpoint(network: BridgeRules, address: string): RuleChange[] {
    if (this.era === "28.0" || !this.guarded(network)) return [];
    return [append("raw", "PREROUTING", `-d ${single(address)} ! -i ${network.bridge} -j DROP`)];
  }

  /** True where only published ports may be reached from outside. */
  private guarded({ internal, mode }: BridgeRules): boolean {
    return !internal && mode !== "nat-unprotected" && mode !== "routed";
  }

  port(network: BridgeRules, port: PortRules): RuleChange[] {
    const { bridge, internal, mode } = network;
    if (internal) return [];
    const changes = this.loopbackGuard(port);
    if (this.era === "28.0" && this.guarded(network))
      changes.push(
        append(
          "raw",
          "PREROUTING",
          `-d ${single(port.address)} ! -i ${bridge} ${portMatch(port.protocol, port.port)} -j DROP`,
        ),
      );
    if (port.address.includes(":") !== port.hostAddress.includes(":")) return changes;
    if (port.hostPort !== 0) {
      changes.push(this.portNat(network, port));
      if (!this.config.userlandProxy) changes.push(ownPortMasquerade(port));
    }
    if (mode !== "nat-unprotected") changes.push(insert("filter", "DOCKER", openPort(bridge, port)));
    return changes;
  }

  private portNat(network: BridgeRules, port: PortRules): RuleChange {
    const change = destinationNat(network, port, this.config);
    if (this.config.family === 4 || change.kind !== "append") return change;
    return { ...change, rule: `! -s fe80::/10 ${change.rule}` };
  }

  /** Only this host reaches a port published on 127.0.0.1. */
  private loopbackGuard({ protocol, hostAddress, hostPort }: PortRules): RuleChange[] {
    if (hostPort === 0 || !hostAddress.startsWith("127.")) return [];
    const match = (device: string) => `-d ${single(hostAddress)} ${device} ${portMatch(protocol, hostPort)}`;
    const mirrored = append("raw", "PREROUTING", `${match("-i loopback0")} -j ACCEPT`);
    return [
      ...(this.config.wsl2Mirrored === true ? [mirrored] : []),
      append("raw", "PREROUTING", `${match("! -i lo")} -j DROP`),
    ];
  }

  between(_network: BridgeRules, _other: BridgeRules): RuleChange[] {
    return [];
  }

  userChain(): RuleChange[] {
    const jump = first("filter", "FORWARD", "-j DOCKER-USER");
    if (this.era !== "28.0") return [newChain("filter", "DOCKER-USER"), jump];
    return [newChain("filter", "DOCKER-USER"), append("filter", "DOCKER-USER", "-j RETURN"), jump];
  }

  ingress(bridge: string, ports: readonly PortRules[]): RuleChange[] {
    return [...ingressRules(this.forward, bridge, ports), ...this.userChain()];
  }
}
