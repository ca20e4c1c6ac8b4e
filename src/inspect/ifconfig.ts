import type { Namespace } from "../kernel/namespace.ts";
import type { Device } from "../link/device.ts";
import { formatIpv4 } from "../wire/address.ts";
import { linkLocal } from "./link-local.ts";
import { hardware, isRunning, linkFlags } from "./link-state.ts";
import { devicesOf, type Machine } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import { familyOf } from "./userland.ts";

/** `ifconfig [-a] [DEVICE]`, of net-tools 2.10 and of BusyBox. */
export function ifconfig(args: readonly string[], machine: Machine): Printed {
  const { net } = machine.host;
  const busybox = familyOf(machine.host) === "busybox";
  const options = args.filter((word) => word.startsWith("-"));
  const names = args.filter((word) => !word.startsWith("-"));
  for (const option of options)
    if (!["-a", "-s"].includes(option)) throw unmodelled(`ifconfig ${option}`, "ifconfig [-a] [-s] [DEVICE]");
  if (names.length > 1)
    throw unmodelled(
      `ifconfig ${names[0]} ${names[1]}`,
      "ifconfig [-a] [DEVICE]; ip addr and ip link set change devices",
    );
  const all = devicesOf(net).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const name = names[0];
  if (name !== undefined && net.device(name) === null)
    throw new Refusal(
      busybox
        ? `ifconfig: ${name}: error fetching interface information: Device not found`
        : `${name}: error fetching interface information: Device not found`,
      1,
    );
  const chosen = all.filter((device) =>
    name === undefined ? device.up || options.includes("-a") : device.name === name,
  );
  if (options.includes("-s")) return printed(interfaceTable(chosen, net, "Iface      MTU "));
  return printed(chosen.map((device) => `${(busybox ? busyboxEntry : entry)(device, net)}\n`).join(""));
}

/** `if_print()` in net-tools' flag order. */
const FLAGS = [
  [0x1, "UP"],
  [0x2, "BROADCAST"],
  [0x8, "LOOPBACK"],
  [0x40, "RUNNING"],
  [0x80, "NOARP"],
  [0x1000, "MULTICAST"],
] as const;

/** IFF_*, as SIOCGIFFLAGS tells them. */
function flagsOf(device: Device, net: Namespace): number {
  const names = linkFlags(device, net);
  const running = device.up && isRunning(device, net);
  return FLAGS.reduce(
    (sum, [bit, name]) => (names.includes(name) || (name === "RUNNING" && running) ? sum | bit : sum),
    0,
  );
}

function entry(device: Device, net: Namespace): string {
  const flags = flagsOf(device, net);
  const names = FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
  const { type, address } = hardware(device);
  const { rxPackets, rxBytes, rxDropped, txPackets, txBytes, txDropped } = device.counters;
  const rows = [`${device.name}: flags=${flags}<${names.join(",")}>  mtu ${device.mtu}`];
  const first = net.inDevices.get(device.index)!.addresses[0];
  if (first !== undefined) {
    const broadcast = (flags & 2) === 0 ? "" : `  broadcast ${formatIpv4(first.broadcast)}`;
    rows.push(`        inet ${formatIpv4(first.address)}  netmask ${formatIpv4(first.mask)}${broadcast}`);
  }
  for (const text of linkLocal(device, net)) {
    const [inet6, length] = text.split("/");
    const scope = inet6 === "::1" ? "0x10<host>" : "0x20<link>";
    rows.push(`        inet6 ${inet6}  prefixlen ${length}  scopeid ${scope}`);
  }
  rows.push(
    type === "loopback"
      ? `        loop  txqueuelen ${device.queueLength}  (Local Loopback)`
      : `        ether ${address}  txqueuelen ${device.queueLength}  (Ethernet)`,
    `        RX packets ${rxPackets}  bytes ${rxBytes} (${readable(rxBytes)})`,
    `        RX errors 0  dropped ${rxDropped}  overruns 0  frame 0`,
    `        TX packets ${txPackets}  bytes ${txBytes} (${readable(txBytes)})`,
    `        TX errors 0  dropped ${txDropped} overruns 0  carrier 0  collisions 0`,
  );
  return rows.map((row) => `${row}\n`).join("");
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** One decimal, cut off. */
function readable(bytes: number): string {
  let unit = 0;
  let tenths = bytes * 10;
  while (tenths > 10_240 && unit < UNITS.length - 1) {
    tenths = tenths / 1024;
    unit++;
  }
  return `${Math.floor(tenths / 10)}.${Math.floor(tenths) % 10} ${UNITS[unit]}`;
}

function busyboxEntry(device: Device, net: Namespace): string {
  const { type, address } = hardware(device);
  const { rxPackets, rxBytes, rxDropped, txPackets, txBytes, txDropped } = device.counters;
  const loop = type === "loopback";
  const link = loop ? "Link encap:Local Loopback  " : `Link encap:Ethernet  HWaddr ${address.toUpperCase()}  `;
  const rows = [`${device.name.padEnd(9)} ${link}`];
  const first = net.inDevices.get(device.index)!.addresses[0];
  if (first !== undefined) {
    const broadcast = loop ? "" : `Bcast:${formatIpv4(first.broadcast)}  `;
    rows.push(`inet addr:${formatIpv4(first.address)}  ${broadcast}Mask:${formatIpv4(first.mask)}`);
  }
  for (const text of linkLocal(device, net))
    rows.push(`inet6 addr: ${text} Scope:${text.startsWith("::1/") ? "Host" : "Link"}`);
  const flags = flagsOf(device, net);
  const names = FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
  rows.push(
    `${names.join(" ")}  MTU:${device.mtu}  Metric:1`,
    `RX packets:${rxPackets} errors:0 dropped:${rxDropped} overruns:0 frame:0`,
    `TX packets:${txPackets} errors:0 dropped:${txDropped} overruns:0 carrier:0`,
    `collisions:0 txqueuelen:${device.queueLength} `,
    `RX bytes:${rxBytes} (${readable(rxBytes)})  TX bytes:${txBytes} (${readable(txBytes)})`,
  );
  return rows.map((row, i) => `${i === 0 ? row : `          ${row}`}\n`).join("");
}

const LETTERS = [
  [0x2, "B"],
  [0x8, "L"],
  [0x1000, "M"],
  [0x80, "O"],
  [0x40, "R"],
  [0x1, "U"],
] as const;

/** `ifconfig -s` and `netstat -i`, which differ in their heads. */
export function interfaceTable(devices: readonly Device[], net: Namespace, head: string): string {
  let out = `${head}   RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n`;
  for (const device of devices) {
    const { rxPackets, rxDropped, txPackets, txDropped } = device.counters;
    const flags = flagsOf(device, net);
    const letters = LETTERS.filter(([bit]) => (flags & bit) !== 0).map(([, letter]) => letter);
    const numbers = [
      `${device.mtu}`.padStart(5),
      `${rxPackets}`.padStart(8),
      "     0",
      `${rxDropped}`.padStart(6),
      "0     ",
    ];
    numbers.push(`  ${txPackets}`.padStart(8), "     0", `${txDropped}`.padStart(6), "     0");
    out += `${device.name.padEnd(15)} ${numbers.join(" ")} ${letters.join("")}\n`;
  }
  return out;
}
