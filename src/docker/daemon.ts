import { IPVLAN_MODES } from "../link/ipvlan.ts";
import { MACVLAN_MODES } from "../link/macvlan.ts";
import type { Random } from "../sim/random.ts";
import {
  formatIpv4,
  formatMac,
  formatPrefix,
  type Ipv4,
  type Prefix,
  parseIpv4,
  parsePrefix,
} from "../wire/address.ts";
import type { UpperKind } from "../world/world.ts";
import type { BridgeRules, Firewall } from "./bridge-rules.ts";
import {
  type Command,
  type ContainerSpec,
  missingExternal,
  type NetworkSpec,
  readWord,
  refuse,
  type Word,
} from "./command.ts";
import { type Engine, isBefore } from "./engine.ts";
import { firewallOf } from "./firewall.ts";
import { bridgeMac, hexadecimal } from "./identity.ts";
import { findImage, type Image, type Images } from "./image.ts";
import { AddressSpace, freeSubnet, holds, overlaps } from "./ipam.ts";
import type { DaemonOptions, DockerHost, GatewayMode, Ipam, NetworkDriver, Process } from "./model.ts";
import type { NameRecord, Operation, TranslatorPort } from "./operation.ts";
import type { PlanStep } from "./plan.ts";
import { PortAllocator } from "./ports.ts";
import type { ContainerRecord, NetworkRecord } from "./record.ts";
import { type RuleChange, RuleSet, undone } from "./rule-change.ts";
import { comesFirst, Sandbox } from "./sandbox.ts";

/** What dockerd finds on its host. */
export interface HostFacts {
  readonly namespace: string;
  /** `net.ipv4.ip_forward` is 1 before dockerd starts. */
  readonly forwarding: boolean;
  /** Networks that are on a link of the host. */
  readonly networks: readonly Prefix[];
  readonly hostsFile: string;
  readonly resolvConf: string;
  /** Devices that it may stand others on. */
  readonly devices: ReadonlySet<string>;
  /** Names of namespaces that are taken. */
  readonly names: ReadonlySet<string>;
  /** Docker Desktop: the translator that dockerd's virtual machine is plugged into; null elsewhere. */
  readonly desktop: Desktop | null;
}

export interface Desktop {
  /** Where ports are published, for they are to be the host's. */
  readonly port: TranslatorPort;
  /** What `host-gateway` stands for (`--host-gateway-ip`). */
  readonly hostAddress: Ipv4 | null;
}

export interface DaemonSettings {
  /** dockerd's own words. */
  readonly command: string;
  readonly images: Images;
  readonly engine: Engine;
  readonly options: DaemonOptions;
  readonly random: Random;
  readonly host: HostFacts;
}

const BRIDGE_OPTION = "com.docker.network.bridge";
/** Docker has them, hopscope not. */
const UNMODELLED_DRIVERS: readonly string[] = ["overlay"];

/** What dockerd knows, and the steps that each command makes it take. */
export class Daemon implements DockerHost {
  readonly engine: Engine;
  readonly options: DaemonOptions;
  readonly namespace: string;
  readonly networks = new Map<string, NetworkRecord>();
  readonly containers = new Map<string, ContainerRecord>();
  readonly processes: Process[] = [];
  readonly random: Random;
  readonly host: HostFacts;
  readonly images: Images;
  readonly command: string;
  readonly ports = new PortAllocator();
  readonly firewall: Firewall;
  /** What was asked for that has no effect here. */
  readonly notices: Word[] = [];
  /** Virtual nanoseconds. */
  now = 0;
  private readonly rules = new RuleSet();
  private readonly namespaces = new Set<string>();
  private pid = 1200;
  private steps: PlanStep[] = [];

  constructor({ engine, options, random, host, images, command }: DaemonSettings) {
    this.command = command;
    this.images = images;
    this.engine = engine;
    this.options = options;
    this.namespace = host.namespace;
    this.random = random;
    this.host = host;
    this.firewall = firewallOf(engine.rules, { family: 4, userlandProxy: options.userlandProxy });
  }

  /** What was planned since the last call. */
  takeSteps(): PlanStep[] {
    for (const container of this.containers.values()) if (container.resolver !== null) this.tellNames(container);
    const { steps } = this;
    this.steps = [];
    return steps;
  }

