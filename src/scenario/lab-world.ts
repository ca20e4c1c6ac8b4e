import { neighbourOf } from "../kernel/neighbour.ts";
import { parseRules } from "../kernel/netfilter/rule-text.ts";
import { Bridge } from "../link/bridge.ts";
import { FdbEntry } from "../link/fdb.ts";
import { formatMac, parseInterface, parseIpv4, parseMac } from "../wire/address.ts";
import { World } from "../world/world.ts";
import type { LabCase, LabDevice, LabNamespace } from "./lab-case.ts";
import { addPolicy, addRoute, parseRoute } from "./routing.ts";

/** What every namespace of a lab starts with; the kernel harness sets the same. */
const BASE_SYSCTLS: Readonly<Record<string, number>> = {
  "net.ipv4.conf.all.accept_redirects": 0,
  "net.ipv4.conf.default.accept_redirects": 1,
  "net.ipv4.icmp_ratelimit": 0,
  "net.ipv4.icmp_ratemask": 0,
  "net.netfilter.nf_conntrack_acct": 1,
};

/** Splits "namespace/device". @throws {RangeError}. */
export function splitEnd(text: string): [string, string] {
  const slash = text.indexOf("/");
  if (slash < 0) throw new RangeError(`expected namespace/device, found ${text}`);
  return [text.slice(0, slash), text.slice(slash + 1)];
}

/** Builds the world of a case in the order in which the kernel harness builds its own. */
export function buildLab(lab: LabCase): World {
  const world = new World(1);
  const names = Object.keys(lab.namespaces);
  for (const name of names) {
    const { net } = world.addNamespace(name);
    for (const [key, value] of Object.entries(BASE_SYSCTLS)) net.sysctls.set(key, value);
  }
  addDevices(world, lab, names);
  for (const name of names) {
    const spec = lab.namespaces[name]!;
    const { net } = world.host(name);
    for (const [key, value] of Object.entries(spec.sysctls ?? {})) net.sysctls.set(key, value);
  }
  for (const name of names) raiseDevices(world, name, lab);
  for (const name of names) addLayer3(world, name, lab.namespaces[name]!);
  for (const name of names) {
    const { rules } = lab.namespaces[name]!;
    if (rules !== undefined && rules !== "") world.host(name).net.netfilter.load(parseRules(rules, `${name}.rules`));
  }
  world.settle();
  return world;
}

function addDevices(world: World, lab: LabCase, names: readonly string[]): void {
  const made = new Map<string, number>(names.map((name) => [name, 0]));
  const end = (namespace: string, device: string) => {
    const count = made.get(namespace);
    if (count === undefined) throw new RangeError(`no namespace ${namespace}`);
    made.set(namespace, count + 1);
    const spec = lab.namespaces[namespace]!.devs?.[device] ?? {};
    const mac = spec.mac ?? `02:00:00:00:${byte(names.indexOf(namespace))}:${byte(count + 1)}`;
    return { namespace, device, mac: parseMac(mac), mtu: spec.mtu };
  };
  for (const name of names)
    for (const [device, spec] of Object.entries(lab.namespaces[name]!.devs ?? {})) {
      if (spec.type === "bridge")
        world.addBridge(end(name, device), spec.ageing === undefined ? undefined : spec.ageing * 1e7);
      else if (spec.type === "dummy") world.addDummy(end(name, device));
    }
  for (const [a, b] of lab.veths ?? []) {
    const left = end(...splitEnd(a));
    world.addCable(left, end(...splitEnd(b)));
  }
}

const byte = (value: number): string => value.toString(16).padStart(2, "0");

/** Up, and into their bridges, in the order of their making. */
function raiseDevices(world: World, name: string, lab: LabCase): void {
  const { net } = world.host(name);
  for (const { device } of net.inDevices.values()) {
    if (device === net.loopback.device) continue;
    const spec: LabDevice = lab.namespaces[name]!.devs?.[device.name] ?? {};
    if (spec.master !== undefined) {
      const bridge = world.device(name, spec.master);
      if (!(bridge instanceof Bridge)) throw new RangeError(`${name}/${spec.master} is no bridge`);
      bridge.attach(device, {
        hairpin: spec.hairpin ?? false,
        isolated: spec.isolated ?? false,
        learning: spec.learning ?? true,
        flood: spec.flood ?? true,
        mcastFlood: spec.mcast_flood ?? true,
        bcastFlood: spec.bcast_flood ?? true,
      });
    }
    if (spec.up !== false) device.setUp(true);
  }
}

function addLayer3(world: World, name: string, spec: LabNamespace): void {
  const { net } = world.host(name);
  for (const [device, text] of spec.addrs ?? []) {
    const { address, length } = parseInterface(text);
    net.addAddress(world.inDevice(name, device), address, length, address >>> 24 === 127 ? "host" : "global");
  }
  for (const route of spec.routes ?? []) addRoute(world, name, typeof route === "string" ? parseRoute(route) : route);
  for (const rule of spec.policy ?? []) addPolicy(world, name, rule);
  for (const [device, address, mac] of spec.neigh ?? []) {
    const { high, low } = parseMac(mac);
    neighbourOf(world.inDevice(name, device), parseIpv4(address)).fix(high, low);
  }
  for (const [device, mac] of spec.fdb ?? []) addFdb(world, name, device, mac);
}

/** A static entry, `bridge fdb add MAC dev PORT master static`. @throws {RangeError}. */
export function addFdb(world: World, name: string, device: string, mac: string): void {
  const target = world.device(name, device);
  const { high, low } = parseMac(mac);
  for (const { device: bridge } of world.host(name).net.inDevices.values()) {
    if (!(bridge instanceof Bridge)) continue;
    const port = bridge.portOf(target);
    if (port === null) continue;
    bridge.fdb.add(new FdbEntry(high, low, port, "static", 0));
    return;
  }
  throw new RangeError(`${name}/${device} is no bridge port (${formatMac(high, low)})`);
}
