import { Sysctls } from "../kernel/sysctl.ts";
import { formatIpv4, formatMac } from "../wire/address.ts";
import type { UpperKind } from "../world/world.ts";
import { type AttachmentSpec, refuse, type Word } from "./command.ts";
import type { Daemon } from "./daemon.ts";
import { containerMac, hexadecimal, vethName } from "./identity.ts";
import { findImage } from "./image.ts";
import { holds } from "./ipam.ts";
import { processOf } from "./model.ts";
import type { Operation } from "./operation.ts";
import { PublishedPorts } from "./published-ports.ts";
import type { ContainerRecord, EndpointRecord, NetworkRecord } from "./record.ts";
import { SandboxFiles } from "./sandbox-files.ts";

/** One container's networking: its namespace, its devices, its ports, its files. */
export class Sandbox {
  private readonly ports: PublishedPorts;
  private readonly files: SandboxFiles;

  constructor(
    private readonly daemon: Daemon,
    private readonly container: ContainerRecord,
  ) {
    this.ports = new PublishedPorts(daemon, container);
    this.files = new SandboxFiles(daemon, container);
  }

  start(): void {
    const { daemon, container } = this;
    if (container.state === "running") return;
    const { namespace, name, spec, state, started, finished } = container;
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
      for (const attachment of inOrder(container.attachments)) this.join(attachment);
      this.chooseGateway();
    } catch (error) {
      this.stop();
      Object.assign(container, { state, started, finished });
      throw error;
    }
    this.files.write();
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
    daemon.step(`container ${container.name}: its ports go`, this.ports.unmap());
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

  /** One that does not run joins when it starts. */
  connect(attachment: AttachmentSpec): void {
    const { container } = this;
    const { kind } = container.spec.networking;
    const { network: word } = attachment;
    const network = this.joinable(word);
    if (kind !== "networks")
      throw refuse(word, "a container with networks of its own", kind === "none" ? PRIVATE : SHARED, 403);
    if (this.isAttached(network))
      throw refuse(
        word,
        "a network that the container is not on yet",
        `endpoint with name ${container.name} already exists in network ${network.name}`,
        403,
      );
    if (container.state === "running") this.join(attachment);
    container.attachments = [...container.attachments, attachment];
    if (container.state !== "running") return;
    this.chooseGateway();
    this.files.write();
  }

  disconnect(network: NetworkRecord, word: Word): void {
    const { container } = this;
    const { endpoints } = container;
    if (!this.isAttached(network))
      throw refuse(
        word,
        "a network that the container is on",
        `container ${container.id} is not connected to network ${network.name}`,
        403,
      );
    container.attachments = container.attachments.filter((each) => !this.names(each, network));
    const at = endpoints.findIndex((endpoint) => endpoint.network === network);
    if (at < 0) return;
    const [endpoint] = endpoints.splice(at, 1);
    if (endpoint!.isGateway) this.releaseGateway(endpoint!);
    this.leave(endpoint!);
    this.chooseGateway();
    this.files.write();
  }

  private joinable(word: Word): NetworkRecord {
    const network = this.daemon.networkOf(word);
    if (network.addresses !== null) return network;
    throw refuse(word, "a network of addresses", `${network.name} cannot be joined beside others`);
  }

  private isAttached(network: NetworkRecord): boolean {
    return this.container.attachments.some((each) => this.names(each, network));
  }

  private names({ network: { text } }: AttachmentSpec, { name, id }: NetworkRecord): boolean {
    return text === name || (text.length >= 4 && id.startsWith(text));
  }

  // Endpoints.

  private join(attachment: AttachmentSpec): void {
    const { daemon, container } = this;
    const network = this.joinable(attachment.network);
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

  private address({ device, address: own, length }: EndpointRecord): Operation[] {
    const { namespace } = this.container;
    const { broadcasts: broadcast } = this.daemon.engine;
    const address = `${formatIpv4(own)}/${length}`;
    return [
      { kind: "address", namespace, device, address, broadcast },
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
    this.ports.map(endpoint);
  }

  private releaseGateway(endpoint: EndpointRecord): void {
    const { daemon, container } = this;
    endpoint.isGateway = false;
    daemon.step(`container ${container.name}: its default route moves`, [
      ...this.ports.unmap(),
      { kind: "remove-route", namespace: container.namespace, route: this.defaultRoute(endpoint) },
    ]);
  }

  private defaultRoute({ gateway, device, network }: EndpointRecord): string {
    if (network.upper?.mode === "l3") return `default dev ${device}`;
    return `default via ${formatIpv4(gateway!)} dev ${device}`;
  }
}

/** `ErrConflictSharedNetwork` and `ErrConflictNoNetwork`. */
const SHARED =
  "container sharing network namespace with another container or host cannot be connected to any other network";
const PRIVATE = "container cannot be connected to multiple networks with one of the networks in private (none) mode";

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
