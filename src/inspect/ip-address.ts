import type { InterfaceAddress, Scope } from "../kernel/in-device.ts";
import type { Device } from "../link/device.ts";
import { formatIpv4 } from "../wire/address.ts";
import type { Host } from "../world/world.ts";
import { changeAddress } from "./ip-address-change.ts";
import {
  anyDevice,
  briefStart,
  type DeviceFilter,
  hardwareLine,
  linkLine,
  namespaceText,
  readDeviceFilter,
  selectDevices,
  statistics,
} from "./ip-link.ts";
import type { IpOptions } from "./ip-options.ts";
import { linkLocal } from "./link-local.ts";
import type { Machine } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import { ipStyleOf } from "./userland.ts";
import { matching, type Words } from "./words.ts";

const SCOPES: readonly Scope[] = ["global", "link", "host"];

/** `ip address`, of iproute2 6.1. */
export function ipAddress(words: Words, machine: Machine, options: IpOptions): Printed {
  const command = words.done ? "show" : words.next();
  const known = matching(command, [
    "add",
    "change",
    "chg",
    "replace",
    "delete",
    "show",
    "list",
    "lst",
    "flush",
    "save",
    "help",
  ]);
  if (known === "show" || known === "list" || known === "lst") return show(words, machine, options);
  if (known === "add" || known === "delete") return changeAddress(known, words, machine);
  if (known === null) throw new Refusal(`Command "${command}" is unknown, try "ip address help".`, 255);
  throw unmodelled(`ip address ${known}`, "ip address [show], add and del");
}

interface Filter extends DeviceFilter {
  scope: Scope | null;
}

function show(words: Words, machine: Machine, options: IpOptions): Printed {
  const filter: Filter = { ...anyDevice(), scope: null };
  while (!words.done)
    if (words.peek === "scope") {
      words.next();
      filter.scope = readScope(words.need());
    } else if (["to", "label", "permanent", "dynamic", "secondary", "primary", "tentative"].includes(words.peek))
      throw unmodelled(
        `ip address show ${words.peek}`,
        "ip address show [dev] DEVICE, up, scope SCOPE, master BRIDGE, type KIND",
      );
    else readDeviceFilter(words, filter, "ip address show");
  const out = selectDevices(machine, filter).map((device) => entry(device, machine.host, filter, options));
  return printed(out.join(""));
}

function readScope(word: string): Scope | null {
  if (word === "all") return null;
  const scope = SCOPES.find((each) => each === word);
  if (scope === undefined) throw new Refusal(`Error: argument "${word}" is wrong: invalid "scope"\n`, 255);
  return scope;
}

function entry(device: Device, host: Host, filter: Filter, options: IpOptions): string {
  const { net } = host;
  const style = ipStyleOf(host);
  const all = net.inDevices.get(device.index)!.addresses;
  const local = linkLocal(device, net);
  const addresses = all.filter(
    ({ scope }) => (filter.scope === null || scope === filter.scope) && options.family !== "inet6",
  );
  const six = options.family !== "inet" && (filter.scope === null || filter.scope === "link") ? local : [];
  // `ipaddr_filter()`: a device without any address stays where no family is asked for.
  const bare = all.length + local.length === 0 && options.family === null;
  if (!bare && addresses.length + six.length === 0) return "";
  if (options.brief)
    return `${briefStart(device, net, style)}${[...addresses.map(written), ...six].map((text) => `${text} `).join("")}\n`;
  const texts = [...addresses.map((address) => inetLine(address, device)), ...six.map(inet6Line)];
  const lives = (text: string) => `${text}\n       valid_lft forever preferred_lft forever\n`;
  if (options.oneLine)
    return texts
      .map((text) =>
        options.join(`${device.ifindex}: ${device.name}${text}\n       valid_lft forever preferred_lft forever\n`),
      )
      .join("");
  const link = linkLine(device, net, "", style);
  const first =
    options.family === null
      ? `${link}\n${hardwareLine(device, net, style)}`
      : `${link}${namespaceText(device, net, style)}`;
  return `${first}\n${statistics(device, options)}${texts.map(lives).join("")}`;
}

const written = ({ address, length }: InterfaceAddress): string => `${formatIpv4(address)}/${length}`;

function inetLine(address: InterfaceAddress, device: Device): string {
  const broadcast = address.broadcast === 0 ? "" : ` brd ${formatIpv4(address.broadcast)}`;
  const secondary = address.secondary ? " secondary" : "";
  return `    inet ${written(address)}${broadcast} scope ${address.scope}${secondary} ${device.name}`;
}

const inet6Line = (text: string): string => `    inet6 ${text} scope ${text.startsWith("::1/") ? "host" : "link"} `;
