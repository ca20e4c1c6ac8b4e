import type { Errno } from "../kernel/protocol.ts";
import type { Packet } from "../packet/packet.ts";
import type { Timer } from "../sim/scheduler.ts";
import { STEP, wordNumber } from "../trace/step.ts";
import { formatIpv4, parseIpv4 } from "../wire/address.ts";
import type { Guest } from "./guest.ts";
import type {
  Endpoint,
  HostDatagramEvents,
  HostDatagrams,
  HostListener,
  HostSockets,
  HostStream,
  HostStreamEvents,
} from "./host-sockets.ts";
import { StreamPair } from "./stream-pair.ts";
import type { Translator } from "./translator.ts";

const ACCEPT = wordNumber("call", "accept");
const SECOND = 1e9;
/** How long a client's datagrams keep their socket in the guest, vpnkit's `conntrack` of `vpnkit-forwarder`. */
const UDP_IDLE = 90 * SECOND;
const UDP_MOST = 1024;
/** Where the gateway's own ports begin (RFC 6335 section 6), from which it sends to a guest without a forwarder. */
const FIRST_PORT = 49_152;

/** A port of the host that leads into a guest: vpnkit's `tcp:0.0.0.0:8080:tcp:172.17.0.2:80`. */
export interface PublishedPort {
  readonly protocol: "tcp" | "udp";
  readonly outside: Endpoint;
  readonly inside: Endpoint;
}

/** @throws {RangeError} with the reason. */
export function parsePublishedPort(text: string): PublishedPort {
  const match = /^(tcp|udp):([\d.]+):(\d{1,5}):(tcp|udp):([\d.]+):(\d{1,5})$/.exec(text);
  if (match === null) throw new RangeError("expected a port such as tcp:0.0.0.0:8080:tcp:172.17.0.2:80");
  const [, protocol, outside, outsidePort, inner, inside, insidePort] = match;
  if (protocol !== inner) throw new RangeError(`${protocol} outside cannot be ${inner} inside`);
  return {
    protocol: protocol as "tcp" | "udp",
    outside: endpoint(outside!, outsidePort!),
    inside: endpoint(inside!, insidePort!),
  };
}

export const formatPublishedPort = ({ protocol, outside, inside }: PublishedPort): string =>
  `${protocol}:${name(outside)}:${protocol}:${name(inside)}`;

function endpoint(address: string, port: string): Endpoint {
  const number = Number(port);
  if (number < 1 || number > 65_535) throw new RangeError(`not a port: ${port}`);
  return { address: parseIpv4(address), port: number };
}

const name = ({ address, port }: Endpoint): string => `${formatIpv4(address)}:${port}`;

/**
 * The ports that one guest publishes. vpnkit carries each connection over a side channel to a forwarder in the guest,
 * which connects in its own name; gvproxy and slirp4netns connect over Ethernet, and so does what has no forwarder.
 */
export class PublishedPorts {
  private readonly open = new Map<PublishedPort, { close(): void }>();
  /** Who waits at the gateway's ports for datagrams of the guest. */
  private readonly waiting = new Map<number, { readonly peer: Endpoint; readonly events: HostDatagramEvents }>();

  constructor(private readonly guest: Guest) {}

  get all(): Iterable<PublishedPort> {
    return this.open.keys();
  }

  /** Listens; null, or why it cannot. */
  add(port: PublishedPort): Errno | null {
    const listener = port.protocol === "tcp" ? this.listen(port) : this.bind(port);
    if (typeof listener === "string") return listener;
    this.open.set(port, listener);
    return null;
  }

  remove(port: PublishedPort): void {
    this.open.get(port)?.close();
    this.open.delete(port);
  }

  private get translator(): Translator {
    return this.guest.translator;
  }

  /** Who speaks in the guest; null where it is reached over Ethernet. */
  private get forwarder(): HostSockets | null {
    return this.translator.behaviour.publish === "forwarder" ? this.guest.forwarder : null;
  }

  private listen(port: PublishedPort): HostListener | Errno {
    return this.translator.host.listen(port.outside, (stream, cause) => {
      const { forwarder } = this;
      this.tellAccepted(stream.peer, cause);
      if (forwarder === null) return this.overEthernet(port, stream, cause);
      this.say(
        cause,
        `the client's address ${name(stream.peer)} is lost here: a forwarder in the guest connects to ${name(port.inside)} in its own name`,
      );
      const pair = new StreamPair(stream);
      const second = forwarder.connect(port.inside, 0, pair.secondEvents, cause);
      if (typeof second === "string") stream.destroy(cause);
      else pair.second = second;
      return pair.firstEvents;
    });
  }

