import type { Endpoint } from "../translator/host-sockets.ts";
import type { GatewayForward } from "../translator/translator.ts";
import { parseIpv4 } from "../wire/address.ts";

/** `tcp:3000:127.0.0.1:3000`. @throws {RangeError}. */
export function parseForward(text: string): GatewayForward {
  const [protocol, port, ...to] = text.split(":");
  return { protocol: protocol as "tcp" | "udp", port: parsePort(port!), to: parseEndpoint(to.join(":")) };
}

/** `10.0.0.1:3128`. @throws {RangeError}. */
export function parseEndpoint(text: string): Endpoint {
  const [address, port] = text.split(":");
  return { address: parseIpv4(address!), port: parsePort(port!) };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!(port >= 1 && port <= 65_535)) throw new RangeError(`not a port: ${text}`);
  return port;
}
