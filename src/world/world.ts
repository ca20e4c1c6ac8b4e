import type { InDevice } from "../kernel/in-device.ts";
import { Namespace } from "../kernel/namespace.ts";
import { Bridge, BridgePort } from "../link/bridge.ts";
import type { Device, DeviceOptions } from "../link/device.ts";
import { Dummy } from "../link/dummy.ts";
import { Fabric } from "../link/fabric.ts";
import { FallbackTunnel, type TunnelKind } from "../link/fallback-tunnel.ts";
import { Impairment, type ImpairmentOptions } from "../link/impairment.ts";
import { Ipvlan, type IpvlanMode, IpvlanPort } from "../link/ipvlan.ts";
import { Macvlan, type MacvlanMode, MacvlanPort } from "../link/macvlan.ts";
import { Upper, UpperPort } from "../link/upper.ts";
import { Veth } from "../link/veth.ts";
import { Packet } from "../packet/packet.ts";
import { lookUpHosts, parseResolvConf } from "../program/resolv-conf.ts";
import type { RunEnd } from "../sim/scheduler.ts";
import { PingSockets } from "../socket/ping.ts";
import { RawSockets } from "../socket/raw.ts";
import { TcpSockets } from "../socket/tcp.ts";
import { UdpSockets } from "../socket/udp.ts";
import { UnixSockets } from "../socket/unix.ts";
import { STEP, wordNumber } from "../trace/step.ts";
import type { DnsOptions } from "../translator/dns-forwarder.ts";
import { type Allowance, GuardedHost } from "../translator/guarded-host.ts";
import type { HostSockets } from "../translator/host-sockets.ts";
import { SimulatedHost } from "../translator/simulated-host.ts";
import { Translator, type TranslatorOptions } from "../translator/translator.ts";
import type { Mac } from "../wire/address.ts";
import { DNS_PORT } from "../wire/dns.ts";
import { type PidCounter, ProcessTable } from "./process-table.ts";

/** One end of a cable. Absent values are chosen: the address from the seed, 1500 bytes of MTU. */
export interface EndOptions {
  readonly namespace: string;
  readonly device: string;
  readonly mac?: Mac | undefined;
  readonly mtu?: number | undefined;
  readonly ifindex?: number | undefined;
  readonly queueLength?: number | undefined;
}

/** What stands on another device. */
export type UpperKind =
  | { readonly type: "macvlan"; readonly mode: MacvlanMode }
  | { readonly type: "ipvlan"; readonly mode: IpvlanMode };

/** All ipvlan devices on one lower device have one mode. */
const fits = (port: UpperPort, { type, mode }: UpperKind): boolean =>
  type === "macvlan" ? port instanceof MacvlanPort : port instanceof IpvlanPort && port.mode === mode;

/** A namespace with the sockets that its programs use. */
export interface Host {
  readonly net: Namespace;
  readonly udp: UdpSockets;
  readonly tcp: TcpSockets;
  readonly ping: PingSockets;
  readonly raw: RawSockets;
  /** By path; hosts that share a file system share it. */
  readonly unix: UnixSockets;
  /** Environment variables of its programs. */
  readonly env: Record<string, string>;
  /** Files that its programs read, by their path. */
  readonly files: Map<string, string>;
  /** What its programs have said, as a container's log has it; `time` in virtual nanoseconds. */
  readonly log: { readonly time: number; readonly text: string }[];
  /** The programs that run there. */
  readonly processes: ProcessTable;
}

/** Which tool a translator behaves like, where, and on which namespace. */
export interface TranslatorPlan extends Omit<TranslatorOptions, "name" | "host"> {
  readonly host: string;
  /** Sockets in place of that namespace's. */
  readonly sockets?: HostSockets;
  /** Where guests may go besides the host's loopback; without it, everywhere. */
  readonly allow?: readonly Allowance[];
  /** Told where they may not, besides the trace. */
  readonly refused?: (reason: string) => void;
}

/** Hosts, namespaces and the cables between them: one simulation, deterministic in its seed. */
export class World {
  readonly fabric: Fabric;
  readonly hosts = new Map<string, Host>();
  readonly translators = new Map<string, Translator>();
  /** Docker's processes have their numbers below. */
  readonly pids: PidCounter = { last: 3000 };
  private readonly devices = new Map<number, Device>();

  constructor(seed = 1) {
    this.fabric = new Fabric(seed);
  }

