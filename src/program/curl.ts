import type { Timer } from "../sim/scheduler.ts";
import type { Errno } from "../socket/strerror.ts";
import { strerror } from "../socket/strerror.ts";
import type { TcpSocket } from "../socket/tcp-socket.ts";
import { formatIpv4 } from "../wire/address.ts";
import { type BodyLength, bodyLength, formatHead, type HttpHead, HttpReader, header } from "../wire/http-message.ts";
import { bytesOf } from "../wire/text.ts";
import type { Arguments } from "./command-line.ts";
import { Connector } from "./connector.ts";
import { type CurlOptions, parseCurlOptions } from "./curl-options.ts";
import type { Environment, Program } from "./program.ts";
import { type Pending, type Resolution, resolve } from "./resolver.ts";
import { Stream } from "./stream.ts";
import { bypassesProxy, hostHeader, noProxyOf, parseUrl, proxyFromEnvironment, type Url } from "./url.ts";

/** The port of a proxy that names none. */
const PROXY_PORT = 1080;

/** @throws {InputError}. */
export function parseCurl(words: Arguments): Program {
  return curl(parseCurlOptions(words));
}

/**
 * Fetches a URL and prints what curl 7.88 prints at a terminal, errors and exit status included. Unlike it, it shows no
 * progress meter, and for https it goes as far as a connection or a tunnel: hopscope models no TLS.
 */
export function curl(options: CurlOptions): Program {
  return { name: "curl", serves: false, start: (environment) => new Curl(environment, options).start() };
}

type Phase = "resolve" | "connect" | "tunnel" | "transfer";

class Curl {
  private readonly timer: Timer;
  private readonly url: Url;
  private proxy: Url | null = null;
  private phase: Phase = "resolve";
  private pending: Pending | null = null;
  private connector: Connector | null = null;
  private stream: Stream | null = null;
  private readonly reader: HttpReader;
  private readonly times = { start: 0, resolved: 0, connected: 0, first: 0 };
  private response: HttpHead | null = null;
  private status = 0;
  /** The response's own word about its connection. */
  private keeps = true;
  /** Bytes of the body. */
  private received = 0;
  private length: BodyLength | "tunnel" = 0;
  private line = "";
  private over = false;

  constructor(
    private readonly environment: Environment,
    private readonly options: CurlOptions,
  ) {
    this.url = options.url;
    this.timer = environment.scheduler.timer(() => this.expire());
    this.reader = new HttpReader({
      head: (head) => this.readHead(head),
      body: (data) => this.readBody(data),
      end: () => this.readEnd(),
      bad: () => this.fail(1, "Received HTTP/0.9 when not allowed"),
    });
  }

  private get now(): number {
    return this.environment.scheduler.now;
  }

  private get elapsed(): number {
    return Math.floor((this.now - this.times.start) / 1e6);
  }

  /** What `-v` shows. */
  private note(text: string, packet = this.environment.tcp.cause): void {
    if (this.options.verbose) this.environment.say(text, packet);
  }

  // The way to the server.

  start(): void {
    const { maxTime, connectTimeout } = this.options;
    this.times.start = this.now;
    if (!this.chooseProxy()) return;
    this.timer.armIn(maxTime === 0 ? connectTimeout : Math.min(maxTime, connectTimeout));
    const { host } = this.proxy ?? this.url;
    if (host.toLowerCase() === "localhost") this.resolved({ addresses: [0x7f000001], error: null, packet: 0 });
    else this.pending = resolve(this.environment, host, (found) => this.resolved(found));
  }

