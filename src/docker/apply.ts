import { announceAddress } from "../kernel/arp.ts";
import { Route } from "../kernel/fib.ts";
import { IpSetNetworks } from "../kernel/netfilter/ipset.ts";
import { parseRules } from "../kernel/netfilter/rule-text.ts";
import type { Bridge } from "../link/bridge.ts";
import { formatPublishedPort, parsePublishedPort } from "../translator/published-ports.ts";
import { parseInterface, parseIpv4, parseMac, parsePrefix } from "../wire/address.ts";
import { PROTOCOL_UDP } from "../wire/ipv4.ts";
import type { EndOptions, World } from "../world/world.ts";
import type { EndSpec, FlowFilter, Operation } from "./operation.ts";
import type { PlanStep } from "./plan.ts";
import type { Processes } from "./processes.ts";
import type { RuleChange } from "./rule-change.ts";

/**
 * Carries out planned steps, long before anything that is told. Where a namespace stands already, it is used; who has
 * announced an address then is not heard any more.
 */
export function apply(steps: readonly PlanStep[], world: World, processes: Processes): void {
  for (const { operations } of steps)
    for (const operation of operations) if (operation.kind !== "announce") perform(operation, world, processes);
}

export function perform(operation: Operation, world: World, processes: Processes): void {
  switch (operation.kind) {
    case "namespace":
      addNamespace(world, operation.name);
      return;
    case "bridge":
      // br_dev_newlink(): one that is made with an address looks at its ports.
      world.addBridge({ ...operation, mac: parseMac(operation.mac) }).selectPortStates();
      return;
    case "veth": {
      const [host, inside] = operation.ends.map((end) => endOptions(end, operation.mtu));
      world.addCable(host!, inside!);
      return;
    }
    case "attach": {
      const { namespace, bridge, device, hairpin } = operation;
      (world.device(namespace, bridge) as Bridge).attach(world.device(namespace, device), { hairpin });
      return;
    }
    case "upper": {
      const { from, parent, upper, mac, ...end } = operation;
      const own = { ...end, mac: mac === null ? undefined : parseMac(mac) };
      world.addUpper(own, { namespace: from, device: parent }, upper);
      return;
    }
    case "dummy":
      world.addDummy(operation);
      return;
    case "announce":
      announce(world, operation);
      return;
    case "address": {
      const { address, length } = parseInterface(operation.address);
      const { net } = world.host(operation.namespace);
      const device = world.inDevice(operation.namespace, operation.device);
      if (operation.broadcast) net.addAddress(device, address, length);
      else net.addAddress(device, address, length, "global", 0);
      return;
    }
    case "up":
      world.device(operation.namespace, operation.device).setUp(true);
      return;
    case "remove-device":
      world.removeDevice(operation.namespace, operation.device);
      return;
    case "sysctl":
      world.host(operation.namespace).net.sysctls.set(operation.key, operation.value);
      return;
    case "file":
      world.host(operation.namespace).files.set(operation.path, operation.text);
      return;
    case "bind": {
      const { source, target } = operation.bind;
      const [from, to] = [world.host(operation.from), world.host(operation.namespace)];
      to.unix.mount(target, from.unix, source);
      const text = from.files.get(source);
      if (text !== undefined) to.files.set(target, text);
      return;
    }
    case "environment":
      Object.assign(world.host(operation.namespace).env, Object.fromEntries(operation.values));
      return;
    case "route":
      addRoute(world, operation.namespace, operation.route);
      return;
    case "remove-route":
      removeRoute(world, operation.namespace, operation.route);
      return;
    case "rules":
      changeRules(world, operation.namespace, operation.change);
      return;
    case "forget":
      forget(world, operation.namespace, operation.flows);
      return;
    case "names":
      processes.learn(operation.namespace, operation.records);
      return;
    case "expose":
    case "unexpose":
      expose(world, operation);
      return;
    case "start":
    case "stop":
      processes[operation.kind](operation.namespace, operation.process);
  }
}

/** How often an address is announced, and nanoseconds between (`advertiseAddrs()` of libnetwork). */
const ANNOUNCEMENTS = 3;
const BETWEEN = 1e9;

