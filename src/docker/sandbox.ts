import { Sysctls } from "../kernel/sysctl.ts";
import { formatIpv4, formatMac, parseIpv4 } from "../wire/address.ts";
import type { UpperKind } from "../world/world.ts";
import { type AttachmentSpec, refuse } from "./command.ts";
import { type ContainerDns, containerDns, EMBEDDED_DNS, type HostsRecord, hostsFile } from "./container-files.ts";
import type { Daemon } from "./daemon.ts";
import { isBefore } from "./engine.ts";
import { containerMac, hexadecimal, vethName } from "./identity.ts";
import { findImage } from "./image.ts";
import { holds } from "./ipam.ts";
import { type PortBinding, processOf } from "./model.ts";
import type { Operation, ProcessProgram, ProcessSpec } from "./operation.ts";
import { DOCKERD_PID } from "./process-list.ts";
import type { ContainerRecord, EndpointRecord, ExposedPort, MappedPort, NetworkRecord } from "./record.ts";
import type { RuleChange } from "./rule-change.ts";

/** One container's networking: its namespace, its devices, its ports, its files. */
export class Sandbox {
  constructor(
    private readonly daemon: Daemon,
    private readonly container: ContainerRecord,
  ) {}

  start(): void {
    const { daemon, container } = this;
    if (container.state === "running") return;
    const { namespace, name, spec } = container;
    const { networking } = spec;
    if (networking.kind === "networks" || networking.kind === "none")
      daemon.step(`container ${name}: its network namespace`, [
        { kind: "namespace", name: namespace },
        ...this.sysctls(),
      ]);
    if (networking.kind !== "container" && networking.kind !== "host") this.unpack();
    container.state = "running";
    container.started = daemon.now;
    try {
      if (networking.kind === "networks") {
        for (const attachment of inOrder(networking.attachments)) this.join(attachment);
        this.chooseGateway();
      }
    } catch (error) {
      this.stop();
      container.state = "created";
      container.finished = null;
      throw error;
    }
    this.writeFiles();
    this.bind();
    container.shim = daemon.nextPid();
    container.processes = [{ pid: daemon.nextPid(), parent: container.shim, command: processOf(container) }];
  }

  /** What is read of its image's files. */
  private unpack(): void {
    const { daemon, container } = this;
    const { namespace, name, image } = container;
    const operations = [...findImage(image, daemon.images).files].map(
      ([path, text]): Operation => ({ kind: "file", namespace, path, text }),
    );
    daemon.step(`container ${name}: files of its image`, operations);
  }

  /** Paths of the host that it sees. */
  private bind(): void {
    const { daemon, container } = this;
    const { namespace, spec, name } = container;
    if (namespace === daemon.namespace) return;
    const operations = spec.binds.map((bind): Operation => ({ kind: "bind", namespace, from: daemon.namespace, bind }));
    daemon.step(`container ${name}: paths of the host`, operations);
  }

  /** Settings that change nothing of what hopscope models become notices. */
  private sysctls(): Operation[] {
    const { namespace, spec } = this.container;
    const scratch = new Sysctls();
    return [...spec.sysctls].flatMap(([key, word]): Operation[] => {
      try {
        scratch.set(key, word.text);
        return [{ kind: "sysctl", namespace, key, value: Number(word.text) }];
      } catch {
        this.daemon.notices.push({ ...word, text: `sysctl ${key}` });
        return [];
      }
    });
  }

  stop(): void {
    const { daemon, container } = this;
    if (container.state !== "running") return;
    daemon.step(`container ${container.name}: its ports go`, this.unmapPorts());
    for (const endpoint of container.endpoints.splice(0)) this.leave(endpoint);
    container.state = "exited";
    container.finished = daemon.now;
    container.processes = [];
    container.shim = 0;
    if (container.resolver !== null) {
      const { namespace, process } = container.resolver;
      daemon.step(`container ${container.name}: its DNS server stops`, [{ kind: "stop", namespace, process }]);
      container.resolver = null;
    }
  }

  remove(): void {
    this.stop();
    this.daemon.containers.delete(this.container.name);
  }

  connect(attachment: AttachmentSpec): void {
    this.join(attachment);
    this.chooseGateway();
    this.writeFiles();
  }

  disconnect(network: NetworkRecord): void {
    const { endpoints } = this.container;
    const at = endpoints.findIndex((endpoint) => endpoint.network === network);
    if (at < 0) return;
    const [endpoint] = endpoints.splice(at, 1);
    if (endpoint!.isGateway) this.releaseGateway(endpoint!);
    this.leave(endpoint!);
    this.chooseGateway();
    this.writeFiles();
  }