  /** False where the proxy's own text is wrong, which ends it. */
  private chooseProxy(): boolean {
    const { env } = this.environment;
    const { options, url } = this;
    const choice = options.proxy === null ? proxyFromEnvironment(env, url) : null;
    const text = options.proxy ?? choice?.value ?? "";
    const exception = options.noProxy === null ? noProxyOf(env) : null;
    const list = options.noProxy ?? exception?.value ?? "";
    if (list !== "" && bypassesProxy(list, url.host)) {
      if (exception !== null) this.note(`* Uses proxy env variable ${exception.variable} == '${exception.value}'`);
      return true;
    }
    if (text === "") return true;
    if (choice !== null) this.note(`* Uses proxy env variable ${choice.variable} == '${choice.value}'`);
    this.proxy = parseUrl(text, { http: PROXY_PORT, https: 443 });
    if (this.proxy !== null && this.proxy.scheme === "http") return true;
    this.fail(5, `Unsupported proxy syntax in '${text}'`);
    return false;
  }

  private resolved({ addresses, error, packet }: Resolution): void {
    if (this.over) return;
    this.times.resolved = this.now;
    const { host, port } = this.proxy ?? this.url;
    if (error !== null) {
      const what = this.proxy === null ? "host" : "proxy";
      this.fail(this.proxy === null ? 6 : 5, `Could not resolve ${what}: ${host}`, packet);
      return;
    }
    this.phase = "connect";
    this.connect(addresses, host, port);
  }

  private connect(addresses: readonly number[], host: string, port: number): void {
    const { connectTimeout } = this.options;
    const left = connectTimeout - (this.now - this.times.start);
    this.connector = new Connector(this.environment, addresses, port, left, {
      trying: (address) => this.note(`*   Trying ${formatIpv4(address)}:${port}...`),
      connected: (socket, address) => this.connected(socket, address),
      failed: (address, errno, atOnce) => {
        const name = formatIpv4(address);
        if (atOnce) this.note(`* Immediate connect fail for ${name}: ${strerror(errno)}`);
        else this.note(`* connect to ${name} port ${port} failed: ${strerror(errno)}`);
      },
      timedOut: (_, time) => this.note(`* ipv4 connect timeout after ${Math.floor(time / 1e6)}ms, move on!`),
      exhausted: (errno) => {
        const why = errno === null ? "Timeout was reached" : "Couldn't connect to server";
        const status = errno === null || errno === "ETIMEDOUT" ? 28 : 7;
        this.fail(status, `Failed to connect to ${host} port ${port} after ${this.elapsed} ms: ${why}`);
      },
    });
    this.rearm();
    this.connector.start();
  }

  /** Once there is a connector it watches over `--connect-timeout`, and the timer over `-m` alone. */
  private rearm(): void {
    const { maxTime } = this.options;
    this.timer.cancel();
    if (maxTime > 0) this.timer.arm(this.times.start + maxTime);
  }

  private connected(socket: TcpSocket, address: number): void {
    const { host, port } = this.proxy ?? this.url;
    this.times.connected = this.now;
    this.connector = null;
    this.note(`* Connected to ${host} (${formatIpv4(address)}) port ${port} (#0)`);
    const stream = new Stream(socket);
    this.stream = stream;
    stream.onData = (data) => this.reader.push(data);
    stream.onEnd = () => this.ended();
    stream.onError = (errno) => this.broke(errno);
    if (this.proxy !== null && this.options.tunnel) this.askForTunnel(stream);
    else this.request(stream);
    stream.start();
  }

  private askForTunnel(stream: Stream): void {
    const { host, port } = this.url;
    this.phase = "tunnel";
    this.note("* allocate connect buffer");
    this.note(`* Establish HTTP proxy tunnel to ${host}:${port}`);
    const headers = [
      ["Host", `${host}:${port}`],
      ["User-Agent", this.options.agent],
      ["Proxy-Connection", "Keep-Alive"],
    ] as const;
    this.send(stream, { start: `CONNECT ${host}:${port} HTTP/1.1`, headers });
  }

  private request(stream: Stream): void {
    this.phase = "transfer";
    const { url, options } = this;
    if (url.scheme === "https") {
      this.fail(35, "hopscope models no TLS: the connection stands, and here the handshake would begin");
      return;
    }
    const proxied = this.proxy !== null && !options.tunnel;
    const host = hostHeader(url);
    const target = proxied ? `http://${host}${url.path}` : url.path;
    this.send(stream, { start: `${options.method} ${target} HTTP/1.1`, headers: this.headers(host, proxied) });
    if (options.data !== null) stream.write(bytesOf(options.data));
  }