  /** What a container's DNS server may answer: of each name, what the first of its networks says. */
  private tellNames(container: ContainerRecord): void {
    const found = new Map<string, NameRecord[]>();
    for (const { network } of [...container.endpoints].sort(comesFirst)) {
      const here = this.namesOn(network);
      for (const [name, records] of here) if (!found.has(name)) found.set(name, records);
    }
    const names = [...found.values()].flat();
    if (JSON.stringify(names) === JSON.stringify(container.names)) return;
    container.names = names;
    this.step(`container ${container.name}: names that 127.0.0.11 answers`, [
      { kind: "names", namespace: container.namespace, records: names },
    ]);
  }

  private namesOn(network: NetworkRecord): Map<string, NameRecord[]> {
    const names = new Map<string, NameRecord[]>();
    for (const { endpoints } of this.containers.values())
      for (const endpoint of endpoints)
        if (endpoint.network === network)
          for (const name of endpoint.dnsNames) {
            const record = { name, network: network.name, address: endpoint.address };
            names.set(name, [...(names.get(name) ?? []), record]);
          }
    return names;
  }

  step(title: string, operations: readonly Operation[]): void {
    if (operations.length > 0) this.steps.push({ title, operations });
  }

  /** The operations of rules that are not there yet. */
  program(changes: readonly RuleChange[], made: RuleChange[] = []): Operation[] {
    const effective = changes.flatMap((change) => {
      const done = this.rules.apply(change);
      if (done.length > 0) made.push(change);
      return done;
    });
    return effective.map((change) => ({ kind: "rules", namespace: this.namespace, change }));
  }

  withdraw(made: RuleChange[]): Operation[] {
    return this.program(made.splice(0).flatMap((change) => undone(change) ?? []));
  }

  nextPid(): number {
    this.pid += 1 + this.random.fork(`pid/${this.pid}`).below(20);
    return this.pid;
  }

  /** What dockerd does when it starts. */
  start(): void {
    const { engine, namespace, host, options } = this;
    const operations: Operation[] = [];
    const sysctl = (key: string, value: number) => operations.push({ kind: "sysctl", namespace, key, value });
    if (!host.forwarding) {
      sysctl("net.ipv4.ip_forward", 1);
      operations.push(...this.program([{ kind: "policy", table: "filter", chain: "FORWARD", policy: "DROP" }]));
    }
    const seen = engine.bridgeNetfilter || !options.userlandProxy || !options.icc;
    sysctl("net.bridge.bridge-nf-call-iptables", seen ? 1 : 0);
    this.step(`dockerd ${engine.version} starts`, operations);
    this.step("dockerd's own chains", this.program([...this.firewall.start(), ...this.firewall.userChain()]));
    for (const [name, driver] of [
      ["none", "null"],
      ["host", "host"],
    ] as const)
      this.addNetwork(name, driver, null, null);
    this.createDefaultBridge();
  }

  private createDefaultBridge(): void {
    const { bridgeAddress, pools, icc } = this.options;
    const subnet =
      bridgeAddress === null
        ? freeSubnet(pools, this.host.networks)
        : parsePrefix(`${formatIpv4(bridgeAddress.address)}/${bridgeAddress.length}`);
    if (subnet === null) throw refuse(WITHOUT_PLACE, "an address pool that is free for docker0", this.dryPools());
    const gateway = bridgeAddress?.address ?? (subnet.address + 1) | 0;
    const ipam: Ipam = { subnet, range: null, gateway, auxiliary: new Map(), chosen: bridgeAddress !== null };
    const word = (text: string): Word => ({ ...WITHOUT_PLACE, text });
    const given = {
      [`${BRIDGE_OPTION}.default_bridge`]: "true",
      [`${BRIDGE_OPTION}.enable_icc`]: String(icc),
      [`${BRIDGE_OPTION}.enable_ip_masquerade`]: "true",
      [`${BRIDGE_OPTION}.host_binding_ipv4`]: this.options.publishAddress,
      [`${BRIDGE_OPTION}.name`]: "docker0",
      "com.docker.network.driver.mtu": "1500",
    };
    const options = new Map(Object.entries(given).map(([key, text]) => [key, word(text)]));
    this.addNetwork("bridge", "bridge", ipam, { ...EMPTY_NETWORK, name: word("bridge"), options });
  }

  execute(command: Command): void {
    switch (command.kind) {
      case "network-create":
        this.createNetwork(command.network);
        return;
      case "network-external":
        if (!this.networks.has(command.network.text))
          throw refuse(
            command.network,
            `a network that is there (${[...this.networks.keys()].join(", ")}), or none that is external`,
            missingExternal(command.network),
            404,
          );
        return;
      case "network-remove":
        for (const word of command.networks) this.removeNetwork(word);
        return;
      case "create":
        this.createContainer(command.container);
        if (command.start) this.sandbox(command.container.name).start();
        return;
      case "connect":
        this.sandbox(command.container).connect(command.attachment);
        return;
      case "disconnect":
        this.sandbox(command.container).disconnect(this.networkOf(command.network));
        return;
      case "start":
      case "stop":
      case "remove":
        for (const word of command.containers) this.sandbox(word)[command.kind]();
        return;
      case "restart":
        for (const word of command.containers) {
          this.sandbox(word).stop();
          this.sandbox(word).start();
        }
        return;
      case "pull":
        // Images change nothing of a network.
        return;
    }
  }

