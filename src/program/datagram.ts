import { formatIpv4 } from "../wire/address.ts";

export const formatEndpoint = ({ address, port }: { readonly address: number; readonly port: number }): string =>
  `${formatIpv4(address)}:${port}`;

/** `5 bytes "hello"`: the length, and the data as far as it can be read. */
export function describeData(data: Uint8Array): string {
  let text = "";
  for (const byte of data.subarray(0, 40)) text += byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".";
  return `${data.length} ${data.length === 1 ? "byte" : "bytes"} "${text}${data.length > 40 ? "..." : ""}"`;
}
