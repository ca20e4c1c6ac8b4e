import { parseIpv4 } from "../wire/address.ts";
import type { Endpoint, HostStream, HostStreamEvents } from "./host-sockets.ts";
import { type LocalService, Outbox } from "./local-service.ts";
import type { Translator } from "./translator.ts";

/** What vpnkit's `http_proxy.json` says: the proxies outside, and what is fetched without them. */
export interface ProxyOptions {
  readonly http: Endpoint | null;
  readonly https: Endpoint | null;
  /** Names, suffixes such as `.corp`, or addresses. */
  readonly exclude: readonly string[];
}

/** `hostnet_http.ml`: explicit proxies of the gateway, and the ports at which remote hosts are proxied unasked. */
export const EXPLICIT_PORTS: readonly number[] = [3128, 3129];
const TRANSPARENT_HTTP = 80;
const TRANSPARENT_HTTPS = 443;
/** Longest request head, bytes. */
const MOST_HEAD = 65_536;

/** The proxy that a guest's connection meets; null where it meets none. */
export function proxyFor(
  translator: Translator,
  proxy: ProxyOptions,
  to: Endpoint,
  remote: boolean,
): LocalService | null {
  const open = (how: How): LocalService => ({
    open: (at, events, cause) => new ProxyStream(translator, proxy, how, at, events, cause),
  });
  if (!remote) return EXPLICIT_PORTS.includes(to.port) ? open("explicit") : null;
  if (to.port === TRANSPARENT_HTTP && proxy.http !== null) return open("http");
  if (to.port === TRANSPARENT_HTTPS && proxy.https !== null) return open("https");
  return null;
}

type How = "explicit" | "http" | "https";

const encode = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const decode = (bytes: Uint8Array): string => {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
};

/** A request's target: where it goes, and its head as that place wants it. */
interface Target {
  readonly host: string;
  readonly port: number;
  readonly isConnect: boolean;
  /** In origin form. */
  readonly direct: string;
  /** In absolute form, for another proxy. */
  readonly proxied: string;
}

/**
 * One connection to a proxy. It reads the head of the first request, connects to where that leads, and from then on is that
 * stream. Unlike vpnkit it takes one request a connection: it asks the server to close behind the answer.
 */
class ProxyStream implements HostStream {
  readonly local: Endpoint;
  private head = "";
  /** What goes out before anything else, once the outer stream stands. */
  private readonly first = new Outbox();
  private readonly answers = new Outbox();
  private outer: HostStream | null = null;
  private standing = false;
  private decided = false;
  private guestEnded = false;
  private finished = false;
  private over = false;
  /** The answer to CONNECT is not the guest's to see. */
  private awaitsTunnel = false;
  private tunnelHead = "";

  constructor(
    private readonly translator: Translator,
    private readonly proxy: ProxyOptions,
    private readonly how: How,
    readonly peer: Endpoint,
    private readonly events: HostStreamEvents,
    cause: number,
  ) {
    this.local = peer;
    if (how === "https") this.tunnel(cause);
  }

  // The guest's side.

  write(data: Uint8Array, cause: number): number {
    if (this.standing) return this.outer!.write(data, cause);
    // What comes behind a refused request is nobody's.
    if (this.finished) return data.length;
    if (this.decided) return 0;
    this.head += decode(data);
    const end = this.head.indexOf("\r\n\r\n");
    if (end >= 0) this.decide(this.head.slice(0, end), this.head.slice(end + 4), cause);
    else if (this.head.length > MOST_HEAD) this.refuse("400 Bad Request", "the head of the request is too long", cause);
    return data.length;
  }

  read(most: number): Uint8Array | null {
    if (!this.answers.isEmpty) return this.answers.take(most);
    if (this.finished) return null;
    return this.standing ? this.outer!.read(most) : this.answers.take(most);
  }

  end(cause: number): void {
    this.guestEnded = true;
    if (this.standing) this.outer!.end(cause);
    else if (!this.decided) {
      this.finished = true;
      this.events.readable(cause);
    }
  }

  destroy(cause: number): void {
    this.over = true;
    this.outer?.destroy(cause);
  }

  // Where it leads.

  private decide(head: string, rest: string, cause: number): void {
    const target = readTarget(head, this.how, this.peer);
    if (target === null) {
      this.refuse("400 Bad Request", "the request names no host", cause);
      return;
    }
    this.decided = true;
    const { http, https, exclude } = this.proxy;
    const upstream = excluded(target.host, exclude) ? null : target.isConnect ? https : http;
    this.translator.dns.tell(
      cause,
      `HTTP proxy: ${target.host}:${target.port}${upstream === null ? "" : " by way of another proxy"}`,
    );
    if (upstream !== null) {
      this.first.add(encode(`${target.proxied}\r\n\r\n${rest}`));
      this.connect(upstream, cause);
      return;
    }
    if (target.isConnect) this.answers.add(encode("HTTP/1.1 200 OK\r\n\r\n"));
    this.first.add(encode(target.isConnect ? rest : `${target.direct}\r\n\r\n${rest}`));
    if (this.how === "http") this.connect(this.peer, cause);
    else this.resolve(target, cause);
  }

