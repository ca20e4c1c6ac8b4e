import type { TableName } from "../kernel/netfilter/rule.ts";
import type { GatewayMode } from "./model.ts";
import type { RuleChange } from "./rule-change.ts";

/** What rules depend on beside networks and ports. */
export interface FirewallConfig {
  readonly family: 4 | 6;
  readonly userlandProxy: boolean;
  /** WSL2 with mirrored networking: a device `loopback0` brings what Windows sends to 127.0.0.1. */
  readonly wsl2Mirrored?: boolean;
}

/** One bridge network in one address family; addresses as text. */
export interface BridgeRules {
  readonly bridge: string;
  readonly internal: boolean;
  readonly icc: boolean;
  readonly masquerade: boolean;
  readonly mode: GatewayMode;
  /** Such as `172.17.0.0/16`; null for a network without addresses of this family. */
  readonly subnet: string | null;
  /** What outgoing flows are translated to instead of the address of the device they leave by. */
  readonly sourceAddress: string | null;
}

/** One published port; addresses as text. */
export interface PortRules {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly address: string;
  readonly port: number;
  readonly hostAddress: string;
  /** 0 where the port is open but not mapped (`routed`). */
  readonly hostPort: number;
}

/** The rules that an engine of one era writes for one address family. */
export interface Firewall {
  /** What dockerd sets up before any network. */
  start(): RuleChange[];
  network(network: BridgeRules): RuleChange[];
  /** Two networks are there, the first of them the newer one. */
  between(network: BridgeRules, other: BridgeRules): RuleChange[];
  /** A container of this address joins. */
  endpoint(network: BridgeRules, address: string): RuleChange[];
  port(network: BridgeRules, port: PortRules): RuleChange[];
  /** `DOCKER-USER`, which comes before all else of Docker in FORWARD. */
  userChain(): RuleChange[];
  /** Swarm's routing mesh: published ports go to the `gateway` bridge's ingress address. */
  ingress(bridge: string, ports: readonly PortRules[]): RuleChange[];
}

// The words of rules, in the order of `iptables-save`.

export const append = (table: TableName, chain: string, rule: string): RuleChange => ({
  kind: "append",
  table,
  chain,
  rule,
});
export const insert = (table: TableName, chain: string, rule: string): RuleChange => ({
  kind: "insert",
  table,
  chain,
  rule,
});
export const first = (table: TableName, chain: string, rule: string): RuleChange => ({
  kind: "first",
  table,
  chain,
  rule,
});
export const newChain = (table: TableName, chain: string): RuleChange => ({ kind: "chain", table, chain });

export const LOCAL_DESTINATION = "-m addrtype --dst-type LOCAL";
export const ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED";

/** One address as a rule shows it. */
export const single = (address: string): string => `${address}/${address.includes(":") ? 128 : 32}`;

export const isUnspecified = (address: string): boolean => address === "0.0.0.0" || address === "::";

/** The protocol and its destination port. */
export const portMatch = (protocol: string, port: number): string => `-p ${protocol} -m ${protocol} --dport ${port}`;

/** `DOCKER` is asked about what is for this host; loopback is docker-proxy's, where there is one. */
export function natJumps(config: FirewallConfig): RuleChange[] {
  const loopback = config.family === 4 ? "127.0.0.0/8" : "::1/128";
  const except = config.userlandProxy ? `! -d ${loopback} ` : "";
  return [
    append("nat", "PREROUTING", `${LOCAL_DESTINATION} -j DOCKER`),
    append("nat", "OUTPUT", `${except}${LOCAL_DESTINATION} -j DOCKER`),
  ];
}

/** What leaves the network is translated, and without docker-proxy also what the host sends it from its own addresses. */
export function sourceNat(network: BridgeRules, config: FirewallConfig, out: boolean): RuleChange[] {
  const { bridge, subnet, sourceAddress } = network;
  const target = sourceAddress === null ? "MASQUERADE" : `SNAT --to-source ${sourceAddress}`;
  const changes: RuleChange[] = [];
  if (out) changes.push(insert("nat", "POSTROUTING", `-s ${subnet} ! -o ${bridge} -j ${target}`));
  if (!config.userlandProxy)
    changes.push(insert("nat", "POSTROUTING", `-o ${bridge} -m addrtype --src-type LOCAL -j ${target}`));
  return changes;
}

/** The DNAT of a published port. */
export function destinationNat(network: BridgeRules, port: PortRules, config: FirewallConfig): RuleChange {
  const words: string[] = [];
  const { address, hostAddress } = port;
  if (!isUnspecified(hostAddress)) words.push(`-d ${single(hostAddress)}`);
  if (config.userlandProxy) words.push(`! -i ${network.bridge}`);
  const to = `${address.includes(":") ? `[${address}]` : address}:${port.port}`;
  words.push(portMatch(port.protocol, port.hostPort), `-j DNAT --to-destination ${to}`);
  return append("nat", "DOCKER", words.join(" "));
}

/** A container that reaches itself by its published port must not answer itself. */
export function ownPortMasquerade({ protocol, address, port }: PortRules): RuleChange {
  const rule = `-s ${single(address)} -d ${single(address)} ${portMatch(protocol, port)} -j MASQUERADE`;
  return append("nat", "POSTROUTING", rule);
}

/** The filter rule that lets a published port in. */
export const openPort = (bridge: string, { protocol, address, port }: PortRules): string =>
  `-d ${single(address)} ! -i ${bridge} -o ${bridge} ${portMatch(protocol, port)} -j ACCEPT`;

/** `programIngress()`: what swarm adds for its published ports, in `chain` of the filter table. */
export function ingressRules(chain: string, bridge: string, ports: readonly PortRules[]): RuleChange[] {
  const ingress = "DOCKER-INGRESS";
  const changes = [
    newChain("nat", ingress),
    newChain("filter", ingress),
    append("nat", ingress, "-j RETURN"),
    append("filter", ingress, "-j RETURN"),
    insert("nat", "OUTPUT", `${LOCAL_DESTINATION} -j ${ingress}`),
    insert("nat", "PREROUTING", `${LOCAL_DESTINATION} -j ${ingress}`),
    insert("filter", chain, `-j ${ingress}`),
    insert("nat", "POSTROUTING", `-o ${bridge} -m addrtype --src-type LOCAL -j MASQUERADE`),
  ];
  for (const { protocol, address, hostPort } of ports) {
    const source = `-p ${protocol} -m ${protocol} --sport ${hostPort} ${ESTABLISHED} -j ACCEPT`;
    changes.push(
      insert("nat", ingress, `${portMatch(protocol, hostPort)} -j DNAT --to-destination ${address}:${hostPort}`),
      insert("filter", ingress, source),
      insert("filter", ingress, `${portMatch(protocol, hostPort)} -j ACCEPT`),
    );
  }
  return changes;
}
