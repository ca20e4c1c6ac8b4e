import { neighbourOf } from "../kernel/neighbour.ts";
import { parseSets } from "../kernel/netfilter/ipset-text.ts";
import { parseRules } from "../kernel/netfilter/rule-text.ts";
import { Bridge } from "../link/bridge.ts";
import type { Device } from "../link/device.ts";
import { FdbEntry } from "../link/fdb.ts";
import { formatMac, parseInterface, parseIpv4, parseMac } from "../wire/address.ts";
import { World } from "../world/world.ts";
import type { LabCase, LabDevice, LabNamespace } from "./lab-case.ts";
import { LabFault, located } from "./lab-fault.ts";
import { addPolicy, addRoute, parseRoute } from "./routing.ts";

/** What every namespace of a lab starts with; the kernel harness sets the same. */
const BASE_SYSCTLS: Readonly<Record<string, number>> = {
  "net.ipv4.conf.all.accept_redirects": 0,
  "net.ipv4.conf.default.accept_redirects": 1,
  "net.ipv4.icmp_ratelimit": 0,
  "net.ipv4.icmp_ratemask": 0,
  "net.ipv4.tcp_timestamps": 0,
  "net.ipv4.tcp_sack": 0,
  "net.ipv4.tcp_window_scaling": 0,
  "net.netfilter.nf_conntrack_acct": 1,
};

/** Splits "namespace/device". @throws {RangeError}. */
export function splitEnd(text: string): [string, string] {
  const slash = text.indexOf("/");
  if (slash < 0) throw new RangeError(`expected namespace/device, found ${text}`);
  return [text.slice(0, slash), text.slice(slash + 1)];
}

/** Builds the world of a case in the order in which the kernel harness builds its own. @throws {LabFault}. */
export function buildLab(lab: LabCase, seed = 1): World {
  return new Builder(lab, new World(seed)).build();
}

class Builder {
  private readonly names: readonly string[];
  private readonly made: Map<string, number>;
  /** The kernel harness counts devices over all namespaces. */
  private lastIfindex = 1;

  constructor(
    private readonly lab: LabCase,
    private readonly world: World,
  ) {
    this.names = Object.keys(lab.namespaces);
    this.made = new Map(this.names.map((name) => [name, 0]));
  }

  build(): World {
    const { world, names } = this;
    for (const name of names) {
      const { net } = world.addNamespace(name);
      for (const [key, value] of Object.entries(BASE_SYSCTLS)) net.sysctls.set(key, value);
    }
    this.addDevices();
    for (const name of names) this.setSysctls(name);
    for (const name of names) this.raiseDevices(name);
    for (const name of names) this.addLayer3(name);
    for (const name of names) this.loadRules(name);
    world.settle();
    return world;
  }

  private spec(name: string): LabNamespace {
    return this.lab.namespaces[name]!;
  }

  private addDevices(): void {
    for (const name of this.names)
      for (const [device, { type, ageing }] of Object.entries(this.spec(name).devs ?? {}))
        located(["namespaces", name, "devs", device], "a device", () => {
          if (type === "bridge") {
            const bridge = this.world.addBridge(
              this.end(name, device),
              ageing === undefined ? undefined : ageing * 1e7,
            );
            // br_dev_newlink(): each is made with an address.
            bridge.selectPortStates();
          } else if (type === "dummy") this.world.addDummy(this.end(name, device));
        });
    for (const [i, [a, b]] of (this.lab.veths ?? []).entries()) {
      const left = located(["veths", i, 0], "a free end of a cable", () => this.end(...splitEnd(a)));
      const right = located(["veths", i, 1], "a free end of a cable", () => this.end(...splitEnd(b)));
      if (a === b) throw new LabFault(["veths", i, 1], "another end than the first");
      this.world.addCable(left, right);
    }
    for (const name of this.names)
      for (const device of Object.keys(this.spec(name).devs ?? {}))
        if (this.world.host(name).net.device(device) === null)
          throw new LabFault(["namespaces", name, "devs", device], "a bridge, a dummy or the end of a cable");
  }

  private end(namespace: string, device: string) {
    const count = this.made.get(namespace);
    if (count === undefined) throw new RangeError(`no namespace ${namespace}`);
    if (this.world.host(namespace).net.device(device) !== null)
      throw new RangeError(`${namespace}/${device} exists already`);
    this.made.set(namespace, count + 1);
    const spec = this.spec(namespace).devs?.[device] ?? {};
    const mac = spec.mac ?? `02:00:00:00:${byte(this.names.indexOf(namespace))}:${byte(count + 1)}`;
    return { namespace, device, mac: parseMac(mac), mtu: spec.mtu, ifindex: ++this.lastIfindex };
  }

