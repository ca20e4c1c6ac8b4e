import dgram from "node:dgram";
import net from "node:net";
import type { Errno } from "../../kernel/protocol.ts";
import { ERRNOS } from "../../socket/strerror.ts";
import type {
  Endpoint,
  HostDatagramEvents,
  HostDatagrams,
  HostListener,
  HostSockets,
  HostStream,
  HostStreamEvents,
} from "../../translator/host-sockets.ts";
import { formatIpv4, parseIpv4 } from "../../wire/address.ts";
import { BATCH, BatchWriter } from "./batch.ts";

/** Bytes that wait for the host's kernel before a stream takes no more. */
const MOST_WAITING = 1 << 20;
const NOWHERE: Endpoint = { address: 0, port: 0 };

const errnoOf = (error: Error): Errno => {
  const { code } = error as NodeJS.ErrnoException;
  return ERRNOS.find((errno) => errno === code) ?? "ECONNABORTED";
};

const endpoint = (address: string | undefined, port: number | undefined): Endpoint =>
  address === undefined || !net.isIPv4(address) ? NOWHERE : { address: parseIpv4(address), port: port ?? 0 };

/**
 * The sockets of this machine, by Node's `net` and `dgram`. `enter` runs what a socket has to say at its moment of
 * virtual time. Node has no ICMP echo socket, does not set the TTL of TCP and tells no ICMP errors: `ping` gives none.
 */
export class RealHost implements HostSockets {
  constructor(private readonly enter: (event: () => void) => void) {}

  connect(to: Endpoint, _ttl: number, events: HostStreamEvents): HostStream {
    return RealStream.connect(to, events, this.enter);
  }

  datagrams(local: Endpoint | null, peer: Endpoint | null, events: HostDatagramEvents): HostDatagrams | Errno {
    const socket = new RealDatagrams(peer, events, this.enter);
    const refused = socket.bind(local ?? NOWHERE);
    if (refused === null) return socket;
    socket.close();
    return refused;
  }

  ping(): null {
    return null;
  }

  /** Node binds later: what goes wrong then is thrown, and ends the process with the reason. */
  listen(at: Endpoint, accepted: (stream: HostStream, cause: number) => HostStreamEvents): HostListener {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.enter(() => RealStream.accept(socket, accepted, this.enter)),
    );
    // The session lasts as long as its link.
    server.listen(at.port, formatIpv4(at.address)).unref();
    return { local: at, close: () => server.close() };
  }
}

class RealStream implements HostStream {
  local: Endpoint = NOWHERE;
  peer: Endpoint = NOWHERE;
  private socket!: net.Socket;
  private events!: HostStreamEvents;
  /** What has come and is not read; it is Node's buffer again once it is empty. */
  private incoming: Uint8Array = EMPTY;
  private ended = false;
  /** Someone waits to be told that there is something to read. */
  private hungry = true;
  /** Bytes are being told of, so that the socket goes on by itself. */
  private arriving = false;
  private writer!: BatchWriter;
  private full = false;
  private ending = false;
  private connected = false;
  private error: Errno | null = null;
  private over = false;

  private constructor(private readonly enter: (event: () => void) => void) {}

  static connect(to: Endpoint, events: HostStreamEvents, enter: (event: () => void) => void): RealStream {
    const stream = new RealStream(enter);
    stream.peer = to;
    stream.events = events;
    const buffer = Buffer.allocUnsafeSlow(BATCH);
    const socket = net.connect({
      host: formatIpv4(to.address),
      port: to.port,
      allowHalfOpen: true,
      noDelay: true,
      onread: { buffer, callback: (length) => stream.arrived(buffer.subarray(0, length)) },
    });
    stream.adopt(socket);
    socket.on("connect", () => enter(() => stream.opened()));
    return stream;
  }

  static accept(
    socket: net.Socket,
    accepted: (stream: HostStream, cause: number) => HostStreamEvents,
    enter: (event: () => void) => void,
  ): void {
    const stream = new RealStream(enter);
    socket.setNoDelay(true);
    stream.peer = endpoint(socket.remoteAddress, socket.remotePort);
    stream.local = endpoint(socket.localAddress, socket.localPort);
    stream.connected = true;
    stream.adopt(socket);
    stream.events = accepted(stream, 0);
    socket.on("data", (data: Buffer) => {
      if (!stream.arrived(data)) socket.pause();
    });
    if (!stream.over) socket.resume();
  }