  /** @throws {RangeError} when the name is taken. */
  addNamespace(name: string): Host {
    if (this.hosts.has(name) || this.translators.has(name)) throw new RangeError(`namespace ${name} exists`);
    const net = new Namespace(this.fabric, name);
    const { fabric } = this;
    const { scheduler } = fabric;
    const unix = new UnixSockets(scheduler);
    unix.trace = (call, side, path, bytes, line) =>
      fabric.trace?.step(
        STEP.unix,
        0,
        net.place,
        wordNumber("unixCall", call),
        wordNumber("unixSide", side),
        fabric.names.text(path),
        bytes,
        fabric.names.text(line),
      );
    const host = {
      net,
      udp: new UdpSockets(net, net.random.fork("udp")),
      tcp: new TcpSockets(net, scheduler, net.random.fork("tcp")),
      ping: new PingSockets(net),
      raw: new RawSockets(net),
      unix,
      env: {},
      files: new Map(),
      log: [],
      processes: new ProcessTable(this.pids, scheduler),
    };
    this.hosts.set(name, host);
    this.devices.set(net.loopback.device.index, net.loopback.device);
    return host;
  }

  /**
   * A translator that runs in a namespace; guests are plugged in by {@link addCable}.
   * @throws {RangeError} when the name is taken or the host does not exist.
   */
  addTranslator(name: string, { host, sockets, allow, refused, ...options }: TranslatorPlan): Translator {
    if (this.hosts.has(name) || this.translators.has(name)) throw new RangeError(`namespace ${name} exists`);
    const runsOn = this.host(host);
    const { fabric } = this;
    const outside = sockets ?? new SimulatedHost(fabric, runsOn);
    const tell = (reason: string, cause: number) => {
      fabric.trace?.step(STEP.translator, cause, translator.place, fabric.names.text(reason));
      refused?.(reason);
    };
    const guarded = allow === undefined ? outside : new GuardedHost(outside, allow, tell);
    const translator = new Translator(fabric, { dns: dnsOf(runsOn), ...options, name, host: guarded });
    this.translators.set(name, translator);
    return translator;
  }

  /** @throws {RangeError} for a namespace that does not exist. */
  host(name: string): Host {
    const host = this.hosts.get(name);
    if (host === undefined) throw new RangeError(`no namespace ${name}`);
    return host;
  }

  /** A bridge, down. Without `mac` it takes the lowest of its ports. */
  addBridge(end: EndOptions, ageingNanoseconds?: number): Bridge {
    const options = this.deviceOptions(end);
    return this.adopt(new Bridge(this.fabric, options, end.mac !== undefined, ageingNanoseconds));
  }

  addDummy(end: EndOptions): Dummy {
    return this.adopt(new Dummy(this.fabric, this.deviceOptions(end)));
  }

  addTunnel(end: EndOptions, kind: TunnelKind): FallbackTunnel {
    return this.adopt(new FallbackTunnel(this.fabric, this.deviceOptions(end), kind));
  }

  /** A macvlan or ipvlan device on one that exists, down. @throws {RangeError} where the lower device has others on it. */
  addUpper(end: EndOptions, { namespace, device }: EndOptions, kind: UpperKind): Macvlan | Ipvlan {
    const lower = this.device(namespace, device);
    const { receiver } = lower;
    const options = this.deviceOptions(end);
    if (receiver instanceof BridgePort || (receiver instanceof UpperPort && !fits(receiver, kind)))
      throw new RangeError(`${device} is busy: it has other devices on it`);
    if (kind.type === "macvlan") {
      const port = receiver instanceof MacvlanPort ? receiver : new MacvlanPort(lower);
      return this.adopt(new Macvlan(port, options, kind.mode));
    }
    const { net } = this.host(namespace);
    const route = (packet: Packet) => net.sendFor(packet);
    const port = receiver instanceof IpvlanPort ? receiver : new IpvlanPort(lower, kind.mode, route);
    return this.adopt(new Ipvlan(port, options));
  }

  /**
   * A veth pair, both ends down; one that ends at a translator plugs a guest in, and that end is up.
   * @throws {RangeError} when the translator has no address for another guest.
   */
  addCable(a: EndOptions, b: EndOptions): [Veth, Veth] {
    const [left, right] = Veth.pair(this.fabric, this.deviceOptions(a), this.deviceOptions(b));
    const cable: [Veth, Veth] = [this.adopt(left), this.adopt(right)];
    for (const [port, device] of [cable, [right, left] as const]) this.introduce(port, device);
    return cable;
  }

