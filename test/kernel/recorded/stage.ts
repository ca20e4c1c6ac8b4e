import { frameBytes } from "../../../src/scenario/lab-packet.ts";
import { buildLab } from "../../../src/scenario/lab-world.ts";
import type { TcpSocket } from "../../../src/socket/tcp.ts";
import { formatIpv4, formatMac, parseIpv4 } from "../../../src/wire/address.ts";
import * as icmp from "../../../src/wire/icmp.ts";
import * as ipv4 from "../../../src/wire/ipv4.ts";
import type { World } from "../../../src/world/world.ts";
import { attachments, type RecordedHost, recordedNetwork } from "./network.ts";
import { Listener, type Protocol } from "./retell.ts";

export const INTERNET = "203.0.113.10";
const MILLISECOND = 1e6;
const DNS = 53;

type Target = readonly [address: string, port: number];

/** An address record; its name stands there again, or is a pointer to the question's. */
interface Answer {
  readonly address: string;
  readonly ttl: number;
  readonly pointer: boolean;
}

/** The network of a run with what was done in it, and what the commands of the run printed. */
export class Stage {
  readonly said: string[] = [];
  readonly world: World;
  private readonly listener: Listener;

  /** Every neighbour is known, as when the recording began; conntrack is empty. */
  constructor(host: RecordedHost, namespace: string) {
    this.world = buildLab(recordedNetwork(host));
    for (const { net } of this.world.hosts.values())
      for (const option of ["sack", "timestamps", "window_scaling"]) net.sysctls.set(`net.ipv4.tcp_${option}`, 1);
    for (const { address } of attachments(host)) this.greet("host", address);
    for (const { container, gateway, address } of attachments(host)) {
      for (const to of [INTERNET, gateway]) this.greet(container, to);
      for (const other of attachments(host)) if (other.gateway === gateway) this.greet(other.container, address);
    }
    for (const to of ["192.168.65.3", INTERNET]) this.greet("lan", to);
    for (const name of ["host", "gw", namespace]) this.world.host(name).net.tracker.flush();
    this.listener = new Listener(this.world, namespace);
  }

  private greet(from: string, to: string): void {
    this.world.host(from).ping.socket().send(parseIpv4(to), 1);
    this.world.settle();
  }

  retell(protocol: Protocol): string {
    return this.listener.retell(this.said, protocol);
  }

  run(milliseconds: number): void {
    this.world.run(this.world.fabric.scheduler.now + milliseconds * MILLISECOND);
  }

  /** One request of `ping`, with the identifier that the recording shows. */
  ping(from: string, to: string, identifier: number, size = 56): void {
    const socket = this.world.host(from).ping.socket(identifier);
    socket.onReply = (echo) =>
      this.said.push(`${echo.bytes} bytes from ${formatIpv4(echo.from)}: icmp_seq=${echo.sequence} ttl=${echo.ttl}`);
    socket.onError = ({ sequence, error: { from: router, type, code, information } }) => {
      const what =
        type === icmp.UNREACHABLE && code === icmp.HOST_UNREACHABLE
          ? "Destination Host Unreachable"
          : `Frag needed and DF set (mtu = ${information})`;
      this.said.push(`From ${formatIpv4(router)} icmp_seq=${sequence} ${what}`);
    };
    const discovery = size > 56 ? 2 : 1;
    for (const sequence of size > 56 ? [1, 2] : [1]) {
      const errno = socket.send(parseIpv4(to), sequence, { size, discovery });
      if (errno === "EMSGSIZE")
        this.said.push(`ping: local error: message too long, mtu=${socket.pathMtu(parseIpv4(to))}`);
      this.run(300);
    }
  }

  /** The UDP probes of a traceroute, from and to the recorded ports. */
  traceroute(from: string, to: string, ports: readonly number[]): void {
    for (const [index, port] of ports.entries()) {
      const socket = this.world.host(from).udp.open({ ttl: index + 1, reportErrors: true });
      socket.bind(0, port);
      socket.send(new Uint8Array(24), { address: parseIpv4(to), port: 33_434 + index });
      this.world.settle();
      this.said.push(`${index + 1}  ${this.lastError(from)}`);
    }
  }

  /** The last frame that reached a namespace, as the recorder's traceroute printed ICMP errors. */
  private lastError(namespace: string): string {
    const received = this.listener.framesOf(namespace).filter(({ frame }) => frame.direction === "in");
    const { bytes } = received[received.length - 1]!.frame;
    const view = new DataView(bytes.buffer, bytes.byteOffset + 14);
    const quoted = 20 + icmp.ICMP_HEADER;
    const route = `${formatIpv4(ipv4.source(view, quoted))}->${formatIpv4(ipv4.destination(view, quoted))}`;
    const what = `icmp type=${icmp.type(view, 20)} code=${icmp.code(view, 20)} outer_ttl=${ipv4.ttl(view, 0)}`;
    return `${formatIpv4(ipv4.source(view, 0))}  ${what} quoted ${route}`;
  }

  /** The recorder's server: it tells each client whom it sees, and ends. */
  serve(namespace: string, port: number): void {
    const listener = this.world.host(namespace).tcp.open();
    listener.bind(0, port);
    listener.listen();
    listener.onAccept = (socket) => {
      this.after(0.14, () => {
        const local = formatIpv4(socket.local.address);
        socket.write(encode(`server sees peer=${endpoint(socket.peer!)} local=${local}\n`));
        socket.close();
      });
    };
  }