  private adopt(socket: net.Socket): void {
    this.socket = socket;
    this.writer = new BatchWriter(
      socket,
      () => this.drained(),
      () => {
        if (this.ending && !this.over) this.socket.end();
      },
    );
    socket.on("end", () => this.enter(() => this.sawEnd()));
    socket.on("error", (error) => {
      this.error = errnoOf(error);
    });
    socket.on("close", () => this.enter(() => this.closed()));
  }

  private opened(): void {
    if (this.over) return;
    this.connected = true;
    this.local = endpoint(this.socket.localAddress, this.socket.localPort);
    this.events.connected(0);
  }

  private closed(): void {
    if (this.over) return;
    this.over = true;
    if (this.connected) this.events.closed(this.error, 0);
    else this.events.failed({ errno: this.error ?? "ECONNREFUSED", icmp: null }, 0);
  }

  // In.

  /** False where nobody has asked for more: the bytes may still be in use. */
  private arrived(data: Uint8Array): boolean {
    if (this.over) return true;
    this.incoming = data;
    this.arriving = true;
    this.enter(() => this.tell());
    this.arriving = false;
    return this.hungry;
  }

  private sawEnd(): void {
    this.ended = true;
    this.tell();
  }

  private tell(): void {
    if (!this.hungry || this.over) return;
    this.hungry = false;
    this.events.readable(0);
  }

  read(most: number): Uint8Array | null {
    const { incoming } = this;
    if (incoming.length === 0) {
      if (this.ended) return null;
      this.hungry = true;
      if (!this.arriving && !this.over) this.socket.resume();
      return EMPTY;
    }
    const data = incoming.length <= most ? incoming : incoming.subarray(0, most);
    this.incoming = incoming.length <= most ? EMPTY : incoming.subarray(most);
    return data;
  }

  // Out.

  write(data: Uint8Array): number {
    const { writer } = this;
    const taken = Math.min(data.length, Math.max(0, MOST_WAITING - writer.waiting));
    for (let at = 0; at < taken; ) {
      const length = Math.min(taken - at, BATCH);
      writer.reserve(length);
      writer.buffer.set(length === data.length ? data : data.subarray(at, at + length), writer.held);
      writer.advance(length);
      at += length;
    }
    if (taken < data.length) this.full = true;
    return taken;
  }

  /** The kernel has taken something. */
  private drained(): void {
    if (!this.full || this.over || this.writer.waiting > MOST_WAITING / 2) return;
    this.full = false;
    this.enter(() => this.events.writable(0));
  }

  end(): void {
    this.ending = true;
    this.writer.schedule();
  }

  destroy(): void {
    if (this.over) return;
    const lost = this.incoming.length > 0 || this.writer.waiting > 0;
    this.over = true;
    if (lost && this.connected) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }
}

const EMPTY = new Uint8Array(0);

/** Answers at once, so that binding and sending happen inside the call. */
const AT_ONCE: dgram.SocketOptions["lookup"] = (address, _options, done) => done(null, address, 4);

class RealDatagrams implements HostDatagrams {
  private readonly socket = dgram.createSocket({ type: "udp4", lookup: AT_ONCE });
  local: Endpoint = NOWHERE;
  private ttl = 0;
  private failure: Errno | null = null;
  private open = true;

  constructor(
    peer: Endpoint | null,
    private readonly events: HostDatagramEvents,
    private readonly enter: (event: () => void) => void,
  ) {
    this.socket.on("message", (data, from) => {
      const sender = { address: parseIpv4(from.address), port: from.port };
      if (peer !== null && (sender.address !== peer.address || sender.port !== peer.port)) return;
      enter(() => {
        if (this.open) events.received(data, sender, 0);
      });
    });
    this.socket.on("error", (error) => {
      this.failure = errnoOf(error);
    });
  }

  bind({ address, port }: Endpoint): Errno | null {
    this.socket.unref();
    this.socket.bind({ address: formatIpv4(address), port, exclusive: true });
    if (this.failure !== null) return this.failure;
    this.local = endpoint(this.socket.address().address, this.socket.address().port);
    return null;
  }

  /** What Node's kernel refuses it says later, as an error. */
  send(data: Uint8Array, to: Endpoint, ttl: number): null {
    if (ttl !== 0 && ttl !== this.ttl) {
      this.socket.setTTL(ttl);
      this.ttl = ttl;
    }
    this.socket.send(Buffer.from(data), to.port, formatIpv4(to.address), (error) => {
      if (error === null || !this.open) return;
      this.enter(() => this.events.error({ errno: errnoOf(error), icmp: null }, to, 0));
    });
    return null;
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.socket.close();
  }
}