  // Networks.

  /** A network by its name or the beginning of its ID. @throws {InputError} */
  networkOf(word: Word): NetworkRecord {
    const known = this.networks.get(word.text) ?? find(this.networks.values(), word.text);
    if (known !== undefined) return known;
    const names = [...this.networks.keys()].join(", ");
    throw refuse(word, `a network (${names})`, `network ${word.text} not found`, 404);
  }

  private createNetwork(spec: NetworkSpec): void {
    const { name } = spec;
    if (this.networks.has(name.text))
      throw refuse(name, "a name that is free", `network with name ${name.text} already exists`, 409);
    const driver = (spec.driver?.text ?? "bridge") as NetworkDriver;
    if (driver !== "bridge" && driver !== "macvlan" && driver !== "ipvlan") {
      const missing = `could not find plugin ${driver} in v1 plugin registry: plugin not found`;
      const known = UNMODELLED_DRIVERS.includes(driver);
      throw refuse(spec.driver!, "the driver bridge, macvlan or ipvlan", known ? undefined : missing);
    }
    this.addNetwork(name.text, driver, this.allocateSubnet(spec), spec);
  }

  private allocateSubnet(spec: NetworkSpec): Ipam {
    const taken = [...this.networks.values()].flatMap(({ ipam }) => (ipam === null ? [] : [ipam.subnet]));
    const { subnet: chosen, range, gateway, auxiliary } = spec;
    if (chosen === null) {
      const subnet = freeSubnet(this.options.pools, [...taken, ...this.host.networks]);
      if (subnet === null)
        throw refuse(spec.name, "a network with a subnet of its own, for there is no pool left", this.dryPools());
      const first = isolated(spec) ? null : (subnet.address + 1) | 0;
      return { subnet, range: null, gateway: first, auxiliary, chosen: false };
    }
    const { prefix: subnet } = chosen;
    if (taken.some((other) => overlaps(other, subnet)))
      throw refuse(chosen, "a subnet that no other network has", this.poolOverlap());
    for (const inside of [gateway, range])
      if (inside !== null && !holds(subnet, "address" in inside ? inside.address : inside.prefix.address))
        throw refuse(inside, `an address of ${chosen.text}`, `no matching subnet for gateway ${inside.text}`);
    const pool = range?.prefix ?? subnet;
    const lowest = range === null ? (subnet.address + 1) | 0 : pool.address | (pool.address === subnet.address ? 1 : 0);
    const own = isolated(spec) ? null : (gateway?.address ?? lowest);
    return { subnet, range: range?.prefix ?? null, gateway: own, auxiliary, chosen: true };
  }

  private dryPools(): string {
    return isBefore(this.engine, 25)
      ? "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
      : "all predefined address pools have been fully subnetted";
  }

  private poolOverlap(): string {
    const overlap = "Pool overlaps with other one on this address space";
    return isBefore(this.engine, 25) ? overlap : `invalid pool request: ${overlap}`;
  }