/** It ends where the device is gone or has another address. */
function announce(world: World, { namespace, device, address }: Extract<Operation, { kind: "announce" }>): void {
  const { net } = world.host(namespace);
  const first = net.inDevice(device)!;
  const wanted = parseIpv4(address);
  let left = ANNOUNCEMENTS;
  const timer = world.fabric.scheduler.timer(() => {
    if (net.inDevice(device) !== first || net.addresses.get(wanted) !== first) return;
    announceAddress(first, wanted);
    if (--left > 0) timer.armIn(BETWEEN);
  });
  timer.armIn(0);
}

/** One that stands already begins anew, as that of a container that is started again. */
function addNamespace(world: World, name: string): void {
  const host = world.hosts.get(name);
  if (host === undefined) {
    world.addNamespace(name);
    return;
  }
  const { netfilter, tracker } = host.net;
  netfilter.tables.clear();
  netfilter.load([]);
  tracker.flush();
}

function expose(world: World, { kind, at, port }: Extract<Operation, { kind: "expose" | "unexpose" }>): void {
  const { published } = world.translators.get(at.translator)!.guests.find(({ name }) => name === at.guest)!;
  const wanted = parsePublishedPort(port);
  if (kind === "expose") {
    published.add(wanted);
    return;
  }
  for (const open of [...published.all]) if (formatPublishedPort(open) === port) published.remove(open);
}

const endOptions = ({ namespace, device, mac }: EndSpec, mtu: number): EndOptions => ({
  namespace,
  device,
  mtu,
  mac: mac === null ? undefined : parseMac(mac),
});

/** `default via ADDRESS dev DEVICE`, or without a gateway. */
function readRoute(text: string): { gateway: number; device: string } {
  const [, gateway = "0.0.0.0", device = ""] = /^default (?:via (\S+) )?dev (\S+)$/.exec(text) ?? [];
  return { gateway: parseIpv4(gateway), device };
}

function addRoute(world: World, namespace: string, text: string): void {
  const { gateway, device } = readRoute(text);
  const inDevice = world.inDevice(namespace, device);
  world
    .host(namespace)
    .net.fib.add(new Route({ type: "unicast", destination: 0, length: 0, gateway, device: inDevice }));
}

function removeRoute(world: World, namespace: string, text: string): void {
  const { gateway, device } = readRoute(text);
  const inDevice = world.host(namespace).net.inDevice(device);
  world
    .host(namespace)
    .net.fib.remove((route) => route.length === 0 && route.gateway === gateway && route.device === inDevice);
}

function changeRules(world: World, namespace: string, change: RuleChange): void {
  const { net } = world.host(namespace);
  if ("set" in change) {
    if (change.kind === "set") net.sets.set(change.set, new IpSetNetworks(change.set));
    else {
      const { address, length } = parsePrefix(change.subnet);
      const set = net.sets.get(change.set) as IpSetNetworks;
      if (change.kind === "set-add") set.insert(address, length, true);
      else set.delete(address, length);
    }
    return;
  }
  const text = `*${change.table}\n${ruleCommand(change)}\nCOMMIT\n`;
  net.netfilter.load(parseRules(text, namespace, { onto: net.netfilter.tables, sets: net.sets }));
}

function ruleCommand(change: Exclude<RuleChange, { readonly set: string }>): string {
  if (change.kind === "chain") return `-N ${change.chain}`;
  if (change.kind === "policy") return `-P ${change.chain} ${change.policy}`;
  const letter = { append: "-A", insert: "-I", first: "-I", delete: "-D" }[change.kind];
  return `${letter} ${change.chain} ${change.rule}`;
}

function forget(world: World, namespace: string, flows: FlowFilter): void {
  const { tracker } = world.host(namespace).net;
  if ("udpPort" in flows) {
    tracker.flush(({ original }) => original.protocol === PROTOCOL_UDP && original.destinationPort === flows.udpPort);
    return;
  }
  const address = parseIpv4(flows.address);
  tracker.flush(({ reply }) => reply.source === address || reply.destination === address);
}
