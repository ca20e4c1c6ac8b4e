import { NETWORK, type Packet } from "../../../packet/packet.ts";
import { formatIpv4 } from "../../../wire/address.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { MatchKind, Options } from "../extension.ts";
import type { Match } from "../rule.ts";
import { printOption, readAddressRange } from "../value.ts";

interface Range {
  readonly min: number;
  readonly max: number;
  readonly not: boolean;
}

/** `iprange_mt4()` of xt_iprange.c. */
class IprangeMatch implements Match {
  readonly name = "iprange";

  constructor(
    private readonly source: Range | null,
    private readonly destination: Range | null,
  ) {}

  matches(packet: Packet): boolean {
    return (
      covers(this.source, ipv4.source(packet.view, NETWORK)) &&
      covers(this.destination, ipv4.destination(packet.view, NETWORK))
    );
  }

  print(): string {
    const words: string[] = [];
    if (this.source !== null) words.push(printRange("src-range", this.source));
    if (this.destination !== null) words.push(printRange("dst-range", this.destination));
    return words.join(" ");
  }
}

function covers(range: Range | null, address: number): boolean {
  if (range === null) return true;
  const unsigned = address >>> 0;
  return (unsigned >= range.min >>> 0 && unsigned <= range.max >>> 0) !== range.not;
}

const printRange = (name: string, range: Range): string =>
  printOption(name, `${formatIpv4(range.min)}-${formatIpv4(range.max)}`, range.not);

function read(options: Options, name: string): Range | null {
  const given = options.get(name);
  return given === null ? null : { ...readAddressRange(given.values[0]!), not: given.not };
}

export const iprangeKind: MatchKind = {
  name: "iprange",
  options: [
    { name: "src-range", not: true },
    { name: "dst-range", not: true },
  ],
  parse(options) {
    options.needAny("--src-range or --dst-range", "iprange match: You must specify `--src-range' or `--dst-range'");
    return new IprangeMatch(read(options, "src-range"), read(options, "dst-range"));
  },
};