  // Endpoints.

  private join(attachment: AttachmentSpec): void {
    const { daemon, container } = this;
    const network = daemon.networkOf(attachment.network);
    if (network.addresses === null)
      throw refuse(attachment.network, "a network of addresses", `${network.name} cannot be joined beside others`);
    if (container.endpoints.some((endpoint) => endpoint.network === network))
      throw refuse(
        attachment.network,
        "a network that the container is not on yet",
        `endpoint with name ${container.name} already exists in network ${network.name}`,
      );
    const random = daemon.random.fork(`endpoint/${container.name}/${network.name}`);
    const address = this.addressOn(network, attachment);
    const ipam = network.ipam!;
    const names = this.dnsNames(network, attachment);
    const endpoint: EndpointRecord = {
      id: hexadecimal(random, 64),
      network,
      device: `eth${this.freeNumber()}`,
      hostDevice: network.rules === null ? null : vethName(random),
      mac: attachment.mac ?? containerMac(daemon.engine, address, random),
      address,
      length: ipam.subnet.length,
      gateway: network.internal && !daemon.engine.internalRoute ? null : ipam.gateway,
      isGateway: false,
      gatewayPriority: attachment.gatewayPriority,
      aliases: attachment.aliases,
      dnsNames: names,
      changes: [],
    };
    container.endpoints.push(endpoint);
    const title = `container ${container.name}: joins network ${network.name}`;
    daemon.step(title, this.cable(endpoint));
  }

  private addressOn(network: NetworkRecord, { address, network: word }: AttachmentSpec): number {
    const { addresses, ipam } = network;
    if (address === null) {
      try {
        return addresses!.next();
      } catch (error) {
        throw refuse(
          word,
          `a network with a free address (${(error as RangeError).message})`,
          "no available IPv4 addresses on this network's address pools",
        );
      }
    }
    if (!ipam!.chosen)
      throw refuse(
        address,
        "an address on a network whose subnet was given",
        network.name === "bridge"
          ? "user specified IP address is supported on user defined networks only"
          : "user specified IP address is supported only when connecting to networks with user configured subnets",
      );
    if (!holds(ipam!.subnet, address.address))
      throw refuse(
        address,
        `an address of network ${network.name}`,
        `no configured subnet contains IP address ${address.text}`,
      );
    if (!addresses!.reserve(address.address))
      throw refuse(address, "an address that is free", "Address already in use");
    return address.address;
  }

  /** Every name by which others on the network find it; none on the default bridge. */
  private dnsNames(network: NetworkRecord, { aliases }: AttachmentSpec): string[] {
    const { name, id, spec } = this.container;
    if (network.name === "bridge") return [];
    const hostname = spec.hostname === null ? [] : [spec.hostname];
    return [...new Set([name, ...aliases, id.slice(0, 12), ...hostname])];
  }

  private freeNumber(): number {
    const used = this.container.endpoints.map(({ device }) => Number(device.slice(3)));
    let number = 0;
    while (used.includes(number)) number++;
    return number;
  }

  /** `advertiseAddrs()`: a device without a MAC address of its own neighbours announces nothing. */
  private announcement({ device, address, network }: EndpointRecord): Operation[] {
    const { namespace } = this.container;
    if (!this.daemon.engine.announces || network.upper?.mode === "l3") return [];
    return [{ kind: "announce", namespace, device, address: formatIpv4(address) }];
  }

  /** A device on the parent. */
  private stack(endpoint: EndpointRecord, upper: UpperKind): Operation[] {
    const { namespace: from } = this.daemon;
    const { namespace } = this.container;
    const { network, device, mac } = endpoint;
    const own = upper.type === "macvlan" ? formatMac(mac.high, mac.low) : null;
    const parent = network.device!;
    return [
      { kind: "upper", namespace, device, mac: own, from, parent, upper },
      ...this.address(endpoint),
      ...this.announcement(endpoint),
    ];
  }

