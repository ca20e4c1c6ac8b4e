import { Bridge } from "../link/bridge.ts";
import type { Device, DeviceWatcher } from "../link/device.ts";
import type { Fabric } from "../link/fabric.ts";
import { Ipvlan } from "../link/ipvlan.ts";
import { Loopback } from "../link/loopback.ts";
import { scrub } from "../link/scrub.ts";
import { FRAME, NETWORK, type Packet } from "../packet/packet.ts";
import type { Random } from "../sim/random.ts";
import type { DropReason } from "../trace/reason.ts";
import type { CallListener } from "../trace/socket-call.ts";
import { type SocketChange, STEP, WORDS, wordNumber } from "../trace/step.ts";
import { maskOf } from "../wire/address.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as icmp from "../wire/icmp.ts";
import * as ipv4 from "../wire/ipv4.ts";
import { arpReceive, arpSolicit } from "./arp.ts";
import { BridgeNetfilter } from "./bridge-netfilter.ts";
import { attach } from "./conntrack/attach.ts";
import { Tracker } from "./conntrack/tracker.ts";
import { Fib, Route, type RouteType, TABLE_LOCAL } from "./fib.ts";
import { cut } from "./fragment.ts";
import { IcmpLimits, sendError } from "./icmp.ts";
import { InDevice, InterfaceAddress, type Scope, selectAddress } from "./in-device.ts";
import { ipReceive } from "./ip-input.ts";
import { compileOptions, fillOptions } from "./ip-options.ts";
import { localOut, outDevice, output } from "./ip-output.ts";
import { Nat } from "./nat/nat.ts";
import type { Neighbour } from "./neighbour.ts";
import type { IpSet } from "./netfilter/ipset.ts";
import { Netfilter } from "./netfilter/netfilter.ts";
import { sendRejectReset } from "./netfilter/reject-reset.ts";
import type { Hook } from "./netfilter/rule.ts";
import { Paths } from "./paths.ts";
import type {
  Datagram,
  Destination,
  Errno,
  IcmpError,
  NetworkStack,
  OutputPath,
  RawTap,
  SeenSocket,
  Sender,
  TcpName,
  TcpSettings,
  Transport,
} from "./protocol.ts";
import { type DefragUser, Reassembly } from "./reassembly.ts";
import { routeInput, routeOutput } from "./route.ts";
import { KERNEL_SOCKET, RAW_SOCKET } from "./socket-owner.ts";
import { Sysctls } from "./sysctl.ts";
import { answerReset } from "./tcp-reset.ts";

export type AddressType =
  | "UNSPEC"
  | "UNICAST"
  | "LOCAL"
  | "BROADCAST"
  | "ANYCAST"
  | "MULTICAST"
  | "BLACKHOLE"
  | "UNREACHABLE"
  | "PROHIBIT";

const ADDRESS_TYPES: Partial<Record<RouteType, AddressType>> = {
  local: "LOCAL",
  broadcast: "BROADCAST",
  multicast: "MULTICAST",
  blackhole: "BLACKHOLE",
  unreachable: "UNREACHABLE",
  prohibit: "PROHIBIT",
};

/** `sk->sk_sndbuf` of the kernel's ICMP socket: two messages of 64 KB. */
const ICMP_SEND_BUFFER = 132_224;
const ROUTE_TYPES: readonly string[] = WORDS.routeType;

