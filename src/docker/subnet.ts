import { type NetworkSpec, refuse } from "./command.ts";
import type { Daemon } from "./daemon.ts";
import { type Engine, isBefore } from "./engine.ts";
import { gatewayMode } from "./gateway-mode.ts";
import { freeSubnet, holds, overlaps } from "./ipam.ts";
import type { Ipam } from "./model.ts";

/** The subnet of a network and its gateway: what was asked for, else the first of the pools that is free. @throws {Refusal} */
export function allocateSubnet({ networks, options, host, engine }: Daemon, spec: NetworkSpec): Ipam {
  const taken = [...networks.values()].flatMap(({ ipam }) => (ipam === null ? [] : [ipam.subnet]));
  const { subnet: chosen, range, gateway, auxiliary } = spec;
  if (chosen === null) {
    const subnet = freeSubnet(options.pools, [...taken, ...host.networks]);
    if (subnet === null)
      throw refuse(spec.name, "a network with a subnet of its own, for there is no pool left", dryPools(engine));
    const first = isolated(spec) ? null : (subnet.address + 1) | 0;
    return { subnet, range: null, gateway: first, auxiliary, chosen: false };
  }
  const { prefix: subnet } = chosen;
  if (taken.some((other) => overlaps(other, subnet)))
    throw refuse(chosen, "a subnet that no other network has", poolOverlap(engine));
  for (const inside of [gateway, range])
    if (inside !== null && !holds(subnet, "address" in inside ? inside.address : inside.prefix.address))
      throw refuse(inside, `an address of ${chosen.text}`, `no matching subnet for gateway ${inside.text}`);
  const pool = range?.prefix ?? subnet;
  const lowest = range === null ? (subnet.address + 1) | 0 : pool.address | (pool.address === subnet.address ? 1 : 0);
  const own = isolated(spec) ? null : (gateway?.address ?? lowest);
  return { subnet, range: range?.prefix ?? null, gateway: own, auxiliary, chosen: true };
}

const isolated = (spec: NetworkSpec): boolean => gatewayMode(spec) === "isolated";

/** The pools have run dry. */
export function dryPools(engine: Engine): string {
  return isBefore(engine, 25)
    ? "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
    : "all predefined address pools have been fully subnetted";
}

function poolOverlap(engine: Engine): string {
  const overlap = "Pool overlaps with other one on this address space";
  return isBefore(engine, 25) ? overlap : `invalid pool request: ${overlap}`;
}
