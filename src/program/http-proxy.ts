import type { Timer } from "../sim/scheduler.ts";
import { strerror } from "../socket/strerror.ts";
import type { TcpSocket } from "../socket/tcp-socket.ts";
import { bodyLength, formatHead, formatRefusal, type HttpHead, HttpReader } from "../wire/http-message.ts";
import { bytesOf } from "../wire/text.ts";
import type { Arguments } from "./command-line.ts";
import { Connector } from "./connector.ts";
import { formatEndpoint } from "./datagram.ts";
import type { Environment, Program } from "./program.ts";
import { type Pending, resolve } from "./resolver.ts";
import { join, Stream } from "./stream.ts";
import { type ListenAt, listen } from "./tcp-listener.ts";
import { hostHeader, parseUrl, type Url } from "./url.ts";

const NAME = "http-proxy";
const TIMEOUT = 60e9;

/** `http-proxy [-b address] port`. @throws {InputError}. */
export function parseHttpProxy(words: Arguments): Program {
  const bind = words.option("b");
  const address = bind === null ? 0 : words.address(bind);
  const port = words.port(words.operand("the port to listen on"));
  words.finish();
  return httpProxy({ address, port });
}

/** A forward proxy: fetches `http://` URLs for its clients, and opens tunnels for CONNECT (RFC 9110 section 9.3.6). */
export function httpProxy(at: ListenAt): Program {
  return {
    name: NAME,
    serves: true,
    start: (environment) => listen(environment, NAME, at, (socket) => new ProxySession(environment, socket).start()),
  };
}

/** One client; its connection carries one request. */
class ProxySession {
  private readonly client: Stream;
  private readonly reader: HttpReader;
  private readonly idle: Timer;
  private readonly from: string;
  private pending: Pending | null = null;
  private connector: Connector | null = null;
  private request: HttpHead | null = null;
  private target: Url | null = null;
  private tunnel = false;
  /** Of the request's body, what came before there was a connection for it. */
  private readonly early: Uint8Array[] = [];
  private server: Stream | null = null;

  constructor(
    private readonly environment: Environment,
    socket: TcpSocket,
  ) {
    this.from = formatEndpoint(socket.peer!);
    this.client = new Stream(socket);
    this.idle = environment.scheduler.timer(() => this.refuse(504, "nobody answered in time"));
    this.reader = new HttpReader({
      head: (head) => this.readHead(head),
      body: (data) => this.passOn(data),
      end: () => {},
      bad: (what) => this.refuse(400, what),
    });
    this.client.onData = (data) => this.reader.push(data);
    this.client.onEnd = () => this.close();
    this.client.onError = () => this.close();
  }

  start(): void {
    this.client.start();
  }

  private say(text: string): void {
    this.environment.say(`from ${this.from}: ${text}`, this.environment.tcp.cause);
  }

  private close(): void {
    this.idle.cancel();
    this.pending?.cancel();
    this.connector?.cancel();
    this.server?.close();
    this.client.close();
  }

  private refuse(status: number, why: string): void {
    this.say(`${this.request?.start ?? "no request"}, ${status}: ${why}`);
    this.client.write(bytesOf(formatRefusal(status, why)));
    this.close();
  }

  private readHead(head: HttpHead): number | "chunked" | "tunnel" {
    this.request = head;
    const [method = "", url = ""] = head.start.split(" ");
    this.tunnel = method === "CONNECT";
    const target = parseUrl(this.tunnel ? `https://${url}` : url);
    if (target === null || (!this.tunnel && (!url.includes("://") || target.scheme === "https"))) {
      this.refuse(400, "a proxy needs an http:// URL, or CONNECT with a host and its port");
      return 0;
    }
    this.target = target;
    this.client.pause();
    this.idle.armIn(TIMEOUT);
    this.pending = resolve(this.environment, target.host, ({ addresses, error }) => {
      if (error !== null) this.refuse(502, `${target.host}: ${error}`);
      else this.connect(addresses, target);
    });
    if (this.tunnel) return "tunnel";
    const length = bodyLength(head, "request") ?? 0;
    return length === "close" ? 0 : length;
  }

  private connect(addresses: readonly number[], target: Url): void {
    let why = "no address";
    this.connector = new Connector(this.environment, addresses, target.port, TIMEOUT, {
      trying() {},
      connected: (socket) => this.connected(socket),
      failed: (address, errno) => {
        why = `${formatEndpoint({ address, port: target.port })}: ${strerror(errno)}`;
      },
      timedOut: (address) => {
        why = `${formatEndpoint({ address, port: target.port })}: ${strerror("ETIMEDOUT")}`;
      },
      exhausted: () => this.refuse(502, why),
    });
    this.connector.start();
  }

  private connected(socket: TcpSocket): void {
    this.idle.cancel();
    this.connector = null;
    const request = this.request!;
    this.say(`${request.start}, to ${formatEndpoint(socket.peer!)} as ${formatEndpoint(socket.local)}`);
    const server = new Stream(socket);
    this.server = server;
    if (this.tunnel) this.client.write(bytesOf("HTTP/1.1 200 Connection established\r\n\r\n"));
    else server.write(bytesOf(formatHead(forwarded(request, this.target!))));
    for (const data of this.early) server.write(data);
    this.client.resume();
    join(this.client, server, () => {});
  }

  private passOn(data: Uint8Array): void {
    if (this.server === null) this.early.push(data.slice());
    else this.server.write(data);
  }
}

/** The request as the server gets it: its path alone, without what was meant for the proxy. */
function forwarded({ start, headers }: HttpHead, target: Url): HttpHead {
  const [method, , version] = start.split(" ");
  const kept = headers.filter(([name]) => !/^(proxy-connection|proxy-authorization|connection|host)$/i.test(name));
  return {
    start: `${method} ${target.path} ${version}`,
    headers: [["Host", hostHeader(target)], ...kept, ["Via", "1.1 hopscope"], ["Connection", "close"]],
  };
}