/** One network namespace (`struct net`): devices, addresses, routes, neighbours, rules, flows. */
export class Namespace implements NetworkStack, DeviceWatcher {
  readonly place: number;
  readonly random: Random;
  readonly sysctls = new Sysctls();
  /** By device index. */
  readonly inDevices = new Map<number, InDevice>();
  /** Own addresses and the device each is on. */
  readonly addresses = new Map<number, InDevice>();
  readonly fib = new Fib();
  readonly tracker: Tracker;
  readonly nat: Nat;
  readonly netfilter: Netfilter;
  readonly reassembly: Reassembly;
  readonly icmpLimits: IcmpLimits;
  icmpBusy = false;
  /** Bytes (`skb->truesize`) of its own ICMP messages that wait for a neighbour (`sk->sk_wmem_alloc`). */
  icmpHeld = 0;
  /** Programs that write IPv4 headers of their own, each with a socket of protocol 255. */
  rawSockets = 0;
  raw: RawTap | null = null;
  /** What the sender of a packet that a hook keeps is told (`NF_DROP_ERR()`); null when it was only taken aside. */
  dropError: Errno | null = "EPERM";
  sets = new Map<string, IpSet>();
  /** What rules share by name (`Match.shares`). */
  readonly ruleState = new Map<string, object>();
  /** A copy made by TEE is under way, and is not copied again. */
  private duplicating = false;
  readonly loopback: InDevice;
  private readonly byName = new Map<string, Device>();
  private readonly transports = new Map<number, Transport>();
  readonly paths = new Paths(this);
  private readonly bridgeNetfilter = new BridgeNetfilter(this);
  private identification: number;
  private lastIfindex = 0;

  constructor(
    readonly fabric: Fabric,
    readonly name: string,
  ) {
    this.place = fabric.names.add({ kind: "namespace", namespace: name });
    this.random = fabric.random.fork(`namespace/${name}`);
    this.identification = this.random.below(65_536);
    this.tracker = new Tracker(this);
    this.nat = new Nat(this);
    this.netfilter = new Netfilter(this);
    this.reassembly = new Reassembly(this);
    this.icmpLimits = new IcmpLimits(this);
    this.sysctls.onChange = () => this.refresh();
    this.loopback = this.addDevice(new Loopback(fabric, name));
    this.loopback.device.setUp(true);
    this.addAddress(this.loopback, 0x7f000001, 8, "host", 0);
  }

  private refresh(): void {
    for (const device of this.inDevices.values()) device.refresh();
  }

  // Devices and addresses.

  /** The device's frames arrive here unless a bridge takes them first. */
  addDevice(device: Device): InDevice {
    device.ifindex ||= this.nextIfindex();
    const inDevice = new InDevice(this, device);
    this.inDevices.set(device.index, inDevice);
    this.byName.set(device.name, device);
    this.sysctls.addDevice(device.name);
    inDevice.refresh();
    device.host = inDevice;
    device.receiver ??= inDevice;
    device.watchers.push(this);
    if (device instanceof Bridge) device.filter = this.bridgeNetfilter;
    if (device instanceof Ipvlan) device.owns = (address) => inDevice.addresses.some((own) => own.address === address);
    return inDevice;
  }

  /** `dev_new_index()`. */
  private nextIfindex(): number {
    const taken = new Set([...this.inDevices.values()].map(({ device }) => device.ifindex));
    do this.lastIfindex++;
    while (taken.has(this.lastIfindex));
    return this.lastIfindex;
  }

  /** `unregister_netdevice()`: it goes down, and with it its addresses and routes. */
  removeDevice(device: Device): void {
    const inDevice = this.inDevices.get(device.index);
    if (inDevice === undefined) return;
    device.setUp(false);
    for (const { address } of inDevice.addresses) this.addresses.delete(address);
    this.fib.remove((route) => route.device === inDevice);
    device.watchers.splice(device.watchers.indexOf(this), 1);
    this.inDevices.delete(device.index);
    this.byName.delete(device.name);
  }

  device(name: string): Device | null {
    return this.byName.get(name) ?? null;
  }

  deviceByIndex(index: number): Device | null {
    return this.inDevices.get(index)?.device ?? null;
  }

  inDevice(name: string): InDevice | null {
    const device = this.byName.get(name);
    return device === undefined ? null : this.inDevices.get(device.index)!;
  }

