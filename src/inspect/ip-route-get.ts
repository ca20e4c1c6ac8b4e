import { TABLE_MAIN } from "../kernel/fib.ts";
import type { Namespace } from "../kernel/namespace.ts";
import type { Errno } from "../kernel/protocol.ts";
import { routeOutput } from "../kernel/route.ts";
import { formatIpv4 } from "../wire/address.ts";
import { readAddress, readDevice, readPrefix, tableName } from "./ip-value.ts";
import type { Machine } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import type { Words } from "./words.ts";

const ANSWERS: Partial<Record<Errno, string>> = {
  EINVAL: "Invalid argument",
  EHOSTUNREACH: "No route to host",
  EACCES: "Permission denied",
  ENETUNREACH: "Network is unreachable",
};

/** `ip route get ADDRESS [from ADDRESS] [oif DEVICE] [mark MARK] [tos TOS]`: the route of a packet of one's own. */
export function getRoute(words: Words, { host }: Machine): Printed {
  const { net } = host;
  const to = { destination: 0, source: 0, tos: 0, mark: 0, device: 0 };
  let destination: number | null = null;
  while (!words.done) {
    const word = words.next();
    if (word === "from") to.source = readAddress(words.need());
    else if (word === "oif" || word === "dev") to.device = net.device(readDevice(words.need(), net))!.index;
    else if (word === "mark") to.mark = readMark(words.need());
    else if (word === "iif" || word === "fibmatch" || word === "ipproto" || word === "uid")
      throw unmodelled(`ip route get ${word}`, "ip route get ADDRESS [from ADDRESS] [oif DEVICE] [mark MARK]");
    else destination = readPrefix(word === "to" ? words.need() : word).address;
  }
  if (destination === null) throw new Refusal("need at least a destination address", 1);
  to.destination = destination;
  return printed(answer(net, to));
}

function readMark(word: string): number {
  const mark = Number(word);
  if (!Number.isInteger(mark) || word === "")
    throw new Refusal(`Error: argument "${word}" is wrong: invalid mark value`, 255);
  return mark | 0;
}

function answer(net: Namespace, to: Parameters<typeof routeOutput>[1]): string {
  const found = routeOutput(net, to);
  if (found.error !== null) throw new Refusal(`RTNETLINK answers: ${ANSWERS[found.error] ?? found.error}`, 2);
  const { route, source, gateway } = found;
  const local = route.type === "local";
  const device = local ? net.loopback.device : route.device!.device;
  const words: string[] = [];
  if (route.type !== "unicast") words.push(route.type);
  words.push(formatIpv4(to.destination));
  if (to.source !== 0) words.push(`from ${formatIpv4(to.source)}`);
  if (gateway !== 0) words.push(`via ${formatIpv4(gateway)}`);
  words.push(`dev ${device.name}`);
  if (route.table !== TABLE_MAIN && route.table !== 0) words.push(`table ${tableName(route.table)}`);
  if (to.source === 0) words.push(`src ${formatIpv4(source)}`);
  if (to.mark !== 0) words.push(`mark ${to.mark >>> 0}`);
  words.push("uid 0");
  const exception = net.paths.exception(to.destination);
  const now = net.fabric.scheduler.now;
  const learned = exception !== null && exception.mtu !== 0 && exception.mtuExpires > now ? exception : null;
  const flags = [
    ...(local || route.type === "broadcast" || route.type === "multicast" ? ["local"] : []),
    ...(route.type === "broadcast" ? ["brd"] : []),
    ...(route.type === "multicast" ? ["mc"] : []),
    ...(exception !== null && exception.gateway !== 0 ? ["redirected"] : []),
  ];
  const cache = ["cache", ...(flags.length > 0 ? [`<${flags.join(",")}>`] : [])];
  if (learned !== null) cache.push(`expires ${Math.floor((learned.mtuExpires - now) / 1e9)}sec mtu ${learned.mtu}`);
  else if (route.mtu !== 0) cache.push(`mtu ${route.mtu}`);
  return `${words.map((word) => `${word} `).join("")}\n    ${cache.map((word) => `${word} `).join("")}\n`;
}
