import { Bridge, type BridgePort } from "../link/bridge.ts";
import { formatMac } from "../wire/address.ts";
import { devicesOf, type Machine, nowOf } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";

const HEAD = "bridge name\tbridge id\t\tSTP enabled\tinterfaces\n";

/** `brctl show [BRIDGE...]` and `brctl showmacs BRIDGE`, of bridge-utils 1.7. */
export function brctl(args: readonly string[], machine: Machine): Printed {
  const [command, ...names] = args;
  const bridges = devicesOf(machine.host.net).filter((device) => device instanceof Bridge);
  if (command === undefined) throw new Refusal("Usage: brctl show [BRIDGE] | showmacs BRIDGE", 1);
  if (command !== "show" && command !== "showmacs") {
    const known = "addbr delbr addif delif hairpin setageing setbridgeprio setfd setpathcost showstp stp".split(" ");
    if (known.includes(command)) throw unmodelled(`brctl ${command}`, "brctl show and brctl showmacs");
    throw new Refusal(`never heard of command [${command}]`, 1);
  }
  for (const name of names)
    if (!bridges.some((bridge) => bridge.name === name)) {
      if (command === "showmacs") throw new Refusal(`read of forward table failed: No such device`, 1);
      if (machine.host.net.device(name) === null) throw new Refusal(`bridge ${name} does not exist!`, 1);
      throw new Refusal(`device ${name} is not a bridge!`, 1);
    }
  if (command === "showmacs")
    return showMacs(
      bridges.find(({ name }) => name === names[0]),
      machine,
    );
  const chosen =
    names.length === 0 ? byName(bridges) : names.map((name) => bridges.find((bridge) => bridge.name === name)!);
  return printed(HEAD + chosen.map(bridgeText).join(""));
}

const byName = <T extends { readonly name: string }>(all: readonly T[]): T[] =>
  [...all].sort((a, b) => (a.name < b.name ? -1 : 1));

function bridgeText(bridge: Bridge): string {
  const id = formatMac(bridge.macHigh, bridge.macLow).replaceAll(":", "");
  const [first = "", ...others] = byName(bridge.ports.map(({ device }) => device)).map(({ name }) => name);
  const more = others.map((name) => `\t\t\t\t\t\t\t${name}\n`).join("");
  return `${bridge.name}\t\t8000.${id}\tno\t\t${first}\n${more}`;
}

/** Ports are counted in the order in which they were attached. */
const numberOf = (bridge: Bridge, port: BridgePort | null): number =>
  port === null ? 0 : bridge.ports.length - bridge.ports.indexOf(port);

function showMacs(bridge: Bridge | undefined, machine: Machine): Printed {
  if (bridge === undefined) throw new Refusal("Usage: brctl showmacs BRIDGE", 1);
  const entries = [...bridge.fdb].filter(({ port }) => port !== null);
  const rows = entries.map((entry) => {
    const local = entry.kind === "permanent";
    const age = entry.kind === "learned" ? (nowOf(machine) - entry.updated) / 1e9 : 0;
    const mac = formatMac(entry.high, entry.low);
    const number = numberOf(bridge, entry.port);
    return {
      mac,
      text: `${String(number).padStart(3)}\t${mac}\t${local ? "yes" : "no"}\t\t${age.toFixed(2).padStart(7)}\n`,
    };
  });
  rows.sort((a, b) => (a.mac < b.mac ? -1 : 1));
  return printed(`port no\tmac addr\t\tis local?\tageing timer\n${rows.map(({ text }) => text).join("")}`);
}
