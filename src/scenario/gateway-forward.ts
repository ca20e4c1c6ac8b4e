import type { GatewayForward } from "../translator/translator.ts";
import { parseIpv4 } from "../wire/address.ts";

/** `tcp:3000:127.0.0.1:3000`. @throws {RangeError}. */
export function parseForward(text: string): GatewayForward {
  const [protocol, port, address, toPort] = text.split(":");
  return {
    protocol: protocol as "tcp" | "udp",
    port: parsePort(port!),
    to: { address: parseIpv4(address!), port: parsePort(toPort!) },
  };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!(port >= 1 && port <= 65_535)) throw new RangeError(`not a port: ${text}`);
  return port;
}
