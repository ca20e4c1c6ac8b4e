import type { Operation } from "../docker/operation.ts";
import type { Plan } from "../docker/plan.ts";
import type { Namespace } from "../kernel/namespace.ts";
import { IpSetNetworks } from "../kernel/netfilter/ipset.ts";
import { formatTables } from "../kernel/netfilter/rule-format.ts";
import { Veth } from "../link/veth.ts";
import { formatIpv4 } from "../wire/address.ts";
import type { World } from "../world/world.ts";

const MAIN = 254;

const operations = (plan: Plan): Operation[] => plan.steps.flatMap((step) => step.operations);

/** The cables that are not among `known`. */
export function dockerCables(world: World, known: readonly (readonly [string, string])[]): [string, string][] {
  const seen = new Set(known.flat());
  const cables: [string, string][] = [];
  for (const [name, { net }] of world.hosts)
    for (const { device } of net.inDevices.values()) {
      const end = `${name}/${device.name}`;
      if (!(device instanceof Veth) || seen.has(end)) continue;
      const other = `${device.peer.namespace}/${device.peer.name}`;
      seen.add(end).add(other);
      cables.push([end, other]);
    }
  return cables;
}

/** What it set, in the order in which it did. */
export function dockerSysctls(plan: Plan, namespace: string): Record<string, number> {
  const sysctls: Record<string, number> = {};
  for (const operation of operations(plan))
    if (operation.kind === "sysctl" && operation.namespace === namespace) sysctls[operation.key] = operation.value;
  return sysctls;
}

/** The routes of a namespace that Docker made, without those that its addresses bring. */
export function dockerRoutes(net: Namespace): string[] | undefined {
  const routes = [...net.fib].filter(({ table, protocol }) => table === MAIN && protocol !== "kernel");
  if (routes.length === 0) return undefined;
  return routes.map(({ length, destination, gateway, device }) => {
    const prefix = length === 0 ? "default" : `${formatIpv4(destination)}/${length}`;
    return `${prefix}${gateway === 0 ? "" : ` via ${formatIpv4(gateway)}`} dev ${device!.device.name}`;
  });
}

/** All rules of a namespace in which Docker changed some; null for another. */
export function dockerRules(plan: Plan, net: Namespace): string | null {
  const changed = operations(plan).some((operation) => operation.kind === "rules" && operation.namespace === net.name);
  return changed ? formatTables([...net.netfilter.tables.values()], { counters: false }) : null;
}

/** `given`, and the sets that Docker made. */
export function dockerIpsets(plan: Plan, net: Namespace, given: string | undefined): string | undefined {
  const made = new Set<string>();
  for (const operation of operations(plan))
    if (operation.kind === "rules" && operation.namespace === net.name && "set" in operation.change)
      if (operation.change.kind === "set") made.add(operation.change.set);
  const lines = [...net.sets.values()].flatMap((set) => {
    if (!made.has(set.name) || !(set instanceof IpSetNetworks)) return [];
    const members = set.networks().map(({ address, length }) => `add ${set.name} ${formatIpv4(address)}/${length}`);
    return [`create ${set.name} hash:net`, ...members];
  });
  if (lines.length === 0) return given;
  return `${given === undefined ? "" : `${given.trimEnd()}\n`}${lines.join("\n")}\n`;
}
