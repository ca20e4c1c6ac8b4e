import type { MatchKind } from "../extension.ts";
import { parseSpi, type SpiHeader } from "./spi.ts";

/** `struct ip_comp_hdr`. */
const HEADER: SpiHeader = { name: "ipcomp", protocol: 108, length: 4, readSpi: (view, at) => view.getUint16(at + 2) };

/** Without `--ipcompspi` it is 0; the kernel looks at nothing else, whatever `--compres` says. */
export const ipcompKind: MatchKind = {
  name: "ipcomp",
  options: [
    { name: "ipcompspi", not: true },
    { name: "compres", values: 0 },
  ],
  parse: (options, scope) => parseSpi(options, scope, HEADER, 0, options.has("compres") ? " --compres" : ""),
};