  /** curl's own, with those of `-H` in place of the same names and the others behind; `Name:` takes one away. */
  private headers(host: string, proxied: boolean): (readonly [string, string])[] {
    const { options } = this;
    const own: (readonly [string, string])[] = [
      ["Host", host],
      ["User-Agent", options.agent],
      ["Accept", "*/*"],
    ];
    if (proxied) own.push(["Proxy-Connection", "Keep-Alive"]);
    const given = options.headers.map((text): readonly [string, string] => {
      const [, name = "", value = ""] = /^([^:;]+)[:;]\s*(.*)$/.exec(text) ?? [];
      return [name, value];
    });
    const named = (name: string) => given.find(([each]) => each.toLowerCase() === name.toLowerCase());
    const kept = own.flatMap(([name, value]) => {
      const other = named(name);
      if (other === undefined) return [[name, value] as const];
      return name === "Host" && other[1] !== "" ? [other] : [];
    });
    const added = given.filter(([name, value]) => value !== "" && name.toLowerCase() !== "host");
    const body: (readonly [string, string])[] =
      options.data === null
        ? []
        : [
            ["Content-Length", `${options.data.length}`],
            ["Content-Type", "application/x-www-form-urlencoded"],
          ];
    return [...kept, ...added, ...body.filter(([name]) => named(name) === undefined)];
  }

  private send(stream: Stream, head: HttpHead): void {
    for (const line of [head.start, ...head.headers.map(([name, value]) => `${name}: ${value}`), ""])
      this.note(`> ${line}`);
    stream.write(bytesOf(formatHead(head)));
  }

  // What comes back.

  private readHead(head: HttpHead): BodyLength | "tunnel" {
    const [, version, digits] = /^HTTP\/(\d\.\d) (\d{3})(?: |$)/.exec(head.start) ?? [];
    if (digits === undefined) {
      this.fail(1, "Received HTTP/0.9 when not allowed");
      return 0;
    }
    if (this.times.first === 0) this.times.first = this.now;
    for (const line of [head.start, ...head.headers.map(([name, value]) => `${name}: ${value}`), ""])
      this.note(`< ${line}`);
    const status = Number(digits);
    if (this.phase === "tunnel") return this.readTunnel(status);
    if (status >= 100 && status < 200) return 0;
    this.response = head;
    this.status = status;
    const word = (header(head, "connection") ?? "").toLowerCase();
    this.keeps = version === "1.1" ? word !== "close" : word === "keep-alive";
    if (this.options.include) {
      this.print(formatHead(head).replaceAll("\r", ""));
    }
    if (this.options.method === "HEAD" || status === 204 || status === 304) this.length = 0;
    else this.length = bodyLength(head, "response") ?? "close";
    if (this.length === "close") this.keeps = false;
    return this.length;
  }

  private readTunnel(status: number): 0 | "tunnel" {
    if (status >= 200 && status < 300) {
      this.note("* CONNECT phase completed");
      this.note(`* CONNECT tunnel established, response ${status}`);
      this.phase = "transfer";
      return 0;
    }
    this.note(`* CONNECT tunnel failed, response ${status}`);
    this.fail(56, `CONNECT tunnel failed, response ${status}`, undefined, false);
    return "tunnel";
  }

  private readBody(data: Uint8Array): void {
    if (this.over || this.response === null) return;
    this.received += data.length;
    if (this.options.fail && this.status >= 400) return;
    let text = "";
    for (const byte of data) text += String.fromCharCode(byte);
    this.print(text);
  }

  /** Whole lines; what has no end yet waits for it. */
  private print(text: string): void {
    if (!this.options.print) return;
    const lines = (this.line + text).split("\n");
    this.line = lines.pop()!;
    for (const line of lines) this.environment.say(line.replace(/\r$/, ""), this.environment.tcp.cause);
  }

