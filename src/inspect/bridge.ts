import { Bridge } from "../link/bridge.ts";
import type { Device } from "../link/device.ts";
import type { FdbEntry } from "../link/fdb.ts";
import { formatMac } from "../wire/address.ts";
import { flagText, fullName } from "./ip-link.ts";
import { masterOf } from "./link-state.ts";
import { devicesOf, type Machine } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import { ipStyleOf } from "./userland.ts";
import { matching, Words } from "./words.ts";

/** `bridge link` and `bridge fdb`, of iproute2 6.1. */
export function bridge(args: readonly string[], machine: Machine): Printed {
  const words = new Words(args);
  let details = false;
  while (words.peek.startsWith("-")) {
    const option = words.next();
    if (option === "-d" || option === "-details") details = true;
    else throw unmodelled(`bridge ${option}`, "bridge link, bridge -d link and bridge fdb");
  }
  if (words.done) throw new Refusal("Usage: bridge [ OPTIONS ] { link | fdb } [ show ]", 255);
  const word = words.next();
  const object = matching(word, ["link", "fdb", "mdb", "vlan", "vni", "monitor", "help"]);
  if (object === null) throw new Refusal(`Object "${word}" is unknown, try "bridge help".`, 255);
  if (object !== "link" && object !== "fdb") throw unmodelled(`bridge ${object}`, "bridge link and bridge fdb");
  const command = words.done ? "show" : words.next();
  if (matching(command, ["show", "list", "lst"]) === null)
    throw unmodelled(`bridge ${object} ${command}`, `bridge ${object} [show]`);
  return printed(object === "link" ? links(words, machine, details) : fdb(words, machine));
}

function links(words: Words, { host }: Machine, details: boolean): string {
  let name: string | null = null;
  while (!words.done) {
    const word = words.next();
    if (word !== "dev") throw unmodelled(`bridge link show ${word}`, "bridge link [show [dev DEVICE]]");
    name = words.need();
  }
  if (name !== null && host.net.device(name) === null) throw new Refusal(`Cannot find device "${name}"`, 1);
  // `br_fill_ifinfo()` does not say whose number the far end has, so that it is looked for among the devices here.
  const style = { ...ipStyleOf(host), looksUpPeers: "missing is up" } as const;
  let out = "";
  for (const device of devicesOf(host.net)) {
    const master = masterOf(device, host.net);
    if (master === null || (name !== null && device.name !== name)) continue;
    const port = master.portOf(device)!;
    const state = port.forwarding ? "forwarding" : "disabled";
    const flags = flagText(device, host.net, style);
    out += `${device.ifindex}: ${fullName(device, host.net, style)}: <${flags}> mtu ${device.mtu} master ${master.name} state ${state} priority 32 cost 2 \n`;
    const on = (value: boolean) => (value ? "on" : "off");
    if (details)
      out += `    hairpin ${on(port.hairpin)} guard off root_block off fastleave off learning ${on(port.learning)} flood ${on(port.flood)} mcast_flood ${on(port.mcastFlood)} bcast_flood ${on(port.bcastFlood)} mcast_router 1 mcast_to_unicast off neigh_suppress off vlan_tunnel off isolated ${on(port.isolated)} locked off \n`;
  }
  return out;
}

interface FdbFilter {
  bridge: string | null;
  port: string | null;
}

function fdb(words: Words, { host }: Machine): string {
  const filter: FdbFilter = { bridge: null, port: null };
  while (!words.done) {
    const word = words.next();
    if (word === "br") filter.bridge = words.need();
    else if (word === "brport" || word === "dev") filter.port = words.need();
    else throw unmodelled(`bridge fdb show ${word}`, "bridge fdb [show [br BRIDGE] [dev PORT]]");
  }
  const { net } = host;
  if (filter.bridge !== null && !(net.device(filter.bridge) instanceof Bridge))
    throw new Refusal(`Cannot find bridge device "${filter.bridge}"`, 255);
  if (filter.port !== null && net.device(filter.port) === null)
    throw new Refusal(`Cannot find device "${filter.port}"`, 1);
  let out = "";
  for (const device of devicesOf(net)) {
    const master = device instanceof Bridge ? device : masterOf(device, net);
    if (device === net.loopback.device || (filter.port !== null && device.name !== filter.port)) continue;
    if (filter.bridge !== null && master?.name !== filter.bridge) continue;
    out += deviceEntries(device, master, filter.port !== null);
  }
  return out;
}

/** What the bridge keeps of a port, then the groups that the device itself listens to. */
function deviceEntries(device: Device, master: Bridge | null, named: boolean): string {
  const on = named ? "" : `dev ${device.name} `;
  const entries =
    master === null ? [] : newestFirst(master).filter((entry) => (entry.port?.device ?? master) === device);
  const kept = entries.map(
    (entry) => `${mac(entry)} ${on}master ${master!.name} ${entry.kind === "learned" ? "" : entry.kind}\n`,
  );
  // `ipv6_init_mcast()` and, while the device is up, `ip_mc_up()`.
  const groups = ["33:33:00:00:00:01", ...(device.up ? ["01:00:5e:00:00:01"] : [])];
  const own = groups.map((group) => `${group} ${on}self permanent\n`);
  return [...(device === master ? [...own, ...kept] : [...kept, ...own])].join("");
}

const newestFirst = ({ fdb }: Bridge): FdbEntry[] => [...fdb].sort((a, b) => b.sequence - a.sequence);

const mac = ({ high, low }: FdbEntry): string => formatMac(high, low);
