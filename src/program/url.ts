import { parseIpv4, parsePrefix } from "../wire/address.ts";
import { isDomainName } from "../wire/dns.ts";

export interface Url {
  readonly scheme: "http" | "https";
  /** An IPv4 address or a name. */
  readonly host: string;
  readonly port: number;
  /** With its query; it begins with a slash. */
  readonly path: string;
}

const PORTS = { http: 80, https: 443 };

/** `http://host:port/path`; without a scheme it is http. Null for what is none, or has another scheme. */
export function parseUrl(text: string, ports: Readonly<Record<Url["scheme"], number>> = PORTS): Url | null {
  const [, scheme = "http", host = "", digits, path = ""] =
    /^(?:(https?):\/\/)?([^/?#:@\s]+)(?::(\d{1,5}))?([/?][^#\s]*)?(?:#\S*)?$/i.exec(text) ?? [];
  const kind = scheme.toLowerCase() === "https" ? "https" : "http";
  const port = digits === undefined ? ports[kind] : Number(digits);
  if (port < 1 || port > 65_535 || !isHost(host)) return null;
  return { scheme: kind, host, port, path: path.startsWith("/") ? path : `/${path}` };
}

function isHost(text: string): boolean {
  if (!/^[\d.]+$/.test(text)) return isDomainName(text.replace(/\.$/, ""));
  return addressOf(text) !== null;
}

function addressOf(text: string): number | null {
  try {
    return parseIpv4(text);
  } catch {
    return null;
  }
}

/** `host:port`, without the port that the scheme has anyway. */
export const hostHeader = ({ scheme, host, port }: Url): string => (port === PORTS[scheme] ? host : `${host}:${port}`);

/** The proxy for a URL, and the variable that says so. A value that is no proxy's URL stands as its text. */
export interface ProxyChoice {
  readonly variable: string;
  readonly value: string;
}

/**
 * What the environment says of proxies, as curl reads it: `http_proxy` in lower case alone, for a web server could
 * otherwise set it by a header; the others in either case.
 */
export function proxyFromEnvironment(env: Readonly<Record<string, string>>, { scheme }: Url): ProxyChoice | null {
  const names = scheme === "http" ? ["http_proxy"] : ["https_proxy", "HTTPS_PROXY"];
  for (const variable of [...names, "all_proxy", "ALL_PROXY"]) {
    const value = env[variable];
    if (value !== undefined && value !== "") return { variable, value };
  }
  return null;
}

/** `no_proxy`, in either case; null where neither is set. */
export function noProxyOf(env: Readonly<Record<string, string>>): ProxyChoice | null {
  for (const variable of ["no_proxy", "NO_PROXY"]) {
    const value = env[variable];
    if (value !== undefined && value !== "") return { variable, value };
  }
  return null;
}

/**
 * True where the list names the host (`Curl_check_noproxy()`): `*`, the name itself or a domain that it is in, an
 * address or a prefix with its length.
 */
export function bypassesProxy(list: string, host: string): boolean {
  if (list === "*") return true;
  const address = addressOf(host);
  const name = host.replace(/\.$/, "").toLowerCase();
  return list.split(/[\s,]+/).some((entry) => {
    if (entry === "") return false;
    if (address !== null) return containsAddress(entry, address);
    const domain = entry.replace(/^\./, "").replace(/\.$/, "").toLowerCase();
    return domain !== "" && (name === domain || name.endsWith(`.${domain}`));
  });
}

function containsAddress(entry: string, address: number): boolean {
  if (!/^[\d.]+(\/\d+)?$/.test(entry)) return false;
  try {
    const { address: network, mask } = parsePrefix(entry);
    return (address & mask) === network;
  } catch {
    return false;
  }
}