  /** `ip addr add`: the address, and the routes that come with it while the device is up. */
  addAddress(
    device: InDevice,
    address: number,
    length: number,
    scope: Scope = "global",
    broadcast = length < 31 ? address | ~maskOf(length) : 0,
  ): void {
    const added = new InterfaceAddress(address, length, scope, broadcast);
    const primary = device.addresses.find((other) => other.length === length && other.contains(address)) ?? added;
    added.secondary = primary !== added;
    device.insert(added);
    this.sysctls.settle(device.device.name);
    this.addresses.set(address, device);
    this.fib.add(
      new Route({
        type: "local",
        destination: address,
        length: 32,
        device,
        source: primary.address,
        table: TABLE_LOCAL,
        protocol: "kernel",
      }),
    );
    if (device.device.up) this.connect(device, added);
  }

  /** `fib_add_ifaddr()`: the subnet and its broadcast address. */
  private connect(device: InDevice, { address, length, secondary }: InterfaceAddress): void {
    const source = address;
    const prefix = address & maskOf(length);
    if (length === 32 || secondary) return;
    const table = device.isLoopback ? TABLE_LOCAL : undefined;
    const type = device.isLoopback ? "local" : "unicast";
    this.fib.add(
      new Route({
        type,
        destination: prefix,
        length,
        device,
        source,
        protocol: "kernel",
        ...(table === undefined ? {} : { table }),
      }),
    );
    if (length >= 31) return;
    const broadcast = prefix | ~maskOf(length);
    this.fib.add(
      new Route({
        type: "broadcast",
        destination: broadcast,
        length: 32,
        device,
        source,
        table: TABLE_LOCAL,
        scope: "link",
        protocol: "kernel",
      }),
    );
  }

  /** `fib_netdev_event()`, `arp_ifdown()`, `masq_device_event()`. */
  deviceChanged(device: Device): void {
    const inDevice = this.inDevices.get(device.index);
    if (inDevice === undefined) return;
    if (device.up && !device.carrier) this.forgetNeighbours(inDevice, (neighbour) => neighbour.state !== "PERMANENT");
    if (device.up) {
      for (const address of inDevice.addresses) this.connect(inDevice, address);
      return;
    }
    this.fib.remove((route) => route.device === inDevice && route.type !== "local");
    this.forgetNeighbours(inDevice, () => true);
    this.nat.deviceGone(device);
  }

  /** `neigh_flush_dev()`. */
  forgetNeighbours(device: InDevice, gone: (neighbour: Neighbour) => boolean): void {
    for (const [address, neighbour] of device.neighbours) {
      if (!gone(neighbour)) continue;
      neighbour.forget();
      device.neighbours.delete(address);
    }
  }

  /** `inet_addr_type()`: what this address is to us; with a device, to that device alone. */
  addressType(address: number, device: Device | null): AddressType {
    if (address === 0 || address === -1) return "BROADCAST";
    if (address >>> 28 === 14) return "MULTICAST";
    const route = this.fib.lookupLocal(address);
    if (route === null || (device !== null && route.device?.device !== device)) return "UNICAST";
    return ADDRESS_TYPES[route.type] ?? "UNICAST";
  }

  /** `inet_can_nonlocal_bind()`, `inet_addr_valid_or_nonlocal()`: own, broadcast and multicast addresses. */
  mayBind(address: number, transparent: boolean): "own" | "group" | null {
    const type = this.addressType(address, null);
    if (type === "BROADCAST" || type === "MULTICAST") return "group";
    const foreign = transparent || this.sysctls.get("net.ipv4.ip_nonlocal_bind") !== 0;
    return type === "LOCAL" || foreign ? "own" : null;
  }

  /** Of our own over lo it is the device that has the address (`rt_iif`). */
  deviceForSockets(packet: Packet): number {
    const route = packet.route as Route;
    const own = packet.device === this.loopback.device.index && route.type === "local" && route.device !== null;
    return own ? route.device!.device.index : packet.device;
  }

  isForGroup(packet: Packet): boolean {
    return !(packet.route as Route).local;
  }

  isLocal(address: number): boolean {
    return this.addressType(address, null) === "LOCAL";
  }

