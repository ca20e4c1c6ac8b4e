import type { Neighbour } from "../kernel/neighbour.ts";
import { formatIpv4, formatMac } from "../wire/address.ts";
import { readDevice } from "./ip-value.ts";
import { devicesOf, type Machine } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import { matching, type Words } from "./words.ts";

/** `ip neighbour`, of iproute2 6.1. The kernel lists them in the order of a hash; here the order is that of their making. */
export function ipNeighbour(words: Words, machine: Machine): Printed {
  const command = words.done ? "show" : words.next();
  const known = matching(command, [
    "add",
    "change",
    "chg",
    "replace",
    "delete",
    "get",
    "show",
    "list",
    "lst",
    "flush",
    "help",
  ]);
  if (known === null) throw new Refusal(`Command "${command}" is unknown, try "ip neigh help".`, 255);
  if (known === "flush") return flush(words, machine);
  if (known !== "show" && known !== "list" && known !== "lst")
    throw unmodelled(`ip neighbour ${known}`, "ip neighbour [show] [dev DEVICE], and flush dev DEVICE or all");
  const device = readFilter(words, machine, "show");
  let out = "";
  for (const neighbour of neighboursOf(machine, device)) out += neighbourText(neighbour, device !== null);
  return printed(out);
}

function readFilter(words: Words, { host }: Machine, command: string): string | null {
  let device: string | null = null;
  while (!words.done) {
    const word = words.next();
    if (word === "dev") device = readDevice(words.need(), host.net);
    else if (word === "all" && command === "flush") continue;
    else throw unmodelled(`ip neighbour ${command} ${word}`, `ip neighbour ${command} [dev DEVICE]`);
  }
  return device;
}

/** Those of one device, or of all. */
export const neighboursOf = ({ host }: Machine, device: string | null): Neighbour[] =>
  devicesOf(host.net)
    .filter(({ name }) => device === null || name === device)
    .flatMap(({ index }) => [...host.net.inDevices.get(index)!.neighbours.values()])
    .filter(({ state }) => state !== "NOARP" && state !== "NONE");

function neighbourText({ address, device, state, macHigh, macLow }: Neighbour, named: boolean): string {
  const known = state !== "INCOMPLETE" && state !== "FAILED";
  const lladdr = known ? `lladdr ${formatMac(macHigh, macLow)} ` : "";
  return `${formatIpv4(address)} ${named ? "" : `dev ${device.device.name} `}${lladdr}${state} \n`;
}

function flush(words: Words, machine: Machine): Printed {
  if (words.done) throw new Refusal("Flush requires arguments.", 1);
  const device = readFilter(words, machine, "flush");
  for (const neighbour of neighboursOf(machine, device)) {
    if (neighbour.state === "PERMANENT") continue;
    neighbour.forget();
    neighbour.device.neighbours.delete(neighbour.address);
  }
  return printed("");
}