  private cable(endpoint: EndpointRecord): Operation[] {
    const { daemon, container } = this;
    const { network, device } = endpoint;
    if (network.upper !== null) return this.stack(endpoint, network.upper);
    const outside = daemon.namespace;
    const host = endpoint.hostDevice!;
    const mac = formatMac(endpoint.mac.high, endpoint.mac.low);
    const inside = { namespace: container.namespace, device, mac };
    const bridge = network.rules!.bridge;
    const hairpin = !daemon.options.userlandProxy;
    return [
      { kind: "veth", ends: [{ namespace: outside, device: host, mac: null }, inside], mtu: network.mtu },
      { kind: "attach", namespace: outside, bridge, device: host, hairpin },
      { kind: "up", namespace: outside, device: host },
      ...this.address(endpoint),
      ...this.announcement(endpoint),
      ...daemon.program(daemon.firewall.endpoint(network.rules!, formatIpv4(endpoint.address)), endpoint.changes),
      { kind: "forget", namespace: outside, flows: { address: formatIpv4(endpoint.address) } },
    ];
  }

  private address({ device, address, length }: EndpointRecord): Operation[] {
    const { namespace } = this.container;
    return [
      { kind: "address", namespace, device, address: `${formatIpv4(address)}/${length}` },
      { kind: "up", namespace, device },
    ];
  }

  private leave(endpoint: EndpointRecord): void {
    const { daemon, container } = this;
    const { network, hostDevice, device, address } = endpoint;
    const operations = daemon.withdraw(endpoint.changes);
    const end =
      hostDevice === null
        ? { namespace: container.namespace, device }
        : { namespace: daemon.namespace, device: hostDevice };
    operations.push({ kind: "remove-device", ...end });
    operations.push({ kind: "forget", namespace: daemon.namespace, flows: { address: formatIpv4(address) } });
    network.addresses!.release(address);
    daemon.step(`container ${container.name}: leaves network ${network.name}`, operations);
  }

  // The default gateway, and the ports that go with it.

  /** Moves the default route and the published ports to the endpoint that comes first (`Endpoint.Less()`). */
  private chooseGateway(): void {
    const { container } = this;
    const candidates = container.endpoints.filter(({ gateway }) => gateway !== null);
    const [best] = candidates.sort(comesFirst);
    const current = container.endpoints.find(({ isGateway }) => isGateway);
    if (best === current) return;
    if (current !== undefined) this.releaseGateway(current);
    if (best !== undefined) this.takeGateway(best);
  }

  private takeGateway(endpoint: EndpointRecord): void {
    const { daemon, container } = this;
    endpoint.isGateway = true;
    const route = this.defaultRoute(endpoint);
    daemon.step(`container ${container.name}: its default route`, [
      { kind: "route", namespace: container.namespace, route },
    ]);
    this.mapPorts(endpoint);
  }

  private releaseGateway(endpoint: EndpointRecord): void {
    const { daemon, container } = this;
    endpoint.isGateway = false;
    daemon.step(`container ${container.name}: its default route moves`, [
      ...this.unmapPorts(),
      { kind: "remove-route", namespace: container.namespace, route: this.defaultRoute(endpoint) },
    ]);
  }

  private defaultRoute({ gateway, device, network }: EndpointRecord): string {
    if (network.upper?.mode === "l3") return `default dev ${device}`;
    return `default via ${formatIpv4(gateway!)} dev ${device}`;
  }

  private mapPorts(endpoint: EndpointRecord): void {
    const { daemon, container } = this;
    const { network } = endpoint;
    if (network.rules === null || network.internal) return;
    for (const spec of container.wanted) {
      const given = spec.hostAddress === "" ? daemon.options.publishAddress : spec.hostAddress;
      // Until 19.03 one socket without an address of its own took IPv6 as well.
      const everywhere = given === "0.0.0.0" && !isBefore(daemon.engine, 20);
      const routed = network.gatewayMode === "routed";
      const hostPort = routed ? 0 : daemon.ports.allocate(spec, given);
      const { protocol, containerPort } = spec;
      const port = {
        protocol,
        address: formatIpv4(endpoint.address),
        port: containerPort,
        hostAddress: given,
        hostPort,
      };
      const changes: RuleChange[] = [];
      const operations = daemon.program(daemon.firewall.port(network.rules, port), changes);
      const binding: PortBinding = { protocol, hostAddress: given, hostPort, containerPort };
      const proxies =
        routed || !daemon.options.userlandProxy
          ? []
          : this.proxies(binding, endpoint, everywhere && spec.hostAddress === "");
      for (const process of proxies) operations.push({ kind: "start", namespace: daemon.namespace, process });
      if (protocol === "udp")
        operations.push({ kind: "forget", namespace: daemon.namespace, flows: { udpPort: hostPort } });
      const exposed = routed ? null : this.exposed(binding, endpoint);
      if (exposed !== null) operations.push({ kind: "expose", ...exposed });
      daemon.processes.push(...proxies);
      container.mapped.push({ binding, changes, proxies, exposed });
      if (!routed)
        container.ports = [
          ...container.ports,
          binding,
          ...(everywhere && spec.hostAddress === "" ? [{ ...binding, hostAddress: "::" }] : []),
        ];
      daemon.step(
        `container ${container.name}: publishes ${given}:${hostPort} as ${containerPort}/${protocol}`,
        operations,
      );
    }
  }