  private overEthernet(port: PublishedPort, stream: HostStream, cause: number): HostStreamEvents {
    const { addresses, behaviour } = this.translator;
    // 127.0.0.1 is no address to speak to a guest from (`tcp_listen()` of libslirp has the gateway's there too).
    const keeps = behaviour.publish === "from the client" && stream.peer.address >>> 24 !== 127;
    if (!keeps)
      this.say(
        cause,
        `the client's address ${name(stream.peer)} is lost here: the gateway connects to ${name(port.inside)} in its own name`,
      );
    const from = keeps ? stream.peer : { address: addresses.gateway, port: 0 };
    return this.guest.tcp.dial(stream, from, port.inside, cause);
  }

  // UDP.

  private bind(port: PublishedPort): HostDatagrams | Errno {
    const clients = new UdpClients(this.translator, port, {
      datagrams: (...at) => this.guest.forwarder?.datagrams(...at) ?? this.byGateway(...at),
    });
    const socket = this.translator.host.datagrams(port.outside, null, {
      received: (data, from, cause) => {
        const isNew = clients.received(data, from, cause);
        const who = this.guest.forwarder === null ? "the gateway" : "a forwarder in the guest";
        if (isNew)
          this.say(
            cause,
            `the client's address ${name(from)} is lost here: ${who} sends to ${name(port.inside)} in its own name`,
          );
      },
      error: () => {},
    });
    if (typeof socket === "string") return socket;
    clients.outside = socket;
    return { local: socket.local, send: socket.send.bind(socket), close: () => clients.close() };
  }

  /** A socket of the gateway's, on the guest's side. */
  private byGateway(_: Endpoint | null, peer: Endpoint | null, events: HostDatagramEvents): HostDatagrams | Errno {
    let port = FIRST_PORT;
    while (this.waiting.has(port)) port++;
    if (port > 65_535 || peer === null) return "EADDRNOTAVAIL";
    this.waiting.set(port, { peer, events });
    const local = { address: this.translator.addresses.gateway, port };
    return {
      local,
      send: (data, to, _ttl, cause) => {
        this.guest.output.udp(local, to, data, cause);
        return null;
      },
      close: () => this.waiting.delete(port),
    };
  }

  /** A datagram of the guest's to the gateway; true where it answers a client. Takes ownership then. */
  answered(packet: Packet, from: Endpoint, to: Endpoint, data: Uint8Array): boolean {
    const known = this.waiting.get(to.port);
    if (known === undefined || known.peer.address !== from.address || known.peer.port !== from.port) return false;
    const { fabric, place } = this.translator;
    const answer = data.slice();
    fabric.deliver(packet, place, `udp ${name(to)}`);
    known.events.received(answer, from, packet.id);
    return true;
  }

  // The trace.

  private tellAccepted({ address, port }: Endpoint, cause: number): void {
    const { fabric, place } = this.translator;
    fabric.trace?.step(STEP.call, cause, place, ACCEPT, address, port);
  }

  private say(packet: number, line: string): void {
    const { fabric, place } = this.translator;
    fabric.trace?.step(STEP.translator, packet, place, fabric.names.text(line));
  }
}

/** Who has sent to a published UDP port lately, each with a socket of the forwarder's. */
class UdpClients {
  outside: HostDatagrams | null = null;
  private readonly clients: { readonly client: Endpoint; readonly socket: HostDatagrams; lastUse: number }[] = [];
  private readonly timer: Timer;

  constructor(
    private readonly translator: Translator,
    private readonly port: PublishedPort,
    private readonly inside: Pick<HostSockets, "datagrams">,
  ) {
    this.timer = translator.fabric.scheduler.timer(() => this.expire(), true);
  }

  /** True for a client that was not known. */
  received(data: Uint8Array, from: Endpoint, cause: number): boolean {
    let known = this.clients.find(({ client }) => client.address === from.address && client.port === from.port);
    const isNew = known === undefined;
    if (known === undefined) {
      if (this.clients.length >= UDP_MOST) this.clients.shift()!.socket.close();
      const socket = this.inside.datagrams(null, this.port.inside, {
        received: (answer, _from, because) => this.outside?.send(answer, from, 0, because),
        error: () => {},
      });
      if (typeof socket === "string") return false;
      this.clients.push((known = { client: from, socket, lastUse: 0 }));
      if (!this.timer.armed) this.timer.armIn(UDP_IDLE);
    }
    known.lastUse = this.translator.now;
    known.socket.send(data, this.port.inside, 0, cause);
    return isNew;
  }

  private expire(): void {
    const { now } = this.translator;
    for (const client of this.clients.splice(0))
      if (now - client.lastUse >= UDP_IDLE) client.socket.close();
      else this.clients.push(client);
    if (this.clients.length > 0) this.timer.armIn(UDP_IDLE);
  }

  close(): void {
    this.timer.cancel();
    for (const { socket } of this.clients.splice(0)) socket.close();
    this.outside?.close();
  }
}
