import { parseIpv4, parsePrefix } from "../wire/address.ts";
import { type HttpHead, header } from "../wire/http-message.ts";

/** Where a request to a proxy leads. */
export interface Destination {
  readonly host: string;
  readonly port: number;
  readonly isConnect: boolean;
  /** Behind the host and its port; `*` or a path with its query. */
  readonly path: string;
}

const HTTP = 80;

/** A host in the request target goes before the Host field; null where neither is there. */
export function destinationOf(head: HttpHead): Destination | null {
  const [, method = "", target = ""] = /^(\S+) (\S+) HTTP\/1\.[01]$/.exec(head.start) ?? [];
  if (method === "") return null;
  if (method === "CONNECT") {
    const [, host = "", port = ""] = /^([^:]+):(\d{1,5})$/.exec(target) ?? [];
    return host === "" ? null : { host, port: Number(port), isConnect: true, path: "" };
  }
  const [, absolute, absolutePort, path = "/"] = /^http:\/\/([^:/]+)(?::(\d{1,5}))?(\/.*)?$/.exec(target) ?? [];
  if (absolute !== undefined) return { host: absolute, port: Number(absolutePort ?? HTTP), isConnect: false, path };
  const [, host = "", port] = /^([^:\s]+)(?::(\d{1,5}))?$/.exec(header(head, "host") ?? "") ?? [];
  return host === "" ? null : { host, port: Number(port ?? HTTP), isConnect: false, path: target };
}

/** The request as the server gets it, or another proxy. */
export function forwarded({ start, headers }: HttpHead, to: Destination, byProxy: boolean): HttpHead {
  const [method, , version] = start.split(" ");
  const authority = to.port === HTTP ? to.host : `${to.host}:${to.port}`;
  const target = to.isConnect ? authority : byProxy ? `http://${authority}${to.path}` : to.path;
  const rest = headers.filter(([name]) => name.toLowerCase() !== "host");
  return { start: `${method} ${target} ${version}`, headers: [["Host", authority], ...rest] };
}

/**
 * Whether one of `patterns` names `host`: an address or a prefix for addresses; a name also names what is below it, and
 * an empty label or `*` any label (`Exclude` of `hostnet_http.ml`).
 */
export function isNamed(host: string, patterns: readonly string[]): boolean {
  const address = addressOf(host);
  return patterns.some((pattern) => (address === null ? isBelow(host, pattern) : isInside(address, pattern)));
}

/** The address that `host` is; null for a name. */
export function addressOf(host: string): number | null {
  try {
    return parseIpv4(host);
  } catch {
    return null;
  }
}

function isInside(address: number, pattern: string): boolean {
  try {
    const prefix = parsePrefix(pattern);
    return (address & prefix.mask) === prefix.address;
  } catch {
    return false;
  }
}

function isBelow(host: string, pattern: string): boolean {
  if (/^[\d./]+$/.test(pattern)) return false;
  const labels = host.split(".").reverse();
  const wanted = pattern.split(".").reverse();
  return wanted.every((label, i) => labels[i] !== undefined && (label === "" || label === "*" || label === labels[i]));
}
