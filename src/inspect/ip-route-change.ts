import { type Fib, Route, type RouteProtocol, type RouteType, TABLE_LOCAL, TABLE_MAIN } from "../kernel/fib.ts";
import type { InDevice } from "../kernel/in-device.ts";
import type { Namespace } from "../kernel/namespace.ts";
import { type Prefix, parseInterface } from "../wire/address.ts";
import { fullAddress, readAddress, readDevice, readPrefix, readTable } from "./ip-value.ts";
import type { Machine } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import type { Words } from "./words.ts";

const TYPES: readonly RouteType[] = ["unicast", "local", "broadcast", "blackhole", "unreachable", "prohibit", "throw"];
const PROTOCOLS: readonly RouteProtocol[] = ["kernel", "boot", "static", "dhcp"];

/** What `ip route add` says of a route; null for what it leaves out. */
interface Request {
  type: RouteType;
  prefix: Prefix;
  /** Bits behind the prefix were set. */
  hostBits: boolean;
  gateway: number | null;
  device: InDevice | null;
  source: number | null;
  metric: number | null;
  mtu: number;
  table: number | null;
  protocol: RouteProtocol | null;
  scope: "global" | "link" | "host" | null;
}

/** `ip route add|append|replace|delete`, with the kernel's own answers (`fib_table_insert()`, `fib_table_delete()`). */
export function changeRoute(command: "add" | "append" | "replace" | "delete", words: Words, machine: Machine): Printed {
  const { net } = machine.host;
  const request = readRequest(words, net);
  if (command === "delete") remove(net.fib, request);
  else insert(command, net, request);
  machine.world.settle();
  return printed("");
}

function readRequest(words: Words, net: Namespace): Request {
  const type = TYPES.find((each) => each === words.peek) ?? null;
  if (type !== null) words.next();
  if (words.peek === "to") words.next();
  const written = words.done ? "default" : words.next();
  const prefix = readPrefix(written);
  const request: Request = {
    type: type ?? "unicast",
    prefix,
    hostBits: prefix.length > 0 && parseInterface(fullAddress(written)).address !== prefix.address,
    gateway: null,
    device: null,
    source: null,
    metric: null,
    mtu: 0,
    table: null,
    protocol: null,
    scope: null,
  };
  while (!words.done) readAttribute(words, net, request);
  return request;
}

function readAttribute(words: Words, net: Namespace, request: Request): void {
  const word = words.next();
  if (word === "via") request.gateway = readAddress(behind(words, "inet"));
  else if (word === "dev" || word === "oif") request.device = net.inDevice(readDevice(words.need(), net));
  else if (word === "src") request.source = readAddress(words.need());
  else if (["metric", "priority", "preference"].includes(word)) request.metric = readNumber("metric", words.need());
  else if (word === "mtu") request.mtu = readNumber("mtu", behind(words, "lock"));
  else if (word === "table") request.table = readTable(words.need());
  else if (word === "proto" || word === "protocol") request.protocol = readWord(words.need(), PROTOCOLS, "protocol");
  else if (word === "scope") request.scope = readWord(words.need(), ["global", "link", "host"] as const, "scope");
  else throw unmodelled(`the word ${word} of ip route`, "via, dev, src, metric, mtu, table, proto and scope");
}

/** The next word, or the one behind it where the next is one that may be left out. */
function behind(words: Words, optional: string): string {
  const word = words.need();
  return word === optional ? words.need() : word;
}

function readNumber(what: string, word: string): number {
  if (!/^\d{1,10}$/.test(word))
    throw new Refusal(`Error: argument "${word}" is wrong: "${what}" value is invalid\n`, 255);
  return Number(word);
}

function readWord<T extends string>(word: string, known: readonly T[], what: string): T {
  const found = known.find((each) => each === word);
  if (found === undefined) throw new Refusal(`Error: argument "${word}" is wrong: "${what}" value is invalid\n`, 255);
  return found;
}

const REFUSES: readonly RouteType[] = ["blackhole", "unreachable", "prohibit", "throw"];

function insert(command: "add" | "append" | "replace", net: Namespace, request: Request): void {
  const { type, prefix, source, metric, mtu } = request;
  if (request.hostBits) throw new Refusal("Error: Invalid prefix for given prefix length.", 2);
  const table = request.table ?? (type === "local" || type === "broadcast" ? TABLE_LOCAL : TABLE_MAIN);
  const device = REFUSES.includes(type) ? null : nextHop(net, request);
  if (source !== null && !net.isLocal(source)) throw new Refusal("Error: Invalid prefsrc address.", 2);
  const route = new Route({
    type,
    destination: prefix.address,
    length: prefix.length,
    gateway: request.gateway ?? 0,
    device,
    source: source ?? 0,
    metric: metric ?? 0,
    mtu,
    table,
    ...(request.scope !== null ? { scope: request.scope } : REFUSES.includes(type) ? { scope: "global" } : {}),
    protocol: request.protocol ?? "boot",
  });
  const same = (other: Route) =>
    other.table === table &&
    other.destination === route.destination &&
    other.length === route.length &&
    other.tos === 0 &&
    other.metric === route.metric;
  const existing = [...net.fib].find(same);
  if (existing !== undefined && command === "add") throw new Refusal("RTNETLINK answers: File exists", 2);
  if (existing !== undefined && command === "replace") net.fib.remove((other) => other === existing);
  if (!net.fib.add(route)) throw new Refusal("RTNETLINK answers: File exists", 2);
}

/** `fib_check_nh()`: the device that leads to the gateway, or the one that is named. */
function nextHop(net: Namespace, { gateway, device, type }: Request): InDevice {
  if (gateway === null) {
    if (device === null) throw new Refusal("RTNETLINK answers: No such device", 2);
    if (!device.device.up) throw new Refusal("Error: Device for nexthop is not up.", 2);
    return device;
  }
  if (device !== null && !device.device.up) throw new Refusal("Error: Nexthop device is not up.", 2);
  const flow = { destination: gateway, source: 0, tos: 0, mark: 0, in: net.loopback.device.index, out: 0 };
  const found = net.fib.lookup({ ...flow, out: device?.device.index ?? 0 });
  const onLink = found !== null && (found.type === "unicast" || (found.type === "local" && type === "local"));
  if (!onLink || found.gateway !== 0 || found.device === null)
    throw new Refusal("Error: Nexthop has invalid gateway.", 2);
  return found.device;
}

function remove(fib: Fib, request: Request): void {
  const { prefix, gateway, device, source, metric, protocol, scope } = request;
  const table = request.table ?? TABLE_MAIN;
  const matches = (route: Route) =>
    route.table === table &&
    route.destination === prefix.address &&
    route.length === prefix.length &&
    (request.type === "unicast" || route.type === request.type) &&
    (gateway === null || route.gateway === gateway) &&
    (device === null || route.device === device) &&
    (source === null || route.source === source) &&
    (metric === null || route.metric === metric) &&
    (protocol === null || route.protocol === protocol) &&
    (scope === null || route.scope === scope);
  const found = [...fib].find(matches);
  if (found === undefined) throw new Refusal("RTNETLINK answers: No such process", 2);
  fib.remove((route) => route === found);
}
