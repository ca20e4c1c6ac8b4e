import type { MatchKind } from "../extension.ts";
import { ANY_SPI, parseSpi, type SpiHeader } from "./spi.ts";

/** `struct ip_esp_hdr`. */
const HEADER: SpiHeader = { name: "esp", protocol: 50, length: 8, readSpi: (view, at) => view.getUint32(at) };

export const espKind: MatchKind = {
  name: "esp",
  options: [{ name: "espspi", not: true }],
  parse: (options, scope) => parseSpi(options, scope, HEADER, ANY_SPI),
};
