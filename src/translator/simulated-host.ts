import type { Errno } from "../kernel/protocol.ts";
import type { Fabric } from "../link/fabric.ts";
import type { PingSockets } from "../socket/ping.ts";
import type { TcpSocket, TcpSockets } from "../socket/tcp.ts";
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
  HostStreamEvents,
} from "./host-sockets.ts";

/** The sockets of one simulated namespace. */
export interface Sockets {
  readonly udp: UdpSockets;
  readonly ping: PingSockets;
  readonly tcp: TcpSockets;
}

/** The translator's host as a namespace of the same world. */
export class SimulatedHost implements HostSockets {
  constructor(
    private readonly fabric: Fabric,
    private readonly sockets: Sockets,
  ) {}

  /** What the host sends during `action` is on behalf of the guest's packet `cause`. */
  onBehalfOf<T>(cause: number, action: () => T): T {
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

  connect(to: Endpoint, ttl: number, events: HostStreamEvents, cause: number): HostStream | Errno {
    const socket = this.sockets.tcp.open({ ttl, noDelay: true });
    const stream = new SimulatedStream(this, socket, to);
    stream.hear(events);
    const refused = this.onBehalfOf(cause, () => socket.connect(to.address, to.port));
    return refused ?? stream;
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

  listen(at: Endpoint, accepted: (stream: HostStream, cause: number) => HostStreamEvents): HostListener | Errno {
    const socket = this.sockets.tcp.open({ noDelay: true });
    const refused = socket.bind(at.address, at.port) ?? socket.listen();
    if (refused !== null) {
      socket.close();
      return refused;
    }
    socket.onAccept = (child) => {
      const stream = new SimulatedStream(this, child, child.peer!);
      stream.hear(accepted(stream, this.cause));
    };
    return { local: socket.local, close: () => socket.close() };
  }

  /** The packet that the host's TCP is dealing with. */
  get cause(): number {
    return this.sockets.tcp.cause;
  }
}

/** A stream that is a TCP socket of the namespace. */
class SimulatedStream implements HostStream {
  private ended = false;
  private over = false;

  constructor(
    private readonly host: SimulatedHost,
    private readonly socket: TcpSocket,
    readonly peer: Endpoint,
  ) {}

  hear(events: HostStreamEvents): void {
    const { socket, host } = this;
    let connected = socket.state !== "CLOSE" && socket.state !== "SYN_SENT";
    socket.onConnect = () => {
      connected = true;
      events.connected(host.cause);
    };
    socket.onReadable = () => events.readable(host.cause);
    socket.onWritable = () => events.writable(host.cause);
    socket.onError = (errno) => {
      this.over = true;
      const { lastIcmp } = socket;
      if (connected) events.closed(errno, host.cause);
      else events.failed({ errno, icmp: lastIcmp }, host.cause);
    };
    socket.onClose = () => {
      if (!this.over) events.closed(null, host.cause);
      this.over = true;
    };
  }

  get local(): Endpoint {
    return this.socket.local;
  }

  read(most: number): Uint8Array | null {
    return this.socket.read(most);
  }

  write(data: Uint8Array, cause: number): number {
    const taken = this.host.onBehalfOf(cause, () => this.socket.write(data));
    return typeof taken === "number" ? taken : 0;
  }

  end(cause: number): void {
    if (this.ended) return;
    this.ended = true;
    this.host.onBehalfOf(cause, () => this.socket.shutdown("write"));
  }

  destroy(cause: number): void {
    this.over = true;
    this.host.onBehalfOf(cause, () => this.socket.abort());
  }
}
