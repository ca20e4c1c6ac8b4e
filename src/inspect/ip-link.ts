import type { Namespace } from "../kernel/namespace.ts";
import { Bridge } from "../link/bridge.ts";
import type { Device } from "../link/device.ts";
import { Dummy } from "../link/dummy.ts";
import { FallbackTunnel } from "../link/fallback-tunnel.ts";
import { Ipvlan } from "../link/ipvlan.ts";
import { Macvlan } from "../link/macvlan.ts";
import { Veth } from "../link/veth.ts";
import { readSwitch } from "./ip-link-set.ts";
import type { IpOptions } from "./ip-options.ts";
import { hardware, linkFlags, masterOf, namespaceId, operState, peerOf, queueing } from "./link-state.ts";
import { devicesOf, type Machine } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import { type IpStyle, ipStyleOf } from "./userland.ts";
import { matching, type Words } from "./words.ts";

/** Which devices a command asks for. */
export interface DeviceFilter {
  name: string | null;
  up: boolean;
  master: string | null;
  type: string | null;
}

export const anyDevice = (): DeviceFilter => ({ name: null, up: false, master: null, type: null });

/** `ip link`, of iproute2 6.1. */
export function ipLink(words: Words, machine: Machine, options: IpOptions): Printed {
  const command = words.done ? "show" : words.next();
  const known = matching(command, [
    "add",
    "set",
    "change",
    "replace",
    "delete",
    "show",
    "list",
    "lst",
    "property",
    "help",
  ]);
  if (known === "set" || known === "change") return readSwitch(words, machine);
  if (known === "show" || known === "list" || known === "lst") {
    const filter = anyDevice();
    while (!words.done) readDeviceFilter(words, filter, "ip link show");
    return showLinks(machine, filter, options);
  }
  if (known === null) throw new Refusal(`Command "${command}" is unknown, try "ip link help".`, 255);
  throw unmodelled(`ip link ${known}`, "ip link [show] and ip link set DEVICE up|down");
}

/** One word of what `show` may be followed by, and its value. */
export function readDeviceFilter(words: Words, filter: DeviceFilter, command: string): void {
  const word = words.next();
  if (word === "up") filter.up = true;
  else if (word === "master") filter.master = words.need();
  else if (word === "type") filter.type = words.need();
  else if (["vrf", "nomaster", "group", "novf"].includes(word))
    throw unmodelled(`${command} ${word}`, `${command} [dev] DEVICE, up, master BRIDGE, type KIND`);
  else {
    const name = word === "dev" ? words.need() : word;
    if (filter.name !== null) throw new Refusal(`Error: either "dev" is duplicate, or "${name}" is a garbage.`, 255);
    filter.name = name;
  }
}

/** @throws {Refusal} for a device that does not exist. */
export function selectDevices({ host }: Machine, filter: DeviceFilter): Device[] {
  const { net } = host;
  if (filter.name !== null && net.device(filter.name) === null)
    throw new Refusal(`Device "${filter.name}" does not exist.`, 1);
  if (filter.master !== null && net.device(filter.master) === null)
    throw new Refusal(`Error: argument "${filter.master}" is wrong: Device does not exist\n`, 255);
  return devicesOf(net).filter(
    (device) =>
      (filter.name === null || device.name === filter.name) &&
      (!filter.up || device.up) &&
      (filter.master === null || masterOf(device, net)?.name === filter.master) &&
      (filter.type === null || kindOf(device) === filter.type),
  );
}

/** As after `type`; empty for lo. */
export function kindOf(device: Device): string {
  if (device instanceof Bridge) return "bridge";
  if (device instanceof Veth) return "veth";
  if (device instanceof Macvlan) return "macvlan";
  if (device instanceof Ipvlan) return "ipvlan";
  if (device instanceof FallbackTunnel) return device.kind;
  return device instanceof Dummy ? "dummy" : "";
}

function showLinks(machine: Machine, filter: DeviceFilter, options: IpOptions): Printed {
  const { net } = machine.host;
  const style = ipStyleOf(machine.host);
  let out = "";
  for (const device of selectDevices(machine, filter)) {
    if (options.brief)
      out += `${briefStart(device, net, style)}${hardware(device).address} <${flagText(device, net, style)}> \n`;
    else
      out += options.join(
        `${linkLine(device, net, "mode DEFAULT ", style)}\n${hardwareLine(device, net, style)}\n${statistics(device, options)}`,
      );
  }
  return printed(out);
}

