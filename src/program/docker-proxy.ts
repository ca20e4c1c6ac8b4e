import type { Timer } from "../sim/scheduler.ts";
import { strerror } from "../socket/strerror.ts";
import type { TcpSocket } from "../socket/tcp-socket.ts";
import type { Received, UdpSocket } from "../socket/udp.ts";
import type { Arguments, Grammar, Word } from "./command-line.ts";
import { formatEndpoint } from "./datagram.ts";
import type { Environment, Program } from "./program.ts";
import { join, Stream } from "./stream.ts";

export interface DockerProxyOptions {
  readonly protocol: "tcp" | "udp";
  readonly host: { readonly address: number; readonly port: number };
  readonly container: { readonly address: number; readonly port: number };
}

const NAME = "docker-proxy";
/** `DefaultConnTrackTimeout`. */
const SESSION = 90e9;
const BACKLOG = 128;

export const DOCKER_PROXY_GRAMMAR: Grammar = {
  letters: "",
  long: { proto: ":", "host-ip": ":", "host-port": ":", "container-ip": ":", "container-port": ":" },
};

/** As dockerd starts it: `docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 80 -container-ip ... -container-port ...`. @throws {InputError}. */
export function parseDockerProxy(words: Arguments): Program {
  const needed = (name: string): Word => {
    const word = words.option(name);
    if (word === null) throw words.error(null, `-${name}`);
    return word;
  };
  const endpoint = (side: string) => ({
    address: words.address(needed(`${side}-ip`)),
    port: words.port(needed(`${side}-port`)),
  });
  const protocol = words.word("proto", "tcp", ["tcp", "udp"]);
  const options = { protocol, host: endpoint("host"), container: endpoint("container") };
  words.finish();
  return dockerProxy(options);
}

/** Docker's userland proxy: one published port, carried to one container by sockets. What the container sees is us. */
export function dockerProxy(options: DockerProxyOptions): Program {
  const start = options.protocol === "tcp" ? startTcp : startUdp;
  return { name: NAME, serves: true, start: (environment) => start(environment, options) };
}

/** `main()`: what cannot be listened on ends it. */
function refuseToListen(environment: Environment, { protocol, host }: DockerProxyOptions, reason: string): void {
  const at = formatEndpoint(host);
  environment.say(`failed to listen on ${at}: listen ${protocol}4 ${at}: bind: ${reason.toLowerCase()}`);
  environment.exit(1);
}

// TCP.

function startTcp(environment: Environment, options: DockerProxyOptions): void {
  const { host } = options;
  const socket = environment.tcp.open({ reuse: true });
  const failed = socket.bind(host.address, host.port) ?? socket.listen(BACKLOG);
  if (failed === null) socket.onAccept = (client) => forward(environment, options, client);
  else {
    socket.close();
    refuseToListen(environment, options, strerror(failed));
  }
}

/** `TCPProxy.clientLoop()`: the client is accepted before anyone knows whether the container will. */
function forward(environment: Environment, { container }: DockerProxyOptions, client: TcpSocket): void {
  const from = formatEndpoint(client.peer!);
  const to = formatEndpoint(container);
  const backend = environment.tcp.open();
  const failed = (reason: string): void => {
    const why = `dial tcp ${to}: connect: ${reason.toLowerCase()}`;
    environment.say(`Can't forward traffic to backend tcp/${to}: ${why}`);
    backend.close();
    client.close();
  };
  backend.onConnect = () => {
    environment.say(`${from} goes on to ${to} as ${formatEndpoint(backend.local)}`, environment.tcp.cause);
    join(new Stream(client), new Stream(backend), () => {});
  };
  backend.onError = (errno) => failed(strerror(errno));
  const refused = backend.connect(container.address, container.port);
  if (refused !== null) failed(strerror(refused));
}

// UDP.

/** `connTrackEntry`: the socket that stands for one client. */
interface Session {
  readonly socket: UdpSocket;
  readonly timer: Timer;
  lastWrite: number;
}

function startUdp(environment: Environment, options: DockerProxyOptions): void {
  const { host } = options;
  const listener = environment.udp.open();
  const failed = listener.bind(host.address, host.port);
  if (failed !== null) {
    refuseToListen(environment, options, strerror(failed));
    return;
  }
  const sessions = new Map<string, Session>();
  listener.onReceive = (datagram) => {
    const key = formatEndpoint(datagram.from);
    const session = sessions.get(key) ?? open(environment, options, listener, datagram, () => sessions.delete(key));
    if (session === null) return;
    sessions.set(key, session);
    session.lastWrite = environment.scheduler.now;
    const refused = session.socket.send(datagram.data, null, datagram.packet);
    // The write that reports an earlier ICMP error sends nothing; Go's Write is then simply lost.
    if (refused !== null)
      environment.say(`Can't proxy a datagram to udp/${formatEndpoint(options.container)}: ${refused}`);
  };
}

/** `UDPProxy.replyLoop()`: it ends 90 s after the last answer, unless the client has written since. */
function open(
  environment: Environment,
  { container }: DockerProxyOptions,
  listener: UdpSocket,
  { from, to, packet }: Received,
  closed: () => void,
): Session | null {
  const { scheduler } = environment;
  const socket = environment.udp.open();
  const refused = socket.connect(container.address, container.port);
  if (refused !== null) {
    environment.say(`Can't proxy a datagram to udp/${formatEndpoint(container)}: ${strerror(refused)}`, packet);
    return null;
  }
  const timer = scheduler.timer(() => {
    if (scheduler.now - session.lastWrite < SESSION) timer.armIn(SESSION);
    else {
      socket.close();
      closed();
    }
  });
  const session: Session = { socket, timer, lastWrite: scheduler.now };
  timer.armIn(SESSION);
  const local = formatEndpoint({ address: socket.address, port: socket.port });
  environment.say(`${formatEndpoint(from)} goes on to ${formatEndpoint(container)} as ${local}`, packet);
  socket.onReceive = (answer) => {
    timer.armIn(SESSION);
    listener.send(answer.data, { ...from, source: to }, answer.packet);
  };
  // A reader is told of a refusal once, and reads on.
  socket.onError = () => {
    socket.pending = null;
  };
  return session;
}
