import { formatIpv4 } from "../wire/address.ts";
import {
  type BodyLength,
  bodyLength,
  formatHead,
  formatRefusal,
  type HttpHead,
  HttpReader,
  header,
  keepsAlive,
} from "../wire/http-message.ts";
import { bytesOf } from "../wire/text.ts";
import type { Endpoint, HostStream, HostStreamEvents } from "./host-sockets.ts";
import { TunnelStream } from "./https-tunnel.ts";
import { type LocalService, Outbox } from "./local-service.ts";
import { addressOf, type Destination, destinationOf, forwarded, isNamed } from "./proxy-request.ts";
import type { Translator } from "./translator.ts";

/** What vpnkit's `http_proxy.json` says: the proxies outside, what is fetched without them, and what may be fetched. */
export interface ProxyOptions {
  readonly http: Endpoint | null;
  readonly https: Endpoint | null;
  /** Names, suffixes such as `.corp`, addresses or prefixes. */
  readonly exclude: readonly string[];
  /** Likewise; null for all. */
  readonly allow: readonly string[] | null;
}

/** `hostnet_http.ml`: explicit proxies of the gateway, and the ports at which remote hosts are proxied unasked. */
const EXPLICIT_HTTP = 3128;
const EXPLICIT_HTTPS = 3129;
export const EXPLICIT_PORTS: readonly number[] = [EXPLICIT_HTTP, EXPLICIT_HTTPS];
const TRANSPARENT_HTTP = 80;
const TRANSPARENT_HTTPS = 443;
/** Most that is read from the server at once, bytes. */
const CHUNK = 65_536;

/** The proxy that a guest's connection meets; null where it meets none. */
export function proxyFor(
  translator: Translator,
  { http, https, exclude, allow }: ProxyOptions,
  { address, port }: Endpoint,
  remote: boolean,
): LocalService | null {
  const messages = (upstream: Endpoint | null): LocalService => ({
    open: (at, events) => new ProxyStream(translator, { upstream, exclude, allow }, at, events),
  });
  if (!remote) return EXPLICIT_PORTS.includes(port) ? messages(port === EXPLICIT_HTTP ? http : https) : null;
  if (port === TRANSPARENT_HTTP && http !== null) return messages(http);
  if (port !== TRANSPARENT_HTTPS || https === null || isNamed(formatIpv4(address), exclude)) return null;
  return { open: (at, events, cause) => new TunnelStream(translator, https, at, events, cause) };
}

interface Route {
  /** Another proxy. */
  readonly upstream: Endpoint | null;
  readonly exclude: readonly string[];
  readonly allow: readonly string[] | null;
}

/** A request and its answer, over one connection to the server. */
interface Exchange {
  readonly head: HttpHead;
  readonly destination: Destination;
  readonly byProxy: boolean;
  readonly requestLength: BodyLength;
  answerLength: BodyLength;
  /** The guest's connection lasts longer. */
  keeps: boolean;
}

/** One connection of a guest to a proxy: one request after the other, each by a connection of its own to where it leads. */
class ProxyStream implements HostStream {
  readonly local: Endpoint;
  private readonly requests: HttpReader;
  private answers: HttpReader | null = null;
  private exchange: Exchange | null = null;
  private outer: HostStream | null = null;
  private standing = false;
  /** What the server has not taken yet, and what the guest has not. */
  private readonly toServer = new Outbox();
  private readonly toGuest = new Outbox();
  /** From now on bytes are no messages. */
  private tunnel = false;
  /** An answer such as 100 Continue, which another follows. */
  private interim = false;
  /** The guest was held back, and need not be any more. */
  private hasRoom = false;
  private guestEnded = false;
  private finished = false;
  private over = false;
  private cause = 0;

  constructor(
    private readonly translator: Translator,
    private readonly route: Route,
    readonly peer: Endpoint,
    private readonly events: HostStreamEvents,
  ) {
    this.local = peer;
    this.requests = new HttpReader({
      head: (head) => this.request(head),
      body: (data) => this.sendBody(data),
      end: () => {
        if (this.exchange?.requestLength === "chunked") this.send(bytesOf("0\r\n\r\n"));
      },
      bad: (what) => this.refuse(400, `the proxy got ${what}`),
    });
  }

  // The guest's side.

