import type { Errno } from "../kernel/protocol.ts";
import { formatIpv4, formatPrefix, type Prefix, parsePrefix } from "../wire/address.ts";
import type {
  Endpoint,
  HostDatagramEvents,
  HostDatagrams,
  HostListener,
  HostPing,
  HostPingEvents,
  HostSockets,
  HostStream,
  HostStreamEvents,
} from "./host-sockets.ts";

/** Destinations that guests may reach: a prefix, at one port or at all. */
export interface Allowance {
  readonly prefix: Prefix;
  /** Null for every port. */
  readonly port: number | null;
}

/** `10.0.0.0/8`, `192.0.2.1:80`, `0.0.0.0/0:443`. @throws {RangeError} with the reason. */
export function parseAllowance(text: string): Allowance {
  const [, network = "", digits] = /^([\d./]+?)(?::(\d{1,5}))?$/.exec(text) ?? [];
  const port = digits === undefined ? null : Number(digits);
  if (port !== null && (port < 1 || port > 65_535)) throw new RangeError(`not a port: ${digits}`);
  return { prefix: parsePrefix(network), port };
}

export const formatAllowance = ({ prefix, port }: Allowance): string =>
  `${formatPrefix(prefix)}${port === null ? "" : `:${port}`}`;

/** The host's own loopback, which guests may always reach. */
const LOOPBACK: Allowance = { prefix: parsePrefix("127.0.0.0/8"), port: null };

/** Lets guests reach the host's loopback, and what was allowed besides; all else is refused with EACCES, and told. */
export class GuardedHost implements HostSockets {
  private readonly allowed: readonly Allowance[];

  constructor(
    private readonly host: HostSockets,
    allowed: readonly Allowance[],
    /** Told of each refusal and of the guest's packet that it is about. */
    private readonly refused: (reason: string, cause: number) => void,
  ) {
    this.allowed = [LOOPBACK, ...allowed];
  }

  private allows(to: Endpoint, cause: number): boolean {
    for (const { prefix, port } of this.allowed)
      if ((to.address & prefix.mask) === prefix.address && (port === null || port === to.port)) return true;
    const name = to.port === 0 ? formatIpv4(to.address) : `${formatIpv4(to.address)}:${to.port}`;
    this.refused(
      `${name} is not allowed: guests reach this host's loopback alone, unless --allow ${name} says more`,
      cause,
    );
    return false;
  }

  connect(to: Endpoint, ttl: number, events: HostStreamEvents, cause: number): HostStream | Errno {
    return this.allows(to, cause) ? this.host.connect(to, ttl, events, cause) : "EACCES";
  }

  datagrams(local: Endpoint | null, peer: Endpoint | null, events: HostDatagramEvents): HostDatagrams | Errno {
    const socket = this.host.datagrams(local, peer, events);
    if (typeof socket === "string") return socket;
    return {
      get local() {
        return socket.local;
      },
      send: (data, to, ttl, cause) => (this.allows(to, cause) ? socket.send(data, to, ttl, cause) : "EACCES"),
      close: () => socket.close(),
    };
  }

  ping(events: HostPingEvents): HostPing | null {
    const socket = this.host.ping(events);
    if (socket === null) return null;
    return {
      identifier: socket.identifier,
      send: (data, to, sequence, ttl, cause) =>
        this.allows({ address: to, port: 0 }, cause) ? socket.send(data, to, sequence, ttl, cause) : "EACCES",
      close: () => socket.close(),
    };
  }

  listen(at: Endpoint, accepted: (stream: HostStream, cause: number) => HostStreamEvents): HostListener | Errno {
    return this.host.listen(at, accepted);
  }
}