  /** `__ip_dev_find()`: where an address of our own is; null for an address of somebody else. */
  owner(address: number): InDevice | null {
    const device = this.addresses.get(address);
    if (device !== undefined) return device;
    const route = this.fib.lookupLocal(address);
    return route?.type === "local" ? route.device : null;
  }

  /** The first address of a device; 0 for none. */
  primaryAddress(device: Device): number {
    return this.inDevices.get(device.index)?.addresses[0]?.address ?? 0;
  }

  /** What MASQUERADE takes: the address that `out` shows to the next hop. */
  masqueradeAddress(packet: Packet, out: Device): number {
    const device = this.inDevices.get(out.index);
    if (device === undefined) return 0;
    const nextHop = packet.gateway || ipv4.destination(packet.view, NETWORK);
    return selectAddress(this, device, nextHop, "global");
  }

  // Frames in.

  /** `__netif_receive_skb_core()`: hands a frame to its protocol. Takes ownership. */
  ingress(packet: Packet, device: InDevice): void {
    if (packet.vlan !== 0) {
      // No VLAN device takes it: it is for nobody here, but for the priority tag of VLAN 0.
      if ((packet.vlan & 0xfff) !== 0) packet.type = "otherhost";
      packet.vlan = 0;
    }
    const type = packet.end < NETWORK ? 0 : ethernet.etherType(packet.view, FRAME);
    if (type === ethernet.ETHERTYPE_IPV4) ipReceive(packet, device);
    else if (type === ethernet.ETHERTYPE_ARP) arpReceive(packet, device);
    else {
      device.device.counters.rxDropped++;
      this.fabric.drop(packet, device.device.place, "UNHANDLED_PROTO");
    }
  }

  /** Records what a packet made here looks like; `from` is FRAME with an Ethernet header, NETWORK before it has one. */
  born(packet: Packet, place: number, from: number): void {
    const { trace } = this.fabric;
    if (trace === null) return;
    trace.step(STEP.born, packet.id, place, 1, packet.parent);
    if (from === FRAME && ethernet.etherType(packet.view, FRAME) === ethernet.ETHERTYPE_ARP)
      trace.headers(packet.id, place, packet.view, FRAME, packet.end);
    else trace.ipv4(packet.id, place, packet.view, NETWORK, packet.end);
  }

  arpSolicit(neighbour: Neighbour, source: number, unicast: boolean, parent: number): void {
    arpSolicit(neighbour, source, unicast, parent);
  }

  // Packets out.

  get tcp(): TcpSettings {
    const { sysctls } = this;
    return {
      timestamps: sysctls.get("net.ipv4.tcp_timestamps") !== 0,
      sack: sysctls.get("net.ipv4.tcp_sack") !== 0,
      windowScaling: sysctls.get("net.ipv4.tcp_window_scaling") !== 0,
      congestion: sysctls.congestion,
      receiveBuffer: sysctls.tcpReceive[1]!,
      receiveBufferMax: sysctls.tcpReceive[2]!,
      sendBufferMax: sysctls.tcpSend[2]!,
      synRetries: sysctls.get("net.ipv4.tcp_syn_retries"),
      synLinearTimeouts: sysctls.get("net.ipv4.tcp_syn_linear_timeouts"),
      synAckRetries: sysctls.get("net.ipv4.tcp_synack_retries"),
      retries: sysctls.get("net.ipv4.tcp_retries2"),
      finTimeout: sysctls.get("net.ipv4.tcp_fin_timeout") * 1e9,
      synCookies: sysctls.get("net.ipv4.tcp_syncookies"),
      abortOnOverflow: sysctls.get("net.ipv4.tcp_abort_on_overflow") !== 0,
      maxBacklog: sysctls.get("net.core.somaxconn"),
      keepAlive: {
        idle: sysctls.get("net.ipv4.tcp_keepalive_time") * 1e9,
        interval: sysctls.get("net.ipv4.tcp_keepalive_intvl") * 1e9,
        probes: sysctls.get("net.ipv4.tcp_keepalive_probes"),
      },
    };
  }

  get onCall(): CallListener | null {
    return this.fabric.onCall;
  }

