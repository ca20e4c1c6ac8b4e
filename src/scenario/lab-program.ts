import { PingSocket } from "../socket/ping.ts";
import { TcpSocket } from "../socket/tcp-socket.ts";
import { UdpSocket } from "../socket/udp.ts";
import type { SocketCall } from "../trace/socket-call.ts";
import { formatIpv4 } from "../wire/address.ts";
import type { World } from "../world/world.ts";
import type { JournalEntry } from "./journal.ts";
import type { LabStep } from "./lab-case.ts";
import { formatHex } from "./lab-packet.ts";

type Place = [string, number];

/** What of a raw packet is no data. */
const HEADERS = 28;
const HOW = ["read", "write", "both"] as const;

interface Known {
  readonly id: string;
  readonly ns: string;
  /** A case has it. */
  made: boolean;
  bind?: Place;
  /** What opened a UDP socket: to whom it speaks may have to know its port. */
  opening?: LabStep;
}

/** What programs asked of their sockets, as steps of a case. */
export class ProgramSteps {
  private readonly namespaces = new Map<object, string>();
  private readonly known = new Map<object, Known>();
  private last: LabStep | null = null;

  /** `world` is the one in which they ran, `hosts` are those that the case has; `lost` is told what it cannot say. */
  constructor(
    world: World,
    hosts: ReadonlyMap<string, unknown>,
    private readonly lost: Set<string>,
  ) {
    for (const [name, { udp, tcp, ping }] of world.hosts)
      if (hosts.has(name)) for (const sockets of [udp, tcp, ping]) this.namespaces.set(sockets, name);
  }

  steps({ socket, call, port }: Extract<JournalEntry, { call: SocketCall }>): readonly LabStep[] {
    const opening = this.known.get(socket)?.opening;
    if (port !== 0 && opening !== undefined) opening.bind ??= ["0.0.0.0", port];
    const steps = this.translated(socket, call);
    const { last } = this;
    this.last = steps.at(-1) ?? last;
    // A step reads all that is there.
    return call.name === "receive" && last?.op === "recv" && last.id === steps[0]?.id ? [] : steps;
  }

  private translated(socket: object, call: SocketCall): LabStep[] {
    if (!this.namespaces.has((socket as { sockets: object }).sockets)) return [];
    if (socket instanceof PingSocket && call.name === "echo") return this.echo(socket, call);
    if (socket instanceof UdpSocket || socket instanceof TcpSocket) return this.used(socket, call);
    return [];
  }

  private echo(socket: PingSocket, call: SocketCall & { name: "echo" }): LabStep[] {
    const { to, sequence, ttl, dontFragment, data, size = data?.length } = call;
    if (size! + HEADERS > socket.pathMtu(to)) {
      this.lost.add(`a ping of ${size} bytes, as raw packets are not fragmented`);
      return [];
    }
    const ip = { src: "0.0.0.0", dst: formatIpv4(to), ttl: ttl || 64, id: 0, df: dontFragment };
    const sent = data === null ? { size } : { hex: formatHex(data) };
    const icmp = { type: 8, id: socket.identifier, seq: sequence, ...sent };
    return [{ op: "raw", ns: this.namespaces.get(socket.sockets)!, pkt: { ip, icmp } } as LabStep];
  }

  private used(socket: UdpSocket | TcpSocket, call: SocketCall): LabStep[] {
    const known = this.find(socket);
    const { id } = known;
    switch (call.name) {
      case "bind":
        known.bind = [formatIpv4(call.address), call.port];
        return socket instanceof UdpSocket ? this.made(socket, known) : [];
      case "listen":
        known.made = true;
        return [{ op: "listen", ...this.opened(socket, known) }];
      case "connect":
        return [...this.made(socket, known), { op: "connect", id, to: [formatIpv4(call.address), call.port] }];
      case "accept": {
        const accepted = this.find(call.accepted as TcpSocket);
        accepted.made = true;
        return [{ op: "accept", id, as: accepted.id }];
      }
      case "send": {
        const to = call.to === null ? {} : { to: [formatIpv4(call.to.address), call.to.port] as Place };
        return [...this.made(socket, known), { op: "send", id, ...to, hex: formatHex(call.data) }];
      }
      case "receive":
        return [{ op: "recv", id }];
      case "shutdown":
        return [{ op: "shutdown", id, how: HOW.indexOf(call.how) }];
      case "close":
        return known.made ? [{ op: "close", id }] : [];
      default:
        return [];
    }
  }

  private find(socket: UdpSocket | TcpSocket): Known {
    const known = this.known.get(socket);
    if (known !== undefined) return known;
    const ns = this.namespaces.get(socket.sockets)!;
    const fresh = { ns, id: `${ns}-${this.known.size + 1}`, made: false };
    this.known.set(socket, fresh);
    return fresh;
  }

  private made(socket: UdpSocket | TcpSocket, known: Known): LabStep[] {
    if (known.made) return [];
    known.made = true;
    if (socket instanceof TcpSocket) return [{ op: "tcp", ...this.opened(socket, known) }];
    known.opening = { op: "udp", ...this.opened(socket, known) };
    return [known.opening];
  }

  private opened({ options }: UdpSocket | TcpSocket, { ns, id, bind }: Known): Omit<LabStep, "op"> {
    const { ttl, mark } = options;
    const discovery = "discovery" in options ? options.discovery : undefined;
    const opts = {
      ...(ttl === undefined ? {} : { ttl }),
      ...(mark === undefined ? {} : { mark }),
      ...(discovery === undefined ? {} : { pmtudisc: discovery }),
    };
    return { ns, id, ...(bind === undefined ? {} : { bind }), ...(Object.keys(opts).length === 0 ? {} : { opts }) };
  }
}
