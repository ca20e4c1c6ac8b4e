import type { Neighbour } from "../kernel/neighbour.ts";
import { formatIpv4, formatMac } from "../wire/address.ts";
import { addressName } from "./host-name.ts";
import { neighboursOf } from "./ip-neighbour.ts";
import type { Machine } from "./machine.ts";
import { lines, type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import { familyOf } from "./userland.ts";

/** `arp [-a] [-n] [-i DEVICE] [ADDRESS]`, of net-tools 2.10 and of BusyBox, which prints as with `-a`. */
export function arp(args: readonly string[], machine: Machine): Printed {
  const letters = args.filter((word) => /^-[ane]+$/.test(word)).join("");
  const device = args.includes("-i") ? (args[args.indexOf("-i") + 1] ?? "") : null;
  const [address = null, ...rest] = args.filter((word, i) => !word.startsWith("-") && args[i - 1] !== "-i");
  const wrong = args.find((word) => word.startsWith("-") && !/^-[ane]+$|^-i$/.test(word));
  if (wrong !== undefined || rest.length > 0)
    throw unmodelled(`arp ${wrong ?? rest[0]}`, "arp [-a] [-n] [-i DEVICE] [ADDRESS]; ip neigh flush forgets");
  if (device !== null && machine.host.net.device(device) === null) throw new Refusal(`${device}: No such device`, 1);
  const found = neighboursOf(machine, device).filter(
    (each) => address === null || formatIpv4(each.address) === address,
  );
  if (found.length === 0) return printed(address === null ? "" : `${address} (${address}) -- no entry\n`);
  const numeric = letters.includes("n");
  const busybox = familyOf(machine.host) === "busybox";
  if (busybox || letters.includes("a"))
    return printed(
      lines(found.map((each) => phrase(each, numeric ? null : addressName(each.address, machine), busybox))),
    );
  return printed(
    lines([
      "Address                  HWtype  HWaddress           Flags Mask            Iface",
      ...found.map((each) => row(each, numeric ? null : addressName(each.address, machine))),
    ]),
  );
}

const isComplete = ({ state }: Neighbour): boolean => state !== "INCOMPLETE" && state !== "FAILED";

function row(neighbour: Neighbour, name: string | null): string {
  const { address, device, state, macHigh, macLow } = neighbour;
  const who = (name ?? formatIpv4(address)).padEnd(24);
  if (!isComplete(neighbour)) return `${who}         (incomplete)                              ${device.device.name}`;
  const flags = state === "PERMANENT" ? "CM" : "C";
  return `${who} ether   ${formatMac(macHigh, macLow)}   ${flags.padEnd(21)} ${device.device.name}`;
}

function phrase(neighbour: Neighbour, name: string | null, busybox: boolean): string {
  const { address, device, state, macHigh, macLow } = neighbour;
  const mac = isComplete(neighbour) ? `${formatMac(macHigh, macLow)} [ether]` : "<incomplete>";
  const permanent = state === "PERMANENT" ? " PERM" : busybox ? " " : "";
  return `${name ?? "?"} (${formatIpv4(address)}) at ${mac}${permanent} on ${device.device.name}`;
}