  /** The recorder's client, from the recorded port: it reads once, and ends 1.4 ms later; it waits less than two seconds. */
  connect(from: string, [to, port]: Target, sport: number): void {
    const socket = this.world.host(from).tcp.open();
    socket.bind(0, sport);
    socket.onReadable = () => {
      socket.onReadable = null;
      const reply = new TextDecoder().decode(socket.read() ?? new Uint8Array(0)).trimEnd();
      this.said.push(`client local=${endpoint(socket.local)} -> ${to} | reply: ${reply}`);
      this.after(1.4, () => socket.close());
    };
    socket.onError = (errno) => this.said.push(`client error: ${PYTHON[errno] ?? errno}`);
    socket.connect(parseIpv4(to), port);
    this.run(1900);
    if (this.said.length === 0) this.said.push("client error: TimeoutError('timed out')");
  }

  /**
   * docker-proxy: it dials the backend, from the recorded port, once it has accepted. `ending` is how long it takes, in
   * milliseconds, to pass on that one side has ended.
   */
  proxy(port: number, [to, backendPort]: Target, sport: number, ending = 0.01): void {
    const { tcp } = this.world.host("host");
    const listener = tcp.open();
    listener.bind(0, port);
    listener.listen();
    listener.onAccept = (client) => {
      const backend = tcp.open();
      backend.bind(0, sport);
      this.after(0.09, () => backend.connect(parseIpv4(to), backendPort));
      this.pipe(backend, client, ending);
      this.pipe(client, backend, ending);
    };
  }

  private pipe(from: TcpSocket, into: TcpSocket, ending: number): void {
    from.onReadable = () =>
      this.after(0.03, () => {
        for (let data = from.read(); data === null || data.length > 0; data = from.read()) {
          if (data === null) {
            this.after(ending, () => into.shutdown("write"));
            return;
          }
          into.write(data);
        }
      });
  }

  /** A frame with a SYN from the LAN straight to the host, and who answers. */
  forge(to: string, [source, sport]: Target, [destination, port]: Target): void {
    const lan = this.world.device("lan", "eth0");
    const frame = {
      eth: { src: formatMac(lan.macHigh, lan.macLow), dst: to },
      ip: { src: source, dst: destination },
      tcp: { sport, dport: port, seq: 1000, flags: "S", win: 64_240 },
    };
    lan.send(this.world.fabric.inject(frameBytes(frame), lan.place));
    this.run(1500);
    const { frame: answer } = this.listener.framesOf("lan").find(({ frame }) => frame.direction === "in")!;
    const view = new DataView(answer.bytes.buffer, answer.bytes.byteOffset + 14);
    const [from, at] = [ipv4.source(view, 0), 20];
    const whom = `${formatIpv4(from)} ${view.getUint16(at)} -> ${source} ${view.getUint16(at + 2)}`;
    this.said.push(`reply ${whom} flags=0x${view.getUint8(at + 13).toString(16)}`);
  }

  private after(milliseconds: number, action: () => void): void {
    this.world.fabric.scheduler.timer(action).armIn(milliseconds * MILLISECOND);
  }

  /** A DNS server that gives every name one address; it writes the name again, or points at the question. */
  dnsServer(namespace: string, [address, port]: Target, answer: Answer): void {
    const server = this.world.host(namespace).udp.open();
    server.bind(parseIpv4(address), port);
    server.onReceive = ({ from, data }) => server.send(dnsResponse(data, answer), from);
  }

  /** A DNS server that asks another one, from the recorded port. */
  dnsForwarder(namespace: string, [address, port]: Target, upstream: string, sport: number): void {
    const server = this.world.host(namespace).udp.open();
    server.bind(parseIpv4(address), port);
    const client = this.world.host(namespace).udp.open();
    client.bind(0, sport);
    server.onReceive = ({ from, data }) => {
      client.onReceive = (response) => server.send(response.data, from);
      client.send(data, { address: parseIpv4(upstream), port: DNS });
    };
  }

  /** Asks for the address of a name, from the recorded port. */
  dnsQuery(from: string, name: string, to: string, { port, id }: { readonly port: number; readonly id: number }): void {
    const socket = this.world.host(from).udp.open();
    socket.bind(0, port);
    socket.onReceive = ({ from: server, data }) => {
      const view = new DataView(data.buffer, data.byteOffset);
      const what = `1 ttl=${view.getUint32(data.length - 10)} ${formatIpv4(view.getInt32(data.length - 4))}`;
      const header = `rcode=0 flags=${view.getUint16(2).toString(16)} ra=1 aa=0`;
      const whom = `('${formatIpv4(server.address)}', ${server.port})`;
      this.said.push(`${name} A @${to}: from=${whom} ${header} answers=['${what}']`);
    };
    const labels = name.split(".").flatMap((label) => [label.length, ...encode(label)]);
    const query = [id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1];
    socket.send(Uint8Array.from(query), { address: parseIpv4(to), port: DNS });
    this.run(50);
  }
}

const PYTHON: Readonly<Record<string, string>> = {
  ECONNREFUSED: "ConnectionRefusedError(111, 'Connection refused')",
};

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const endpoint = ({ address, port }: { readonly address: number; readonly port: number }): string =>
  `${formatIpv4(address)}:${port}`;

function dnsResponse(query: Uint8Array, { address, ttl, pointer }: Answer): Uint8Array {
  const question = query.subarray(12);
  const name = pointer ? [0xc0, 12] : question.subarray(0, -4);
  const value = address.split(".").map(Number);
  const record = [...name, 0, 1, 0, 1, 0, 0, ttl >> 8, ttl & 255, 0, 4, ...value];
  return Uint8Array.from([...query.subarray(0, 2), 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, ...question, ...record]);
}