  get mtuDiscovery(): 0 | 1 {
    return this.sysctls.get("net.ipv4.ip_no_pmtu_disc") === 0 ? 1 : 0;
  }

  get localPorts(): readonly [number, number] {
    return this.sysctls.localPorts;
  }

  path(destination: Destination): OutputPath {
    const found = routeOutput(this, destination);
    if (found.error !== null) return { error: found.error, source: 0, mtu: 0, linkMtu: 0, broadcast: false };
    const { route, source } = found;
    const device = outDevice(this, route);
    const mtu = this.paths.mtu(destination.destination, route, device);
    return { error: null, source, mtu, linkMtu: device.device.mtu, broadcast: route.type === "broadcast" };
  }

  send(datagram: Datagram): Errno | null {
    const found = routeOutput(this, datagram);
    if (found.error !== null) return found.error;
    const { route, source, gateway } = found;
    const { options } = datagram;
    const header = ipv4.IPV4_HEADER + (options?.bytes.length ?? 0);
    const length = header + datagram.length;
    const packet = this.fabric.generate(ethernet.ETHERNET_HEADER + length, datagram.parent);
    const { view } = packet;
    packet.mark = datagram.mark;
    packet.route = route;
    packet.gateway = gateway;
    packet.socket = datagram.socket ?? KERNEL_SOCKET;
    packet.ignoreDf = datagram.ignoreDf === true;
    packet.segmentSize = datagram.segmentSize ?? 0;
    const out = outDevice(this, route);
    const mtu = this.paths.outputMtu(packet, out);
    if (length > mtu && packet.segmentSize === 0) packet.fragments = cut(header, datagram.length, mtu);
    // __ip_append_data(): of the devices here only lo computes checksums itself (NETIF_F_HW_CSUM).
    packet.partialChecksum =
      datagram.partialChecksum === true || (datagram.protocol === ipv4.PROTOCOL_UDP && out.isLoopback && length <= mtu);
    const keeps =
      datagram.dontFragment && !(datagram.unlessLocked === true && this.paths.isLocked(datagram.destination || source));
    if (datagram.relatesTo) attach(packet, datagram.relatesTo);
    ethernet.setEtherType(view, FRAME, ethernet.ETHERTYPE_IPV4);
    ipv4.write(view, NETWORK, {
      source,
      destination: datagram.destination || source,
      protocol: datagram.protocol,
      length,
      ttl: route.type === "multicast" ? 1 : datagram.ttl || this.sysctls.get("net.ipv4.ip_default_ttl"),
      tos: datagram.tos,
      identification: datagram.withoutId === true ? 0 : (datagram.identification ?? this.nextIdentification()),
      fragment: keeps ? ipv4.DONT_FRAGMENT : 0,
    });
    if (options !== undefined && header > ipv4.IPV4_HEADER) fillOptions(packet, this, options, source);
    datagram.write(packet, NETWORK + header, source);
    return this.launch(packet);
  }

  /**
   * `ipvlan_process_v4_outbound()`: an IPv4 packet of an ipvlan device of mode l3, routed and sent as if it were of this
   * namespace. Takes ownership.
   */
  sendFor(packet: Packet): void {
    const { view } = packet;
    scrub(packet, true);
    const found = routeOutput(this, {
      destination: ipv4.destination(view, NETWORK),
      source: ipv4.source(view, NETWORK),
      tos: ipv4.tos(view, NETWORK),
      mark: 0,
      device: 0,
      anySource: true,
    });
    if (found.error !== null || !["unicast", "local"].includes(found.route.type)) {
      this.fabric.drop(packet, this.place, "IP_OUTNOROUTES");
      return;
    }
    packet.route = found.route;
    packet.gateway = found.gateway;
    packet.type = "outgoing";
    localOut(packet, this);
  }

  /** `icmp_xmit_lock()`: while the kernel sends a message of its own, the output path cannot make it send another. */
  sendIcmp(datagram: Datagram): void {
    if (this.icmpHeld >= ICMP_SEND_BUFFER) return;
    const { scheduler } = this.fabric;
    scheduler.disable();
    this.icmpBusy = true;
    this.send(datagram);
    this.icmpBusy = false;
    scheduler.enable();
  }