  /** Docker Desktop: the port of the machine itself, which the virtual machine's is not. */
  private exposed(binding: PortBinding, endpoint: EndpointRecord): ExposedPort | null {
    const { desktop } = this.daemon.host;
    const { protocol, hostAddress, hostPort, containerPort } = binding;
    if (desktop === null || protocol === "sctp" || hostAddress.includes(":")) return null;
    const inside = `${formatIpv4(endpoint.address)}:${containerPort}`;
    return { at: desktop.port, port: `${protocol}:${hostAddress}:${hostPort}:${protocol}:${inside}` };
  }

  /** docker-proxy, once for each address that it listens on. */
  private proxies(binding: PortBinding, endpoint: EndpointRecord, both: boolean): ProcessSpec[] {
    const { daemon } = this;
    const { protocol, hostPort, containerPort } = binding;
    const listens = isBefore(daemon.engine, 28) ? "" : " -use-listen-fd";
    return [binding.hostAddress, ...(both ? ["::"] : [])].map((hostAddress) => {
      const command =
        `${daemon.options.proxyPath} -proto ${protocol} -host-ip ${hostAddress} -host-port ${hostPort} ` +
        `-container-ip ${formatIpv4(endpoint.address)} -container-port ${containerPort}${listens}`;
      const meets = protocol !== "sctp" && !hostAddress.includes(":");
      return {
        pid: daemon.nextPid(),
        parent: DOCKERD_PID,
        command,
        program: meets ? proxyProgram(protocol, binding, endpoint) : null,
      };
    });
  }

  private unmapPorts(): Operation[] {
    const { daemon, container } = this;
    const operations: Operation[] = [];
    for (const { binding, changes, proxies, exposed } of container.mapped.splice(0) as MappedPort[]) {
      operations.push(...daemon.withdraw([...changes]));
      for (const process of proxies) {
        operations.push({ kind: "stop", namespace: daemon.namespace, process });
        daemon.processes.splice(daemon.processes.indexOf(process), 1);
      }
      if (exposed !== null) operations.push({ kind: "unexpose", ...exposed });
      daemon.ports.release(binding.protocol, binding.hostAddress, binding.hostPort);
    }
    container.ports = [];
    return operations;
  }

  // Files.

  private writeFiles(): void {
    const { daemon, container } = this;
    const { spec, namespace, name } = container;
    const { networking } = spec;
    if (networking.kind === "container") {
      const shared = daemon.containerOf(networking.container);
      container.hostsFile = shared.hostsFile;
      container.resolvConf = shared.resolvConf;
      return;
    }
    const embedded = container.endpoints.some(({ network }) => network.name !== "bridge");
    const dns = { ...spec, dns: spec.dns.length > 0 ? spec.dns : daemon.options.dns };
    const host = networking.kind === "host";
    const resolver = containerDns(daemon.engine, daemon.host.resolvConf, dns, embedded);
    container.hostsFile =
      host && spec.extraHosts.length === 0
        ? daemon.host.hostsFile
        : hostsFile(daemon.engine, [...this.extraHosts(), ...this.ownAddresses()]);
    container.resolvConf = host ? daemon.host.resolvConf : resolver.text;
    if (host) return;
    daemon.step(`container ${name}: its files`, [
      { kind: "file", namespace, path: "/etc/hosts", text: container.hostsFile },
      { kind: "file", namespace, path: "/etc/resolv.conf", text: container.resolvConf },
      { kind: "file", namespace, path: "/etc/hostname", text: `${container.hostname}\n` },
      { kind: "environment", namespace, values: container.environment },
    ]);
    if (embedded && container.resolver === null) this.startResolver(resolver);
  }

  private extraHosts(): HostsRecord[] {
    const { daemon, container } = this;
    const gateway = daemon.host.desktop?.hostAddress ?? daemon.networks.get("bridge")!.ipam!.gateway!;
    return container.spec.extraHosts.map(({ host, address }) => ({
      address: address === "host-gateway" ? formatIpv4(gateway) : address,
      names: host,
    }));
  }

