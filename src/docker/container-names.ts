import type { Daemon } from "./daemon.ts";
import type { NameRecord } from "./operation.ts";
import type { ContainerRecord, NetworkRecord } from "./record.ts";
import { comesFirst } from "./sandbox.ts";

/** What a container's DNS server may answer: of each name, what the first of its networks says. */
export function tellNames(daemon: Daemon, container: ContainerRecord): void {
  const found = new Map<string, NameRecord[]>();
  for (const { network } of [...container.endpoints].sort(comesFirst)) {
    const here = namesOn(daemon, network);
    for (const [name, records] of here) if (!found.has(name)) found.set(name, records);
  }
  const names = [...found.values()].flat();
  if (JSON.stringify(names) === JSON.stringify(container.names)) return;
  container.names = names;
  daemon.step(`container ${container.name}: names that 127.0.0.11 answers`, [
    { kind: "names", namespace: container.namespace, records: names },
  ]);
}

function namesOn(daemon: Daemon, network: NetworkRecord): Map<string, NameRecord[]> {
  const names = new Map<string, NameRecord[]>();
  for (const { endpoints } of daemon.containers.values())
    for (const endpoint of endpoints)
      if (endpoint.network === network)
        for (const name of endpoint.dnsNames) {
          const record = { name, network: network.name, address: endpoint.address };
          names.set(name, [...(names.get(name) ?? []), record]);
        }
  return names;
}