  write(data: Uint8Array, cause: number): number {
    this.cause = cause;
    // What comes behind a refused request is nobody's.
    if (this.finished) return data.length;
    if (this.tunnel) return this.standing ? this.outer!.write(data, cause) : 0;
    if (this.exchange !== null && (!this.standing || this.requests.idle || !this.toServer.isEmpty)) return 0;
    const taken = this.requests.pushMessage(data);
    if (this.finished) this.events.readable(cause);
    return taken;
  }

  read(most: number): Uint8Array | null {
    this.pull();
    if (this.toGuest.isEmpty && this.hasRoom) {
      this.hasRoom = false;
      this.events.writable(this.cause);
      this.pull();
    }
    if (!this.toGuest.isEmpty) return this.toGuest.take(most);
    if (this.finished) return null;
    return this.tunnel && this.standing ? this.outer!.read(most) : this.toGuest.take(most);
  }

  /** Reads what there is of the answer. */
  private pull(): void {
    while (this.toGuest.isEmpty && this.standing && !this.tunnel) {
      const bytes = this.outer!.read(CHUNK);
      if (bytes === null) this.serverEnded();
      else if (bytes.length === 0) return;
      else this.answers!.push(bytes);
    }
  }

  end(cause: number): void {
    this.guestEnded = true;
    if (this.tunnel && this.standing) this.outer!.end(cause);
    else if (this.exchange === null) {
      this.finish();
      this.events.readable(cause);
    }
  }

  destroy(cause: number): void {
    this.over = true;
    this.outer?.destroy(cause);
  }

  // The request.

  private request(head: HttpHead): BodyLength | "tunnel" {
    const { upstream, exclude, allow } = this.route;
    const addressed = header(head, "host") === null ? { ...head, headers: [...head.headers, this.ownHost] } : head;
    const destination = destinationOf(this.isExplicit ? head : addressed);
    const length = bodyLength(head, "request");
    if (destination === null || length === null) {
      this.refuse(400, destination === null ? "the request names no host" : "the request has no length");
      return 0;
    }
    const { host, port, isConnect } = destination;
    if (allow !== null && !isNamed(host, allow)) {
      this.refuse(403, `${host} is not on the proxy's list of what may be fetched`);
      return 0;
    }
    const byProxy = upstream !== null && !isNamed(host, exclude);
    this.exchange = { head, destination, byProxy, requestLength: length, answerLength: 0, keeps: true };
    this.translator.dns.tell(this.cause, `HTTP proxy: ${host}:${port}${byProxy ? " by way of another proxy" : ""}`);
    if (byProxy || !isConnect) this.send(bytesOf(formatHead(forwarded(head, destination, byProxy))));
    this.tunnel = isConnect && !byProxy;
    if (byProxy) this.connect(upstream, this.cause);
    else this.resolve(destination, this.cause);
    return this.tunnel ? "tunnel" : length;
  }

  private get isExplicit(): boolean {
    return this.translator.roleOf(this.peer.address) !== "remote";
  }

  private get ownHost() {
    return ["Host", formatIpv4(this.peer.address)] as const;
  }

  private resolve({ host, port }: Destination, cause: number): void {
    const go = (address: number, because: number) => {
      const role = this.translator.roleOf(address);
      const outside = this.translator.outsideOf({ address, port }, role, "tcp");
      if (outside === null) this.unavailable(`${host}:${port} is no service of the gateway`, because);
      else this.connect(outside, because);
    };
    const address = addressOf(host);
    if (address !== null) {
      go(address, cause);
      return;
    }
    this.translator.dns.addressesOf(host, cause, ([first], because) => {
      if (this.over) return;
      if (first === undefined) this.unavailable(`the name ${host} has no address`, because);
      else go(first, because);
    });
  }

