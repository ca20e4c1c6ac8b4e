import { formatIpv4, formatMac, formatPrefix, parseIpv4, parsePrefix } from "../wire/address.ts";
import type { BridgeRules } from "./bridge-rules.ts";
import { type NetworkSpec, readWord, refuse, type Word } from "./command.ts";
import type { Daemon } from "./daemon.ts";
import { BRIDGE_OPTION, gatewayMode } from "./gateway-mode.ts";
import { bridgeMac, hexadecimal } from "./identity.ts";
import { AddressSpace, freeSubnet } from "./ipam.ts";
import type { Ipam, NetworkDriver } from "./model.ts";
import type { Operation } from "./operation.ts";
import type { NetworkRecord } from "./record.ts";
import type { RuleChange } from "./rule-change.ts";
import { allocateSubnet, dryPools } from "./subnet.ts";
import { upperKind } from "./upper-network.ts";

/** Docker has them, hopscope not. */
const UNMODELLED_DRIVERS: readonly string[] = ["overlay"];

/** How networks are made and removed. */
export class Networks {
  constructor(private readonly daemon: Daemon) {}

  createDefault(): void {
    const { bridgeAddress, pools, icc } = this.daemon.options;
    const subnet =
      bridgeAddress === null
        ? freeSubnet(pools, this.daemon.host.networks)
        : parsePrefix(`${formatIpv4(bridgeAddress.address)}/${bridgeAddress.length}`);
    if (subnet === null)
      throw refuse(WITHOUT_PLACE, "an address pool that is free for docker0", dryPools(this.daemon.engine));
    const gateway = bridgeAddress?.address ?? (subnet.address + 1) | 0;
    const ipam: Ipam = { subnet, range: null, gateway, auxiliary: new Map(), chosen: bridgeAddress !== null };
    const word = (text: string): Word => ({ ...WITHOUT_PLACE, text });
    const given = {
      [`${BRIDGE_OPTION}.default_bridge`]: "true",
      [`${BRIDGE_OPTION}.enable_icc`]: String(icc),
      [`${BRIDGE_OPTION}.enable_ip_masquerade`]: "true",
      [`${BRIDGE_OPTION}.host_binding_ipv4`]: this.daemon.options.publishAddress,
      [`${BRIDGE_OPTION}.name`]: "docker0",
      "com.docker.network.driver.mtu": "1500",
    };
    const options = new Map(Object.entries(given).map(([key, text]) => [key, word(text)]));
    this.add("bridge", "bridge", ipam, { ...EMPTY_NETWORK, name: word("bridge"), options });
  }

  create(spec: NetworkSpec): void {
    const { name } = spec;
    if (this.daemon.networks.has(name.text))
      throw refuse(name, "a name that is free", `network with name ${name.text} already exists`, 409);
    const driver = (spec.driver?.text ?? "bridge") as NetworkDriver;
    if (driver !== "bridge" && driver !== "macvlan" && driver !== "ipvlan") {
      const missing = `could not find plugin ${driver} in v1 plugin registry: plugin not found`;
      const known = UNMODELLED_DRIVERS.includes(driver);
      throw refuse(spec.driver!, "the driver bridge, macvlan or ipvlan", known ? undefined : missing);
    }
    this.add(name.text, driver, allocateSubnet(this.daemon, spec), spec);
  }

  add(name: string, driver: NetworkDriver, ipam: Ipam | null, spec: NetworkSpec | null): void {
    const random = this.daemon.random.fork(`network/${name}`);
    const id = hexadecimal(random, 64);
    const option = (key: string): string | undefined => spec?.options.get(key)?.text;
    const internal = spec?.internal ?? false;
    const bridge = driver === "bridge" ? (option(`${BRIDGE_OPTION}.name`) ?? `br-${id.slice(0, 12)}`) : null;
    const upper = driver === "macvlan" || driver === "ipvlan" ? upperKind(this.daemon, driver, spec!) : null;
    const source = spec?.options.get("com.docker.network.host_ipv4");
    const address = source === undefined ? null : readWord(source, "an IPv4 address", parseIpv4);
    const size = spec?.options.get("com.docker.network.driver.mtu");
    if (size !== undefined && !(/^\d{2,5}$/.test(size.text) && Number(size.text) >= 68))
      throw refuse(size, "an MTU in bytes (68-65535)");
    const base = {
      name,
      id,
      created: this.daemon.now,
      driver,
      internal,
      attachable: spec?.attachable ?? false,
      ipam,
      device: bridge ?? (upper === null ? null : (option("parent") ?? `dm-${id.slice(0, 12)}`)),
      gatewayMode: gatewayMode(spec),
      icc: option(`${BRIDGE_OPTION}.enable_icc`) !== "false",
      masquerade: option(`${BRIDGE_OPTION}.enable_ip_masquerade`) !== "false",
      sourceAddress: address,
      mtu: Number(size?.text ?? 1500),
      options: new Map([...(spec?.options ?? [])].map(([key, { text }]) => [key, text])),
      labels: spec?.labels ?? new Map(),
    };
    const rules: BridgeRules | null =
      bridge === null
        ? null
        : {
            bridge,
            internal,
            icc: base.icc,
            masquerade: base.masquerade,
            mode: base.gatewayMode,
            subnet: formatPrefix(ipam!.subnet),
            sourceAddress: source?.text ?? null,
          };
    const addresses = ipam === null ? null : new AddressSpace(ipam.subnet, ipam.range ?? ipam.subnet);
    if (ipam?.gateway != null) addresses!.reserve(ipam.gateway);
    for (const reserved of ipam?.auxiliary.values() ?? []) addresses!.reserve(reserved);
    const network: NetworkRecord = { ...base, addresses, rules, upper, changes: [] };
    this.daemon.networks.set(name, network);
    if (rules !== null) this.raiseBridge(network, rules);
    const { device } = network;
    if (upper === null || option("parent") !== undefined) return;
    const { namespace } = this.daemon;
    this.daemon.step(`network ${name}: a parent that leads nowhere`, [
      { kind: "dummy", namespace, device: device! },
      { kind: "up", namespace, device: device! },
    ]);
  }

