import type { MtuDiscovery } from "../kernel/protocol.ts";
import type { TcpSocket } from "../socket/tcp.ts";
import { UdpSocket } from "../socket/udp.ts";
import { formatIpv4, parseIpv4 } from "../wire/address.ts";
import type { World } from "../world/world.ts";
import type { LabStep } from "./lab-case.ts";
import { formatHex, payload } from "./lab-packet.ts";

type Result = Record<string, unknown>;

/** What one call of `recv` asks for, bytes. */
const READ = 65_536;
const HOW = ["read", "write", "both"] as const;

/** The steps of a case that use sockets, as the kernel harness does them. */
export class LabSockets {
  private readonly open = new Map<string, UdpSocket | TcpSocket>();

  constructor(private readonly world: World) {}

  udp(step: LabStep): Result {
    const socket = this.world.host(step.ns!).udp.open({
      reuse: true,
      reportErrors: true,
      ...this.options(step),
      broadcast: Boolean(step.opts?.["broadcast"]),
    });
    return this.bind(step, socket);
  }

  tcp(step: LabStep): Result {
    return this.bind(step, this.world.host(step.ns!).tcp.open({ reuse: true, ...this.options(step) }));
  }

  /** A socket that nobody can name is closed at once. */
  listen(step: LabStep): Result {
    const result = this.tcp(step);
    if (result["err"] !== undefined || step.id === undefined) return result;
    const failed = (this.open.get(step.id) as TcpSocket).listen(16);
    return failed === null ? {} : { err: failed };
  }

  private options({ ns, opts = {} }: LabStep) {
    const { ttl, mark, bindtodevice, transparent, pmtudisc } = opts;
    return {
      ...(ttl === undefined ? {} : { ttl: Number(ttl) }),
      ...(mark === undefined ? {} : { mark: Number(mark) }),
      ...(bindtodevice === undefined ? {} : { device: this.world.device(ns!, String(bindtodevice)).index }),
      ...(pmtudisc === undefined ? {} : { discovery: Number(pmtudisc) as MtuDiscovery }),
      transparent: Boolean(transparent),
    };
  }

  private bind(step: LabStep, socket: UdpSocket | TcpSocket): Result {
    if (step.bind !== undefined) {
      const failed = socket.bind(parseIpv4(step.bind[0]), step.bind[1]);
      if (failed !== null) return { err: failed };
    }
    if (step.id === undefined) socket.close();
    else {
      this.open.get(step.id)?.close();
      this.open.set(step.id, socket);
    }
    return {};
  }

  /** Does a step that uses the socket `id`. */
  use(step: LabStep): Result {
    const socket = this.open.get(step.id!);
    if (socket === undefined) return { err: `no socket '${step.id}'` };
    if (step.op === "close") {
      socket.close();
      this.open.delete(step.id!);
      return {};
    }
    return socket instanceof UdpSocket ? this.useUdp(socket, step) : this.useTcp(socket, step);
  }

  private useUdp(socket: UdpSocket, step: LabStep): Result {
    switch (step.op) {
      case "connect":
        return { err: socket.connect(...endpoint(step.to)) ?? 0 };
      case "accept":
        return { err: "EOPNOTSUPP" };
      case "send": {
        const data = payload(step);
        const to = step.to === undefined ? null : { address: endpoint(step.to)[0], port: endpoint(step.to)[1] };
        const failed = socket.send(data, to);
        return failed === null ? { n: data.length } : { err: failed };
      }
      case "recv":
        return receiveDatagrams(socket);
      case "errq":
        return errorQueue(socket);
      default: {
        const failed = socket.shutdown(HOW[step.how ?? 1]!);
        return failed === null ? {} : { err: failed };
      }
    }
  }

  private useTcp(socket: TcpSocket, step: LabStep): Result {
    switch (step.op) {
      case "connect":
        return { err: connect(socket, step.to) };
      case "accept":
        return this.accept(socket, step);
      case "send": {
        const taken = socket.write(payload(step));
        return typeof taken === "number" ? { n: taken } : { err: taken };
      }
      case "recv":
        return receiveStream(socket);
      case "errq":
        return { errq: [] };
      default: {
        const failed = socket.shutdown(HOW[step.how ?? 1]!);
        return failed === null ? {} : { err: failed };
      }
    }
  }

  private accept(listener: TcpSocket, step: LabStep): Result {
    if (!listener.listening) return { err: "EINVAL" };
    const socket = listener.accept();
    if (socket === null) return { err: "EAGAIN" };
    if (step.as === undefined) socket.close();
    else {
      this.open.get(step.as)?.close();
      this.open.set(step.as, socket);
    }
    return { from: [formatIpv4(socket.peer!.address), socket.peer!.port] };
  }
}

function receiveDatagrams(socket: UdpSocket): Result {
  const got: unknown[] = [];
  if (socket.pending !== null) {
    const err = socket.pending;
    socket.pending = null;
    return { got, err };
  }
  // The kernel harness reads until nothing is left or a datagram is empty.
  const empty = socket.received.findIndex(({ data }) => data.length === 0);
  for (const { from, data } of socket.received.splice(0, empty < 0 ? socket.received.length : empty + 1))
    got.push({ from: [formatIpv4(from.address), from.port], len: data.length, hex: formatHex(data.subarray(0, 64)) });
  return { got };
}

/** The kernel harness reads until nothing is left or the stream has ended. */
function receiveStream(socket: TcpSocket): Result {
  const got: unknown[] = [];
  for (;;) {
    const data = socket.receive(READ);
    if (data === "EAGAIN") return { got };
    if (typeof data === "string") return { got, err: data };
    got.push({ from: null, len: data.length, hex: formatHex(data.subarray(0, 64)) });
    if (data.length === 0) return { got };
  }
}

function errorQueue(socket: UdpSocket): Result {
  socket.pending = null;
  return {
    errq: socket.errors.splice(0).map(({ errno, error: { type, code, information, from }, to }) => ({
      errno,
      icmp: [type, code],
      info: information,
      offender: formatIpv4(from),
      to: [formatIpv4(to.address), to.port],
    })),
  };
}

/** 0 where the connection stands by now. */
function connect(socket: TcpSocket, to: LabStep["to"]): string | 0 {
  const failed = socket.connect(...endpoint(to));
  return failed ?? (socket.phase === "connected" ? 0 : "EINPROGRESS");
}

function endpoint(to: LabStep["to"]): [number, number] {
  if (!Array.isArray(to)) throw new RangeError("expected [address, port]");
  return [parseIpv4(to[0]), to[1]];
}
