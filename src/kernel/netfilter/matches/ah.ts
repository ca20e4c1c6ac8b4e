import type { MatchKind } from "../extension.ts";
import { ANY_SPI, parseSpi, type SpiHeader } from "./spi.ts";

/** `struct ip_auth_hdr`. */
const HEADER: SpiHeader = { name: "ah", protocol: 51, length: 12, readSpi: (view, at) => view.getUint32(at + 4) };

export const ahKind: MatchKind = {
  name: "ah",
  options: [{ name: "ahspi", not: true }],
  parse: (options, scope) => parseSpi(options, scope, HEADER, ANY_SPI),
};