  private readEnd(): void {
    if (this.over) return;
    if (this.phase === "transfer" && this.response === null) {
      if (this.stream !== null && this.proxy !== null && this.options.tunnel) this.request(this.stream);
      return;
    }
    if (this.options.fail && this.status >= 400) {
      this.fail(22, `The requested URL returned error: ${this.status}`);
      return;
    }
    this.finish(0, null);
  }

  private ended(): void {
    if (this.over) return;
    if (this.phase === "tunnel") {
      this.fail(56, "Proxy CONNECT aborted");
    } else if (this.response === null) {
      this.fail(52, "Empty reply from server");
    } else if (!this.reader.finish()) {
      const { missing } = this.reader;
      const rest = missing === null ? "outstanding read data" : `${missing} bytes`;
      this.fail(18, `transfer closed with ${rest} remaining${missing === null ? "" : " to read"}`);
    }
  }

  private broke(errno: Errno): void {
    this.fail(56, `Recv failure: ${strerror(errno)}`);
  }

  private expire(): void {
    const { elapsed } = this;
    if (this.phase === "resolve") this.fail(28, `Resolving timed out after ${elapsed} milliseconds`);
    else if (this.phase === "connect") this.fail(28, `Connection timed out after ${elapsed} milliseconds`);
    else if (this.phase === "tunnel") this.fail(28, `Proxy CONNECT aborted due to timeout`);
    else {
      const of = typeof this.length === "number" && this.length > 0 ? ` out of ${this.length}` : "";
      this.fail(28, `Operation timed out after ${elapsed} milliseconds with ${this.received}${of} bytes received`);
    }
  }

  // The end.

  private fail(status: number, message: string, packet = this.environment.tcp.cause, noted = true): void {
    if (this.over) return;
    this.over = true;
    if (noted) this.note(`* ${message}`, packet);
    this.note("* Closing connection 0");
    this.keeps = false;
    if (this.options.showErrors) this.environment.say(`curl: (${status}) ${message}`, packet);
    this.finish(status, message);
  }

  private finish(status: number, message: string | null): void {
    this.over = true;
    this.timer.cancel();
    this.pending?.cancel();
    this.connector?.cancel();
    if (status === 0) this.note(this.ending());
    if (this.line !== "") this.environment.say(this.line);
    this.writeOut(status, message);
    this.stream?.close();
    this.environment.exit(status);
  }

  private ending(): string {
    const { host } = this.proxy ?? this.url;
    return this.keeps ? `* Connection #0 to host ${host} left intact` : "* Closing connection 0";
  }

  private writeOut(status: number, message: string | null): void {
    const { writeOut } = this.options;
    if (writeOut === null) return;
    const socket = this.stream?.socket;
    const seconds = (time: number) => (time === 0 ? 0 : (time - this.times.start) / 1e9).toFixed(6);
    const code = String(this.status).padStart(3, "0");
    const values: Readonly<Record<string, string>> = {
      http_code: code,
      response_code: code,
      remote_ip: socket?.peer ? formatIpv4(socket.peer.address) : "",
      remote_port: `${socket?.peer?.port ?? 0}`,
      local_ip: socket === undefined ? "" : formatIpv4(socket.local.address),
      local_port: `${socket?.local.port ?? 0}`,
      size_download: `${this.received}`,
      time_namelookup: seconds(this.times.resolved),
      time_connect: seconds(this.times.connected),
      time_starttransfer: seconds(this.times.first),
      time_total: seconds(this.now),
      num_connects: socket === undefined ? "0" : "1",
      exitcode: `${status}`,
      errormsg: message ?? "",
    };
    const text = writeOut
      .replace(/%\{(\w+)\}/g, (whole, name: string) => (Object.hasOwn(values, name) ? values[name]! : whole))
      .replaceAll("%%", "%")
      .replaceAll("\\n", "\n")
      .replaceAll("\\t", "\t");
    for (const line of text.replace(/\n$/, "").split("\n")) this.environment.say(line);
  }
}