  private connect(to: Endpoint, cause: number): void {
    this.answers = new HttpReader({
      head: (head) => this.answer(head),
      body: (data) => this.answerBody(data),
      end: () => this.answered(),
      bad: () => this.serverEnded(),
    });
    const mine = () => this.outer === outer;
    const outer = this.translator.host.connect(
      to,
      0,
      {
        connected: (because) => this.stand(because),
        failed: ({ errno }, because) => this.unavailable(`cannot connect (${errno})`, because),
        readable: (because) => {
          if (mine()) this.events.readable(because);
          else drain(outer as HostStream);
        },
        writable: (because) => {
          if (!mine()) return;
          this.flush(because);
          if (this.toServer.isEmpty) this.events.writable(because);
        },
        closed: (errno, because) => {
          if (!mine()) return;
          if (this.tunnel) this.events.closed(errno, because);
          else if (errno !== null) {
            this.serverEnded();
            this.events.readable(because);
          }
        },
      },
      cause,
    );
    if (typeof outer === "string") this.unavailable(`cannot connect (${outer})`, cause);
    else this.outer = outer;
  }

  private stand(cause: number): void {
    this.standing = true;
    if (this.tunnel) this.toGuest.add(bytesOf("HTTP/1.1 200 OK\r\n\r\n"));
    this.flush(cause);
    if (this.tunnel && this.guestEnded) this.outer!.end(cause);
    if (this.toServer.isEmpty) this.events.writable(cause);
    this.events.readable(cause);
  }

  private sendBody(data: Uint8Array): void {
    const chunked = this.exchange?.requestLength === "chunked";
    if (chunked) this.send(bytesOf(`${data.length.toString(16)}\r\n`));
    this.send(data);
    if (chunked) this.send(bytesOf("\r\n"));
  }

  private send(data: Uint8Array): void {
    this.toServer.add(data.slice());
    if (this.standing) this.flush(this.cause);
  }

  private flush(cause: number): void {
    while (!this.toServer.isEmpty) {
      const bytes = this.toServer.take(CHUNK);
      const taken = this.outer!.write(bytes, cause);
      if (taken === bytes.length) continue;
      this.toServer.putBack(bytes.subarray(taken));
      return;
    }
  }

  // The answer.

  private answer(head: HttpHead): BodyLength | "tunnel" {
    const exchange = this.exchange!;
    const { destination, head: request } = exchange;
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head.start)?.[1] ?? 0);
    this.toGuest.add(bytesOf(formatHead(head)));
    this.tunnel = destination.isConnect && status === 200;
    this.hasRoom ||= this.tunnel;
    if (this.tunnel) return "tunnel";
    this.interim = status < 200;
    const isEmpty = status === 204 || status === 304 || request.start.startsWith("HEAD ");
    exchange.answerLength = this.interim || isEmpty ? 0 : (bodyLength(head, "response") ?? "close");
    exchange.keeps = keepsAlive(head) && exchange.answerLength !== "close";
    return exchange.answerLength;
  }

  private answerBody(data: Uint8Array): void {
    const chunked = !this.tunnel && this.exchange?.answerLength === "chunked";
    if (chunked) this.toGuest.add(bytesOf(`${data.length.toString(16)}\r\n`));
    this.toGuest.add(data.slice());
    if (chunked) this.toGuest.add(bytesOf("\r\n"));
  }

  private answered(): void {
    const { exchange } = this;
    if (this.interim || exchange === null) return;
    if (exchange.answerLength === "chunked") this.toGuest.add(bytesOf("0\r\n\r\n"));
    if (!exchange.keeps || this.guestEnded || !this.requests.idle) this.finish();
    else {
      this.leave();
      this.hasRoom = true;
    }
  }

  /** The server says no more, or nothing that can be read. */
  private serverEnded(): void {
    this.answers!.finish();
    if (this.exchange !== null) this.finish();
  }

  /** The connection to the server has done its work. */
  private leave(): void {
    const { outer, standing } = this;
    this.outer = null;
    this.standing = false;
    this.exchange = null;
    if (outer === null) return;
    if (!standing) outer.destroy(this.cause);
    else {
      outer.end(this.cause);
      drain(outer);
    }
  }

  private finish(): void {
    this.leave();
    this.finished = true;
  }

  private unavailable(why: string, cause: number): void {
    this.refuse(503, why);
    this.events.writable(cause);
    this.events.readable(cause);
  }

  private refuse(status: number, why: string): void {
    this.tunnel = false;
    this.finish();
    this.toGuest.add(bytesOf(formatRefusal(status, why)));
    this.hasRoom = true;
  }
}

/** Nobody reads it any more; it ends when its server does. */
function drain(stream: HostStream): void {
  for (let bytes = stream.read(CHUNK); bytes !== null && bytes.length > 0; bytes = stream.read(CHUNK));
}