/** `eth0@if5`, as the name stands before the colon. */
export function fullName(device: Device, net: Namespace, { looksUpPeers }: IpStyle): string {
  if (device instanceof FallbackTunnel) return `${device.name}@NONE`;
  const peer = peerOf(device);
  if (peer === null) return device.name;
  const known = looksUpPeers ? namesake(peer, net) : peer.namespace === device.namespace ? peer : null;
  return `${device.name}@${known === null ? `if${peer.ifindex}` : known.name}`;
}

/** The device here that has the number of another one, wherever that is. */
const namesake = ({ ifindex }: Device, net: Namespace): Device | null =>
  devicesOf(net).find((device) => device.ifindex === ifindex) ?? null;

/** The name and the state, as `-br` begins each line. */
export const briefStart = (device: Device, net: Namespace, style: IpStyle): string =>
  `${fullName(device, net, style).padEnd(16)} ${operState(device, net).padEnd(14)} `;

/** `print_linkinfo()`: the first line of a device. */
export function linkLine(device: Device, net: Namespace, mode: string, style: IpStyle): string {
  const master = masterOf(device, net);
  const words = [
    `${device.ifindex}: ${fullName(device, net, style)}: <${flagText(device, net, style)}> mtu ${device.mtu}`,
    `qdisc ${queueing(device)}`,
    ...(master === null ? [] : [`master ${master.name}`]),
    `state ${operState(device, net)}`,
    ...(style.group ? [`${mode}group default`] : []),
    device.queueLength === 0 ? "" : `qlen ${device.queueLength}`,
  ];
  return words.join(" ");
}

export const flagText = (device: Device, net: Namespace, style: IpStyle): string =>
  [...linkFlags(device, net), ...(isPeerDown(device, net, style) ? ["M-DOWN"] : [])].join(",");

/** The other end of a cable, as far as it is looked for. */
function isPeerDown(device: Device, net: Namespace, { looksUpPeers }: IpStyle): boolean {
  const peer = peerOf(device);
  if (peer === null) return false;
  if (looksUpPeers !== false) return !(namesake(peer, net)?.up ?? looksUpPeers === "missing is up");
  return peer.namespace === net.name && !peer.up;
}

/** The second line. */
export function hardwareLine(device: Device, net: Namespace, style: IpStyle): string {
  const { type, address, broadcast } = hardware(device);
  return `    link/${type} ${address} brd ${broadcast}${namespaceText(device, net, style)}`;
}

export function namespaceText(device: Device, net: Namespace, style: IpStyle): string {
  const id = style.netnsid ? namespaceId(device, net) : null;
  return id === null ? "" : ` link-netnsid ${id}`;
}

const pad = (value: number, width: number): string => String(value).padStart(width);

/** `print_stats64()`, behind `-s`. */
export function statistics({ counters }: Device, { statistics: wanted }: IpOptions): string {
  if (!wanted) return "";
  const { rxBytes, rxPackets, rxDropped, txBytes, txPackets, txDropped } = counters;
  const width = (...values: number[]): number => Math.max(8, ...values.map((value) => `${value}`.length));
  const bytes = width(rxBytes, txBytes);
  const packets = Math.max(7, `${rxPackets}`.length, `${txPackets}`.length);
  const head = (direction: string, last: string) =>
    `    ${direction}: ${"bytes".padStart(bytes - 2)} ${"packets".padStart(packets)} errors dropped ${last}           \n`;
  const row = (count: number, amount: number, dropped: number) =>
    `    ${pad(amount, bytes + 2)} ${pad(count, packets)} ${pad(0, 6)} ${pad(dropped, 7)} ${pad(0, 7)} ${pad(0, 7)} \n`;
  return (
    head("RX", " missed   mcast") +
    row(rxPackets, rxBytes, rxDropped) +
    head("TX", "carrier collsns") +
    row(txPackets, txBytes, txDropped)
  );
}
