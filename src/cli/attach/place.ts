import { parseIpv4 } from "../../wire/address.ts";

/** Where guests are served: a unix socket, or a port of an address of this machine. */
export type Place =
  | { readonly kind: "unix"; readonly path: string; readonly text: string }
  | { readonly kind: "inet"; readonly address: string; readonly port: number; readonly text: string };

/** `unix:PATH`, a path with a slash, `PORT` of loopback or `ADDRESS:PORT`. @throws {RangeError} with what is expected. */
export function parsePlace(text: string): Place {
  const path = text.startsWith("unix:") ? text.slice(5) : text.includes("/") ? text : null;
  if (path !== null && path !== "") return { kind: "unix", path, text: `unix:${path}` };
  const [, address = "127.0.0.1", digits = ""] = /^(?:([\d.]+):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > 65_535) throw new RangeError("unix:PATH, a PORT of 127.0.0.1, or ADDRESS:PORT");
  parseIpv4(address);
  return { kind: "inet", address, port, text: `${address}:${port}` };
}