  private setSysctls(name: string): void {
    const { net } = this.world.host(name);
    for (const [key, value] of Object.entries(this.spec(name).sysctls ?? {}))
      located(["namespaces", name, "sysctls", key], "a sysctl that hopscope models", () => {
        const [, device] = /^net\.ipv4\.(?:conf|neigh)\.(.+)\.[a-z0-9_]+$/.exec(key) ?? [];
        if (device !== undefined && device !== "all" && device !== "default" && net.device(device) === null)
          throw new RangeError(`no device ${device} in namespace ${name}`);
        net.sysctls.set(key, value);
      });
  }

  /** Up, and into their bridges, in the order of their making. */
  private raiseDevices(name: string): void {
    const { net } = this.world.host(name);
    for (const { device } of net.inDevices.values()) {
      if (device === net.loopback.device) continue;
      const spec: LabDevice = this.spec(name).devs?.[device.name] ?? {};
      if (spec.master !== undefined) this.attach(name, device, spec);
      if (spec.up === undefined || spec.up) device.setUp(true);
    }
  }

  private attach(name: string, device: Device, spec: LabDevice): void {
    const bridge = this.world.host(name).net.device(spec.master!);
    if (!(bridge instanceof Bridge) || bridge === device)
      throw new LabFault(["namespaces", name, "devs", device.name, "master"], `a bridge of ${name}`);
    bridge.attach(device, {
      hairpin: Boolean(spec.hairpin ?? false),
      isolated: Boolean(spec.isolated ?? false),
      learning: Boolean(spec.learning ?? true),
      flood: Boolean(spec.flood ?? true),
      mcastFlood: Boolean(spec.mcast_flood ?? true),
      bcastFlood: Boolean(spec.bcast_flood ?? true),
    });
  }

  private addLayer3(name: string): void {
    const { world } = this;
    const { net } = world.host(name);
    const spec = this.spec(name);
    const each = <T>(
      key: keyof LabNamespace,
      items: readonly T[] | undefined,
      expected: string,
      add: (item: T) => void,
    ) => {
      for (const [i, item] of (items ?? []).entries()) located(["namespaces", name, key, i], expected, () => add(item));
    };
    each("addrs", spec.addrs, "an address of a device", ([device, text]) => {
      const { address, length } = parseInterface(text);
      net.addAddress(world.inDevice(name, device), address, length, address >>> 24 === 127 ? "host" : "global");
    });
    each("routes", spec.routes, "a route", (route) =>
      addRoute(world, name, { proto: "static", ...(typeof route === "string" ? parseRoute(route) : route) }),
    );
    each("policy", spec.policy, "a policy rule", (rule) => addPolicy(world, name, rule));
    each("neigh", spec.neigh, "a neighbour", ([device, address, mac]) => {
      const { high, low } = parseMac(mac);
      neighbourOf(world.inDevice(name, device), parseIpv4(address)).fix(high, low);
    });
    each("fdb", spec.fdb, "a bridge entry", ([device, mac]) => addFdb(world, name, device, mac));
  }

  private loadRules(name: string): void {
    const { net } = this.world.host(name);
    const { rules, ipsets } = this.spec(name);
    if (ipsets !== undefined)
      located(["namespaces", name, "ipsets"], "ipset save text", () => {
        net.sets = parseSets(ipsets, `${name}.ipsets`);
      });
    if (rules !== undefined && rules !== "")
      located(["namespaces", name, "rules"], "iptables-restore text", () =>
        net.netfilter.load(parseRules(rules, `${name}.rules`)),
      );
  }
}

const byte = (value: number): string => value.toString(16).padStart(2, "0");

/** A static entry, `bridge fdb add MAC dev PORT master static`. @throws {RangeError}. */
export function addFdb(world: World, name: string, device: string, mac: string): void {
  const target = world.device(name, device);
  const { high, low } = parseMac(mac);
  for (const { device: bridge } of world.host(name).net.inDevices.values()) {
    if (!(bridge instanceof Bridge)) continue;
    const port = bridge.portOf(target);
    if (port === null) continue;
    // What leads elsewhere makes room, also an address of the bridge itself (NLM_F_REPLACE).
    bridge.fdb.remove((entry) => entry.high === high && entry.low === low);
    bridge.fdb.add(new FdbEntry(high, low, port, "static", 0));
    return;
  }
  throw new RangeError(`${name}/${device} is no bridge port (${formatMac(high, low)})`);
}
