import { parseIpv4, parsePrefix } from "../wire/address.ts";
import type { Url } from "./url.ts";

/**
 * The proxy that a Go program uses for a URL (`httpproxy.FromEnvironment()`): variables in either case, never one for
 * this host itself. Null for none.
 */
export function goProxy(env: Readonly<Record<string, string>>, url: Url): string | null {
  const either = (name: string) => env[name] || env[name.toLowerCase()] || "";
  const proxy = either(url.scheme === "https" ? "HTTPS_PROXY" : "HTTP_PROXY");
  return proxy === "" || bypasses(either("NO_PROXY"), url) ? null : proxy;
}

/** `config.useProxy()`. Unlike curl's list, `.example.org` leaves example.org itself out. */
function bypasses(list: string, { host, port }: Url): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  const address = addressOf(name);
  if (name === "localhost" || (address !== null && address >>> 24 === 127)) return true;
  return list.split(",").some((item) => {
    const entry = item.trim().toLowerCase();
    if (entry === "") return false;
    if (entry === "*") return true;
    const [, text = entry, digits] = /^([^:]+):(\d+)$/.exec(entry) ?? [];
    if (digits !== undefined && Number(digits) !== port) return false;
    if (address !== null) return containsAddress(text, address);
    const domain = text.replace(/^\*/, "");
    return domain.startsWith(".") ? name.endsWith(domain) : name === domain || name.endsWith(`.${domain}`);
  });
}

function addressOf(text: string): number | null {
  try {
    return parseIpv4(text);
  } catch {
    return null;
  }
}

function containsAddress(entry: string, address: number): boolean {
  try {
    const { address: network, mask } = parsePrefix(entry);
    return (address & mask) === network;
  } catch {
    return false;
  }
}
