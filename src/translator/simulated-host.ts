import type { Errno } from "../kernel/protocol.ts";
import type { Fabric } from "../link/fabric.ts";
import type { PingSockets } from "../socket/ping.ts";
import type { UdpSockets } from "../socket/udp.ts";
import type {
  Endpoint,
  HostDatagramEvents,
  HostDatagrams,
  HostListener,
  HostPing,
  HostPingEvents,
  HostSockets,
  HostStream,
} from "./host-sockets.ts";

/** The sockets of one simulated namespace. */
export interface Sockets {
  readonly udp: UdpSockets;
  readonly ping: PingSockets;
}

/** The translator's host as a namespace of the same world. */
export class SimulatedHost implements HostSockets {
  constructor(
    private readonly fabric: Fabric,
    private readonly sockets: Sockets,
  ) {}

  /** What the host sends during `action` is on behalf of the guest's packet `cause`. */
  private onBehalfOf<T>(cause: number, action: () => T): T {
    const { fabric } = this;
    fabric.scheduler.disable();
    const before = fabric.cause;
    fabric.cause = cause;
    try {
      return action();
    } finally {
      fabric.cause = before;
      fabric.scheduler.enable();
    }
  }

  connect(): HostStream | Errno {
    return "EOPNOTSUPP";
  }

  datagrams(local: Endpoint | null, peer: Endpoint | null, events: HostDatagramEvents): HostDatagrams | Errno {
    const options = { ttl: 0 };
    const socket = this.sockets.udp.open(options);
    const refused =
      socket.bind(local?.address ?? 0, local?.port ?? 0) ??
      (peer === null ? null : socket.connect(peer.address, peer.port));
    if (refused !== null) {
      socket.close();
      return refused;
    }
    socket.onReceive = ({ data, from, packet }) => events.received(data, from, packet);
    socket.onError = ({ errno, error, to, packet }) => events.error({ errno, icmp: error }, to, packet);
    return {
      local: { address: socket.address, port: socket.port },
      send: (data, to, ttl, cause) => {
        options.ttl = ttl;
        return this.onBehalfOf(cause, () => socket.send(data, to));
      },
      close: () => socket.close(),
    };
  }

  ping(events: HostPingEvents): HostPing {
    const socket = this.sockets.ping.socket();
    socket.onReply = ({ from, sequence, data, packet }) => events.echo(from, sequence, data, packet);
    socket.onError = ({ sequence, error, packet }) =>
      events.error({ errno: "EHOSTUNREACH", icmp: error }, sequence, packet);
    return {
      identifier: socket.identifier,
      send: (data, to, sequence, ttl, cause) => this.onBehalfOf(cause, () => socket.send(to, sequence, { data, ttl })),
      close: () => socket.close(),
    };
  }

  listen(): HostListener | Errno {
    return "EOPNOTSUPP";
  }
}