  /** What a translator knows of the machine at the other end: its card, and the forwarder that it starts there. */
  private introduce(port: Device, device: Device): void {
    const guest = this.translators.get(port.namespace)?.guests.find((one) => one.device === port);
    const host = this.hosts.get(device.namespace);
    if (guest === undefined || host === undefined) return;
    guest.macHigh = device.macHigh;
    guest.macLow = device.macLow;
    guest.forwarder = new SimulatedHost(this.fabric, host);
  }

  /** `ip link del`: a veth goes with its other end, a port leaves its bridge. @throws {RangeError} for none such. */
  removeDevice(namespace: string, name: string): void {
    const device = this.device(namespace, name);
    const ends = device instanceof Veth ? [device, device.peer] : [device];
    for (const end of ends) {
      if (end instanceof Upper) end.port.remove(end);
      if (end.receiver instanceof UpperPort)
        for (const { namespace: there, name: upper } of [...end.receiver.uppers]) this.removeDevice(there, upper);
      const { net } = this.host(end.namespace);
      for (const { device: other } of net.inDevices.values()) if (other instanceof Bridge) other.detach(end);
      net.removeDevice(end);
      this.devices.delete(end.index);
    }
  }

  /** What the cable does to frames that leave by `device`. */
  impair(device: Veth, options: ImpairmentOptions | null): void {
    const label = `impairment/${device.namespace}/${device.name}`;
    device.impairment = options === null ? null : new Impairment(options, device.peer, this.fabric.random.fork(label));
  }

  /** A device of a namespace, or a port of a translator. */
  findDevice(namespace: string, name: string): Device | null {
    const translator = this.translators.get(namespace);
    if (translator === undefined) return this.hosts.get(namespace)?.net.device(name) ?? null;
    return translator.guests.find((guest) => guest.name === name)?.device ?? null;
  }

  /** @throws {RangeError} for a device that does not exist. */
  device(namespace: string, name: string): Device {
    const device = this.findDevice(namespace, name);
    if (device === null) throw new RangeError(`no device ${name} in namespace ${namespace}`);
    return device;
  }

  inDevice(namespace: string, name: string): InDevice {
    return this.host(namespace).net.inDevices.get(this.device(namespace, name).index)!;
  }

  /**
   * Runs until nothing is under way, or to `until` (virtual nanoseconds). A storm (a loop of bridges) ends the run; what
   * is still queued is dropped for that reason.
   */
  run(until?: number, limit = 1_000_000): RunEnd {
    const end = this.fabric.scheduler.run(until, limit);
    if (end === "storm") this.fabric.scheduler.abandon((item) => this.abandon(item));
    return end;
  }

  /** Everything that is due in this instant. */
  settle(): void {
    if (this.fabric.scheduler.drain(1_000_000) === "storm") this.fabric.scheduler.abandon((item) => this.abandon(item));
  }

  private abandon(item: unknown): void {
    if (item instanceof Packet) this.fabric.drop(item, 0, "STORM");
  }

  private adopt<T extends Device>(device: T): T {
    this.devices.set(device.index, device);
    const translator = this.translators.get(device.namespace);
    if (translator !== undefined) {
      translator.addGuest(device);
      device.setUp(true);
    } else this.host(device.namespace).net.addDevice(device);
    return device;
  }

  private deviceOptions({ namespace, device, mac, mtu, ifindex, queueLength }: EndOptions): DeviceOptions {
    return {
      name: device,
      namespace,
      mac: mac ?? this.chooseMac(namespace, device),
      ...(mtu === undefined ? {} : { mtu }),
      ...(ifindex === undefined ? {} : { ifindex }),
      ...(queueLength === undefined ? {} : { queueLength }),
    };
  }

  /** A locally administered address, from the seed and the device's name. */
  private chooseMac(namespace: string, device: string): Mac {
    const random = this.fabric.random.fork(`mac/${namespace}/${device}`);
    return { high: 0x0200 | random.below(256), low: random.next() };
  }
}

/** What a host's own files say of names. */
function dnsOf({ files }: Host): DnsOptions {
  return {
    get servers() {
      const { servers } = parseResolvConf(files.get("/etc/resolv.conf") ?? "");
      return servers.map((address) => ({ address, port: DNS_PORT }));
    },
    hosts: (name) => lookUpHosts(files.get("/etc/hosts") ?? "", name),
  };
}