  /** `raw_send_hdrinc()`: a packet that brings its own IPv4 header. Zero source, length and id are filled in. */
  sendRaw(bytes: Uint8Array, destination: number, mark: number, broadcast = false): Errno | null {
    const found = routeOutput(this, { destination, source: 0, tos: 0, mark, device: 0 });
    if (found.error !== null) return found.error;
    if (bytes.length < ipv4.IPV4_HEADER) return "EINVAL";
    if (found.route.type === "broadcast" && !broadcast) return "EACCES";
    if (bytes.length > outDevice(this, found.route).device.mtu) return "EMSGSIZE";
    if ((bytes[0]! & 15) << 2 > bytes.length) return "EINVAL";
    const packet = this.fabric.generate(ethernet.ETHERNET_HEADER + bytes.length, 0);
    packet.bytes.set(bytes, NETWORK);
    packet.socket = RAW_SOCKET;
    packet.mark = mark;
    packet.route = found.route;
    packet.gateway = found.gateway;
    const { view } = packet;
    ethernet.setEtherType(view, FRAME, ethernet.ETHERTYPE_IPV4);
    if (ipv4.source(view, NETWORK) === 0) view.setInt32(NETWORK + 12, found.source);
    view.setUint16(NETWORK + 2, bytes.length);
    if (ipv4.identification(view, NETWORK) === 0) view.setUint16(NETWORK + 4, this.nextIdentification());
    if (ipv4.headerLength(view, NETWORK) >= ipv4.IPV4_HEADER) ipv4.setChecksum(view, NETWORK);
    this.rawSockets++;
    const error = this.launch(packet);
    this.rawSockets--;
    return error === "ENOBUFS" ? null : error;
  }

  /** `ip_local_out()` of a packet that is complete and routed. Takes ownership. */
  launch(packet: Packet): Errno | null {
    this.born(packet, this.place, NETWORK);
    if (this.fabric.trace !== null) this.tellRoute(packet);
    return localOut(packet, this);
  }

  private tellRoute(packet: Packet): void {
    const route = packet.route as Route;
    this.fabric.trace!.step(
      STEP.route,
      packet.id,
      this.place,
      ROUTE_TYPES.indexOf(route.type) | (route.length << 8),
      packet.gateway,
      outDevice(this, route).device.place,
      route.table,
      ipv4.source(packet.view, NETWORK),
    );
  }

  private nextIdentification(): number {
    this.identification = (this.identification + 1) & 0xffff;
    return this.identification || this.nextIdentification();
  }

  /** `ip_route_me_harder()`: routes a packet of our own again after a hook changed it. False leaves `dropError` behind. */
  rerouteOutput(packet: Packet): boolean {
    const { view } = packet;
    const source = ipv4.source(view, NETWORK);
    const type = this.addressType(source, null);
    const found = routeOutput(this, {
      destination: ipv4.destination(view, NETWORK),
      source: type === "LOCAL" || type === "UNICAST" ? source : 0,
      tos: ipv4.tos(view, NETWORK),
      mark: packet.mark,
      device: (packet.socket as Partial<Sender> | null)?.device ?? 0,
      anySource: true,
    });
    if (found.error !== null) {
      this.dropError = found.error;
      return false;
    }
    packet.route = found.route;
    packet.gateway = found.gateway;
    if (this.fabric.trace !== null) this.tellRoute(packet);
    return true;
  }