  private raiseBridge(network: NetworkRecord, rules: BridgeRules): void {
    const { namespace } = this.daemon;
    const device = rules.bridge;
    const { ipam, name, mtu } = network;
    const { high, low } = bridgeMac(this.daemon.engine, this.daemon.random.fork(`bridge/${device}`));
    const operations: Operation[] = [{ kind: "bridge", namespace, device, mac: formatMac(high, low), mtu }];
    if (ipam!.gateway !== null)
      operations.push({
        kind: "address",
        namespace,
        device,
        address: `${formatIpv4(ipam!.gateway)}/${ipam!.subnet.length}`,
        broadcast: this.daemon.engine.broadcasts,
      });
    if (!this.daemon.options.userlandProxy)
      operations.push({ kind: "sysctl", namespace, key: `net.ipv4.conf.${device}.route_localnet`, value: 1 });
    if (!network.icc || !this.daemon.options.userlandProxy)
      operations.push({ kind: "sysctl", namespace, key: "net.bridge.bridge-nf-call-iptables", value: 1 });
    operations.push({ kind: "up", namespace, device });
    this.daemon.step(`network ${name}: its bridge ${device}`, operations);
    this.daemon.step(`network ${name}: its rules`, [
      ...this.daemon.program(this.daemon.firewall.network(rules), network.changes),
      ...this.keepApart(network, rules),
    ]);
  }

  /** Whichever of two networks goes first takes the rules between them along. */
  private keepApart(network: NetworkRecord, rules: BridgeRules): Operation[] {
    return [...this.daemon.networks.values()].flatMap((other) => {
      if (other === network || other.rules === null) return [];
      const made: RuleChange[] = [];
      const operations = this.daemon.program(this.daemon.firewall.between(rules, other.rules), made);
      for (const { changes } of [network, other]) changes.push(...made);
      return operations;
    });
  }

  remove(word: Word): void {
    const network = this.daemon.networkOf(word);
    const users = [...this.daemon.containers.values()].filter(({ endpoints }) =>
      endpoints.some((endpoint) => endpoint.network === network),
    );
    if (users.length > 0)
      throw refuse(
        word,
        `a network without containers (it has ${users.map(({ name }) => name).join(", ")})`,
        `error while removing network: network ${network.name} id ${network.id} has active endpoints`,
        403,
      );
    if (["bridge", "host", "none"].includes(network.name))
      throw refuse(
        word,
        "a network of the user's",
        `${network.name} is a pre-defined network and cannot be removed`,
        403,
      );
    const { namespace } = this.daemon;
    const rules = this.daemon.withdraw(network.changes);
    const made = network.rules?.bridge ?? (network.device?.startsWith("dm-") ? network.device : null);
    if (made !== null) rules.push({ kind: "remove-device", namespace, device: made });
    this.daemon.step(`network ${network.name} goes`, rules);
    this.daemon.networks.delete(network.name);
  }
}

/** What dockerd asks of itself. */
const WITHOUT_PLACE: Word = { text: "bridge", place: { file: "daemon.json", line: 1, column: 1 } };

const EMPTY_NETWORK: Omit<NetworkSpec, "name" | "options"> = {
  driver: null,
  subnet: null,
  range: null,
  gateway: null,
  auxiliary: new Map(),
  internal: false,
  attachable: false,
  labels: new Map(),
};