  private resolve({ host, port }: Target, cause: number): void {
    const go = (address: number, because: number) => {
      const role = this.translator.roleOf(address);
      const outside = this.translator.outsideOf({ address, port }, role, "tcp");
      if (outside === null) this.unavailable(`${host}:${port} is no service of the gateway`, because);
      else this.connect(outside, because);
    };
    try {
      go(parseIpv4(host), cause);
    } catch {
      this.translator.dns.addressesOf(host, cause, ([address], because) => {
        if (this.over) return;
        if (address === undefined) this.unavailable(`the name ${host} has no address`, because);
        else go(address, because);
      });
    }
  }

  /** A TLS connection cannot be read: the proxy outside is asked for a tunnel to the address. */
  private tunnel(cause: number): void {
    this.decided = true;
    const { address, port } = this.peer;
    const name = `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
    if (excluded(name, this.proxy.exclude)) {
      this.connect(this.peer, cause);
      return;
    }
    this.first.add(encode(`CONNECT ${name}:${port} HTTP/1.1\r\nHost: ${name}:${port}\r\n\r\n`));
    this.awaitsTunnel = true;
    this.connect(this.proxy.https!, cause);
  }

  private connect(to: Endpoint, cause: number): void {
    const outer = this.translator.host.connect(to, 0, this.outerEvents, cause);
    if (typeof outer === "string") this.unavailable(`cannot connect (${outer})`, cause);
    else this.outer = outer;
  }

  private readonly outerEvents: HostStreamEvents = {
    connected: (cause) => {
      for (let bytes = this.first.take(MOST_HEAD); bytes.length > 0; bytes = this.first.take(MOST_HEAD))
        this.outer!.write(bytes, cause);
      if (!this.awaitsTunnel) this.stand(cause);
    },
    failed: ({ errno }, cause) => this.unavailable(`cannot connect (${errno})`, cause),
    readable: (cause) => {
      if (this.awaitsTunnel) this.readTunnel(cause);
      else this.events.readable(cause);
    },
    writable: (cause) => this.events.writable(cause),
    closed: (errno, cause) => this.events.closed(errno, cause),
  };

  private stand(cause: number): void {
    this.standing = true;
    if (this.guestEnded) this.outer!.end(cause);
    this.events.writable(cause);
    this.events.readable(cause);
  }

  private readTunnel(cause: number): void {
    const bytes = this.outer!.read(MOST_HEAD);
    this.tunnelHead += bytes === null ? "" : decode(bytes);
    const end = this.tunnelHead.indexOf("\r\n\r\n");
    const refused = end >= 0 && !/^HTTP\/1\.[01] 2\d\d/.test(this.tunnelHead);
    if (bytes === null || refused || this.tunnelHead.length > MOST_HEAD) {
      this.over = true;
      this.outer!.destroy(cause);
      this.events.closed("ECONNRESET", cause);
    } else if (end >= 0) {
      this.awaitsTunnel = false;
      this.answers.add(encode(this.tunnelHead.slice(end + 4)));
      this.stand(cause);
    }
  }

  private unavailable(why: string, cause: number): void {
    if (this.how === "https") this.events.closed("ECONNRESET", cause);
    else this.refuse("503 Service Unavailable", why, cause);
  }

  private refuse(status: string, why: string, cause: number): void {
    this.decided = true;
    this.finished = true;
    // The promise of a tunnel that was never kept.
    while (!this.answers.isEmpty) this.answers.take(MOST_HEAD);
    const body = `${why}\n`;
    this.answers.add(
      encode(
        `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      ),
    );
    this.events.readable(cause);
  }
}

/** Where the request with this head goes; null for one that does not say. */
function readTarget(head: string, how: How, peer: Endpoint): Target | null {
  const [line = "", ...fields] = head.split("\r\n");
  const [, method = "", uri = "", version = ""] = /^(\S+) (\S+) (HTTP\/1\.[01])$/.exec(line) ?? [];
  const kept = fields.filter((field) => !/^(proxy-)?connection:/i.test(field));
  const write = (form: string, close: boolean) =>
    [`${method} ${form} ${version}`, ...(close ? [...kept, "Connection: close"] : fields)].join("\r\n");
  if (method === "CONNECT") {
    const [, host = "", port = ""] = /^([^:]+):(\d{1,5})$/.exec(uri) ?? [];
    if (host === "") return null;
    return { host, port: Number(port), isConnect: true, direct: "", proxied: write(uri, false) };
  }
  const named = fields
    .map((field) => /^host:\s*([^:\s]+)(?::(\d{1,5}))?\s*$/i.exec(field))
    .find((match) => match !== null);
  const [, absolute, absolutePort, path = "/"] = /^http:\/\/([^:/]+)(?::(\d{1,5}))?(\/.*)?$/.exec(uri) ?? [];
  const host = absolute ?? named?.[1] ?? "";
  if (method === "" || host === "" || (how === "explicit" && absolute === undefined)) return null;
  const port = Number(absolutePort ?? named?.[2] ?? (how === "http" ? peer.port : 80));
  const origin = absolute === undefined ? uri : path;
  const authority = port === 80 ? host : `${host}:${port}`;
  return {
    host,
    port,
    isConnect: false,
    direct: write(origin, true),
    proxied: write(`http://${authority}${origin}`, true),
  };
}

const excluded = (host: string, exclude: readonly string[]): boolean =>
  exclude.some((each) => host === each || (each.startsWith(".") && host.endsWith(each)) || host.endsWith(`.${each}`));