  /** `nf_dup_ipv4()`: a copy for TEE goes out to `gateway` by the device with index `device`, 0 for any. Borrows. */
  duplicate(packet: Packet, hook: Hook, gateway: number, device: number): void {
    if (this.duplicating) return;
    const tos = ipv4.tos(packet.view, NETWORK);
    const found = routeOutput(this, { destination: gateway, source: 0, tos, mark: 0, device });
    if (found.error !== null) return;
    const copy = this.fabric.clone(packet, this.place);
    const { view } = copy;
    copy.connection = null;
    copy.connectionState = "UNTRACKED";
    copy.attached = false;
    copy.route = found.route;
    copy.gateway = found.gateway || gateway;
    copy.bridgeIn = 0;
    copy.bridgeOut = 0;
    // It is still a bridged frame to ip_sabotage_in(), should it come back over lo.
    copy.bridgePrerouted = packet.bridgePrerouted && hook !== "prerouting";
    copy.shown = null;
    view.setUint16(NETWORK + 6, ipv4.fragmentWord(view, NETWORK) | ipv4.DONT_FRAGMENT);
    if (hook === "prerouting" || hook === "input") view.setUint8(NETWORK + 8, (ipv4.ttl(view, NETWORK) - 1) & 0xff);
    ipv4.setChecksum(view, NETWORK);
    this.fabric.scheduler.disable();
    this.duplicating = true;
    const { device: out } = outDevice(this, found.route);
    // Linux takes the device it leaves by for the one it came in on.
    if (this.netfilter.output.run(copy, null, out)) output(copy, this, out);
    this.duplicating = false;
    this.fabric.scheduler.enable();
  }

  // Errors.

  sendIcmpError(packet: Packet, type: number, code: number, information: number): void {
    sendError(this, packet, type, code, information);
  }

  noteError(packet: Packet, quoted: number, error: IcmpError): void {
    this.paths.note(packet, quoted, error);
  }

  /** `ipv4_link_failure()`. Borrows. */
  linkFailure(packet: Packet): void {
    const plain = ipv4.headerLength(packet.view, NETWORK) === ipv4.IPV4_HEADER;
    if (!plain && compileOptions(packet, this) !== null) return;
    sendError(this, packet, icmp.UNREACHABLE, icmp.HOST_UNREACHABLE, 0);
  }

  /** `ip_expire()`: time exceeded in reassembly, for a datagram of ours. Borrows the first fragment. */
  fragmentTimeout(packet: Packet, device: InDevice, user: DefragUser): void {
    if (packet.route === null && routeInput(packet, device) !== null) return;
    const route = packet.route as Route | null;
    if (user !== "local" && route?.type !== "local") return;
    sendError(this, packet, icmp.TIME_EXCEEDED, 1, 0);
  }

  /** The RST of REJECT. Borrows. */
  sendTcpReset(packet: Packet, _hook: Hook): void {
    sendRejectReset(this, packet);
  }

  // Transports.

  register(protocol: number, transport: Transport): void {
    this.transports.set(protocol, transport);
  }

  transport(protocol: number): Transport | null {
    return this.transports.get(protocol) ?? null;
  }

  /** An echo reply, for the ICMP sockets. Takes ownership. */
  echoReply(packet: Packet, at: number): void {
    const sockets = this.transport(ipv4.PROTOCOL_ICMP);
    if (sockets === null) this.drop(packet, "NO_SOCKET");
    else sockets.receive(packet, at);
  }

  tellSocket(change: SocketChange, socket: TcpName, packet: number, error: Errno | null): void {
    const { trace, names } = this.fabric;
    if (trace === null) return;
    const { name, remoteAddress, remotePort } = socket;
    const word = wordNumber("socketChange", change);
    trace.step(
      STEP.socket,
      packet,
      this.place,
      word,
      names.text(name),
      remoteAddress,
      remotePort,
      names.text(error ?? ""),
    );
  }

  resetTcp(packet: Packet, at: number, socket: SeenSocket | null): void {
    answerReset(this, packet, at, socket);
  }

  portUnreachable(packet: Packet): void {
    this.sendIcmpError(packet, icmp.UNREACHABLE, icmp.PORT_UNREACHABLE, 0);
  }

  drop(packet: Packet, reason: DropReason): void {
    this.fabric.drop(packet, this.place, reason);
  }

  deliver(packet: Packet, to: string): void {
    this.fabric.deliver(packet, this.place, to);
  }
}