  private addNetwork(name: string, driver: NetworkDriver, ipam: Ipam | null, spec: NetworkSpec | null): void {
    const random = this.random.fork(`network/${name}`);
    const id = hexadecimal(random, 64);
    const option = (key: string): string | undefined => spec?.options.get(key)?.text;
    const internal = spec?.internal ?? false;
    const bridge = driver === "bridge" ? (option(`${BRIDGE_OPTION}.name`) ?? `br-${id.slice(0, 12)}`) : null;
    const upper = driver === "macvlan" || driver === "ipvlan" ? this.upperKind(driver, spec!) : null;
    const source = spec?.options.get("com.docker.network.host_ipv4");
    const address = source === undefined ? null : readWord(source, "an IPv4 address", parseIpv4);
    const size = spec?.options.get("com.docker.network.driver.mtu");
    if (size !== undefined && !(/^\d{2,5}$/.test(size.text) && Number(size.text) >= 68))
      throw refuse(size, "an MTU in bytes (68-65535)");
    const base = {
      name,
      id,
      created: this.now,
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
    this.networks.set(name, network);
    if (rules !== null) this.raiseBridge(network, rules);
    const { device } = network;
    if (upper === null || option("parent") !== undefined) return;
    const { namespace } = this;
    this.step(`network ${name}: a parent that leads nowhere`, [
      { kind: "dummy", namespace, device: device! },
      { kind: "up", namespace, device: device! },
    ]);
  }

  /** The mode, and whether the parent is there. @throws {Refusal} */
  private upperKind(driver: "macvlan" | "ipvlan", { options, name }: NetworkSpec): UpperKind {
    const parent = options.get("parent");
    if (parent !== undefined && !this.host.devices.has(parent.text)) {
      const says = `invalid subinterface vlan name ${parent.text}, example formatting is eth0.10`;
      throw refuse(
        parent,
        `a device of the host (${[...this.host.devices].join(", ")})`,
        /\./.test(parent.text) ? "" : says,
      );
    }
    const given = options.get(`${driver}_mode`);
    const modes: readonly string[] = driver === "macvlan" ? MACVLAN_MODES : IPVLAN_MODES;
    const mode = given?.text ?? modes[0]!;
    if (!modes.includes(mode)) {
      const known = driver === "macvlan" ? mode === "passthru" : mode === "l3s";
      throw refuse(
        given!,
        `a mode that hopscope models (${modes.join(", ")})`,
        known
          ? ""
          : `requested ${driver} mode '${mode}' is not valid, '${modes[0]}' mode is the ${driver} driver default`,
      );
    }
    const kind = { type: driver, mode } as UpperKind;
    for (const other of this.networks.values())
      if (parent !== undefined && other.device === parent.text && other.upper !== null && !shares(other.upper, kind))
        throw refuse(
          parent,
          `a parent that network ${other.name} has not as ${other.upper.type} ${other.upper.mode}, which excludes this (${name.text})`,
          "",
          500,
        );
    return kind;
  }

  private raiseBridge(network: NetworkRecord, rules: BridgeRules): void {
    const { namespace } = this;
    const device = rules.bridge;
    const { ipam, name, mtu } = network;
    const { high, low } = bridgeMac(this.engine, this.random.fork(`bridge/${device}`));
    const operations: Operation[] = [{ kind: "bridge", namespace, device, mac: formatMac(high, low), mtu }];
    if (ipam!.gateway !== null)
      operations.push({
        kind: "address",
        namespace,
        device,
        address: `${formatIpv4(ipam!.gateway)}/${ipam!.subnet.length}`,
      });
    if (!this.options.userlandProxy)
      operations.push({ kind: "sysctl", namespace, key: `net.ipv4.conf.${device}.route_localnet`, value: 1 });
    if (!network.icc || !this.options.userlandProxy)
      operations.push({ kind: "sysctl", namespace, key: "net.bridge.bridge-nf-call-iptables", value: 1 });
    operations.push({ kind: "up", namespace, device });
    this.step(`network ${name}: its bridge ${device}`, operations);
    this.step(`network ${name}: its rules`, [
      ...this.program(this.firewall.network(rules), network.changes),
      ...this.keepApart(network, rules),
    ]);
  }

  /** Whichever of two networks goes first takes the rules between them along. */
  private keepApart(network: NetworkRecord, rules: BridgeRules): Operation[] {
    return [...this.networks.values()].flatMap((other) => {
      if (other === network || other.rules === null) return [];
      const made: RuleChange[] = [];
      const operations = this.program(this.firewall.between(rules, other.rules), made);
      for (const { changes } of [network, other]) changes.push(...made);
      return operations;
    });
  }

  private removeNetwork(word: Word): void {
    const network = this.networkOf(word);
    const users = [...this.containers.values()].filter(({ endpoints }) =>
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
    const { namespace } = this;
    const rules = this.withdraw(network.changes);
    const made = network.rules?.bridge ?? (network.device?.startsWith("dm-") ? network.device : null);
    if (made !== null) rules.push({ kind: "remove-device", namespace, device: made });
    this.step(`network ${network.name} goes`, rules);
    this.networks.delete(network.name);
  }

  // Containers.

  /** A container by its name or the beginning of its ID. @throws {InputError} */
  containerOf(word: Word): ContainerRecord {
    const known = this.containers.get(word.text) ?? find(this.containers.values(), word.text);
    if (known !== undefined) return known;
    const names = [...this.containers.keys()].join(", ");
    throw refuse(word, `a container (${names})`, `No such container: ${word.text}`, 404);
  }

  private sandbox(word: Word): Sandbox {
    return new Sandbox(this, this.containerOf(word));
  }

  private createContainer(spec: ContainerSpec): void {
    const { name, networking } = spec;
    const other = this.containers.get(name.text);
    if (other !== undefined)
      throw refuse(
        name,
        "a name that is free",
        `Conflict. The container name "/${name.text}" is already in use by container "${other.id}". You have to remove (or rename) that container to be able to reuse that name.`,
        409,
      );
    const id = hexadecimal(this.random.fork(`container/${name.text}`), 64);
    const shared = networking.kind === "container" ? this.containerOf(networking.container) : null;
    const namespace = networking.kind === "host" ? this.namespace : (shared?.namespace ?? this.freeNamespace(spec));
    const networkMode =
      networking.kind === "networks"
        ? (networking.attachments[0]?.network.text ?? "bridge")
        : networking.kind === "container"
          ? `container:${shared!.id}`
          : networking.kind;
    const image = findImage(spec.image, this.images);
    this.containers.set(name.text, {
      name: name.text,
      id,
      hostname: spec.hostname ?? (networking.kind === "host" ? this.namespace : (shared?.hostname ?? id.slice(0, 12))),
      image: spec.image,
      imageId: hexadecimal(this.random.fork(`image/${spec.image}`), 64),
      sandboxId: hexadecimal(this.random.fork(`sandbox/${name.text}`), 64),
      // An entry point of the container's own leaves the image's command aside.
      entrypoint: spec.entrypoint ?? image.entrypoint,
      arguments: spec.command ?? (spec.entrypoint === null ? image.command : []),
      terminal: spec.terminal,
      created: this.now,
      started: null,
      finished: null,
      state: "created",
      namespace,
      networkMode,
      endpoints: [],
      ports: [],
      exposed: [...new Set([...image.exposed, ...spec.exposed])],
      environment: merged(spec.environment, image.environment),
      labels: spec.labels,
      hostsFile: "",
      resolvConf: "",
      processes: [],
      shim: 0,
      spec,
      mapped: [],
      wanted: wantedPorts(spec, image),
      resolver: null,
      names: [],
    });
  }

  private freeNamespace({ shortName, name }: ContainerSpec): string {
    const taken = (text: string) => this.host.names.has(text) || this.namespaces.has(text) || text === this.namespace;
    const namespace = taken(shortName) ? name.text : shortName;
    if (taken(namespace)) throw refuse(name, `a name that no other namespace has`);
    this.namespaces.add(namespace);
    return namespace;
  }
}

/** All devices on one parent are of one kind, and those of ipvlan of one mode. */
const shares = (a: UpperKind, b: UpperKind): boolean =>
  a.type === b.type && (a.type === "macvlan" || a.mode === b.mode);

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

/** By the beginning of an ID, where only one begins so. */
function find<T extends { readonly id: string }>(all: Iterable<T>, prefix: string): T | undefined {
  const found = [...all].filter(({ id }) => /^[0-9a-f]{4,}$/.test(prefix) && id.startsWith(prefix));
  return found.length === 1 ? found[0] : undefined;
}

function gatewayMode(spec: NetworkSpec | null): GatewayMode {
  const given = spec?.options.get(`${BRIDGE_OPTION}.gateway_mode_ipv4`);
  if (given === undefined) return "nat";
  const modes: readonly string[] = ["nat", "nat-unprotected", "routed", "isolated"];
  if (!modes.includes(given.text))
    throw refuse(given, `a gateway mode (${modes.join(", ")})`, `unknown gateway mode ${given.text}`);
  if (given.text === "isolated" && !spec!.internal)
    throw refuse(
      given,
      "isolated with an internal network only",
      "gateway mode 'isolated' can only be used for an internal network",
    );
  return given.text as GatewayMode;
}

const isolated = (spec: NetworkSpec): boolean => gatewayMode(spec) === "isolated";

/** What the container is given stands first (`merge()` of the daemon). */
const merged = (own: ReadonlyMap<string, string>, image: ReadonlyMap<string, string>): Map<string, string> =>
  new Map([...own, ...[...image].filter(([key]) => !own.has(key))]);

/** `-p` and, with `-P`, what is exposed. */
function wantedPorts({ ports, exposed, publishAll, name }: ContainerSpec, image: Image) {
  if (!publishAll) return ports;
  const published = new Set(ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`));
  const more = [...new Set([...image.exposed, ...exposed])]
    .filter((port) => !published.has(port))
    .map((port) => {
      const [number = "", protocol = "tcp"] = port.split("/");
      const base = { ...name, hostAddress: "", hostPort: null, containerPort: Number(number) };
      return { ...base, protocol: protocol as "tcp" | "udp" | "sctp" };
    });
  return [...ports, ...more];
}
