import type { Endpoint } from "./host-sockets.ts";
import type { Role } from "./impersonation.ts";
import type { PublishedPort } from "./published-ports.ts";
import type { Translator } from "./translator.ts";

/** A host that the translator plays now. Times are nanoseconds. */
export interface EndpointRow {
  readonly guest: string;
  readonly role: Role;
  readonly remote: number;
  readonly local: number;
  readonly connections: number;
  readonly idle: number;
}

/** A flow of a guest and what stands for it outside. An ICMP flow has identifiers where others have ports. */
export interface FlowRow {
  readonly guest: string;
  readonly protocol: "icmp" | "tcp" | "udp";
  readonly number: number;
  readonly inside: Endpoint;
  /** Whom the guest talks to; null where anybody may answer. */
  readonly peer: Endpoint | null;
  /** The host's end; null until it has one. */
  readonly outside: Endpoint | null;
  /** Of the impersonated host's end, by Linux's names; CONNECTING while the host connects; empty for datagrams. */
  readonly state: string;
  /** Since its last use, and until it would expire; null where it does not. */
  readonly idle: number | null;
  readonly expires: number | null;
}

export interface PortRow extends PublishedPort {
  readonly guest: string;
}

/** What vpnkit serves as `endpoints`, `flows` and `ports`, as it is now. */
export interface Tables {
  readonly endpoints: readonly EndpointRow[];
  readonly flows: readonly FlowRow[];
  readonly ports: readonly PortRow[];
}

export function readTables(translator: Translator): Tables {
  const { now, behaviour } = translator;
  const endpoints: EndpointRow[] = [];
  const flows: FlowRow[] = [];
  const ports: PortRow[] = [];
  for (const one of translator.guests) {
    const guest = one.name;
    for (const { role, remote, local, lastUse, flows: connections } of one.allImpersonations()) {
      endpoints.push({ guest, role, remote, local, connections: connections.size, idle: now - lastUse });
      for (const { number, localPort, remotePort, connection, stream } of connections.values())
        flows.push({
          guest,
          protocol: "tcp",
          number,
          inside: { address: local, port: localPort },
          peer: { address: remote, port: remotePort },
          outside: stream?.local ?? null,
          state: connection?.state ?? "CONNECTING",
          idle: null,
          expires: null,
        });
    }
    for (const table of [one.udp, one.gatewayUdp])
      for (const { number, inside, peer, socket, lastUse, idle } of table.all)
        flows.push({
          guest,
          protocol: "udp",
          number,
          inside,
          peer,
          outside: socket.local,
          state: "",
          idle: now - lastUse,
          expires: lastUse + idle - now,
        });
    for (const { number, address, identifier, asked, socket, lastUse } of one.icmp.all())
      flows.push({
        guest,
        protocol: "icmp",
        number,
        inside: { address, port: identifier },
        peer: { address: asked, port: identifier },
        outside: { address: 0, port: socket.identifier },
        state: "",
        idle: now - lastUse,
        expires: lastUse + behaviour.icmp.idle * 1e9 - now,
      });
    for (const port of one.published.all) ports.push({ guest, ...port });
  }
  flows.sort((a, b) => a.number - b.number);
  return { endpoints, flows, ports };
}