  private ownAddresses(): HostsRecord[] {
    const { hostname, endpoints } = this.container;
    const [first] = hostname.split(".");
    const names = first === hostname ? hostname : `${hostname} ${first}`;
    return endpoints.map(({ address }) => ({ address: formatIpv4(address), names }));
  }

  /** dockerd answers on 127.0.0.11 inside the container, at two ports of its own. */
  private startResolver(dns: ContainerDns): void {
    const { daemon, container } = this;
    const { namespace, name } = container;
    const random = daemon.random.fork(`resolver/${name}`);
    const tcp = 32_768 + random.below(28_232);
    const udp = 32_768 + random.below(28_232);
    const upstreams = container.endpoints.some(({ isGateway }) => isGateway) ? dns.upstreams : [];
    const local = upstreams.length > 0 && upstreams.every((server) => server.startsWith("127."));
    const fromHost = !dns.chosen && (daemon.engine.forwardsFromHost || local);
    const asksFrom = fromHost ? daemon.namespace : namespace;
    const servers = upstreams.length === 0 ? "" : `; asks ${upstreams.join(", ")} from ${asksFrom}`;
    const addresses = upstreams.filter((server) => !server.includes(":")).map(parseIpv4);
    const process: ProcessSpec = {
      pid: 0,
      parent: 0,
      command: `dockerd: DNS on ${EMBEDDED_DNS}:${udp}/udp and :${tcp}/tcp${servers}`,
      program: { kind: "resolver", port: udp, tcpPort: tcp, upstreams: addresses, asksFrom },
    };
    container.resolver = { namespace, process };
    daemon.step(`container ${name}: the embedded DNS server`, [
      ...resolverRules(udp, tcp).map((change): Operation => ({ kind: "rules", namespace, change })),
      { kind: "start", namespace, process },
    ]);
  }
}

const proxyProgram = (protocol: "tcp" | "udp", binding: PortBinding, { address }: EndpointRecord): ProcessProgram => ({
  kind: "proxy",
  options: {
    protocol,
    host: { address: parseIpv4(binding.hostAddress), port: binding.hostPort },
    container: { address, port: binding.containerPort },
  },
});

/** `setupIptablesNAT()` of libnetwork's resolver. */
function resolverRules(udp: number, tcp: number): RuleChange[] {
  const append = (chain: string, rule: string): RuleChange => ({ kind: "append", table: "nat", chain, rule });
  const to = `-d ${EMBEDDED_DNS}/32`;
  const from = `-s ${EMBEDDED_DNS}/32`;
  return [
    { kind: "chain", table: "nat", chain: "DOCKER_OUTPUT" },
    { kind: "chain", table: "nat", chain: "DOCKER_POSTROUTING" },
    append("OUTPUT", `${to} -j DOCKER_OUTPUT`),
    append("POSTROUTING", `${to} -j DOCKER_POSTROUTING`),
    append("DOCKER_OUTPUT", `${to} -p tcp -m tcp --dport 53 -j DNAT --to-destination ${EMBEDDED_DNS}:${tcp}`),
    append("DOCKER_POSTROUTING", `${from} -p tcp -m tcp --sport ${tcp} -j SNAT --to-source :53`),
    append("DOCKER_OUTPUT", `${to} -p udp -m udp --dport 53 -j DNAT --to-destination ${EMBEDDED_DNS}:${udp}`),
    append("DOCKER_POSTROUTING", `${from} -p udp -m udp --sport ${udp} -j SNAT --to-source :53`),
  ];
}

/** The first stays first, the others follow by name; Docker's own order of the others is a map's. */
function inOrder(attachments: readonly AttachmentSpec[]): AttachmentSpec[] {
  const [first, ...others] = attachments;
  if (first === undefined) return [];
  return [first, ...others.sort((a, b) => (a.network.text < b.network.text ? -1 : 1))];
}

/** Which network comes first for the default route, and for names (`Endpoint.Less()`). */
export function comesFirst(a: EndpointRecord, b: EndpointRecord): number {
  if (a.gatewayPriority !== b.gatewayPriority) return b.gatewayPriority - a.gatewayPriority;
  if (a.network.internal !== b.network.internal) return a.network.internal ? 1 : -1;
  return a.network.name < b.network.name ? -1 : 1;
}
