import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { Options, RuleScope } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { unexpected } from "../tokenizer.ts";
import { printOption, readIntegerRange } from "../value.ts";

const MOST = 0xffffffff;

/** An IPsec header that names its association by a number. */
export interface SpiHeader {
  readonly name: "ah" | "esp" | "ipcomp";
  readonly protocol: number;
  /** Bytes that must be there. */
  readonly length: number;
  readSpi(view: DataView, at: number): number;
}

/** `ah_mt()`, `esp_mt()`, `comp_mt()`. */
class SpiMatch implements Match {
  constructor(
    private readonly header: SpiHeader,
    private readonly min: number,
    private readonly max: number,
    private readonly not: boolean,
    private readonly suffix: string,
  ) {}

  get name(): string {
    return this.header.name;
  }

  matches(packet: Packet, context: RuleContext): boolean {
    const { view, end } = packet;
    if (ipv4.fragmentOffset(view, NETWORK) !== 0) return false;
    const at = NETWORK + ipv4.headerLength(view, NETWORK);
    if (end - at < this.header.length) {
      context.hotdrop = true;
      return false;
    }
    const spi = this.header.readSpi(view, at);
    return (spi >= this.min && spi <= this.max) !== this.not;
  }

  print(): string {
    const { min, max, not, suffix } = this;
    if (min === 0 && max === MOST && !not) return suffix;
    const range = min === max ? `${min}` : `${min}:${max}`;
    return `${printOption(`${this.name}spi`, range, not)}${suffix}`;
  }
}

/** `otherwise` is what a rule without the option asks for. */
export function parseSpi(options: Options, scope: RuleScope, header: SpiHeader, otherwise: number, suffix = ""): Match {
  options.needProtocol(scope, [header.protocol], `-p ${header.name} in a rule with the match ${header.name}`);
  const given = options.get(`${header.name}spi`);
  if (given === null) return new SpiMatch(header, 0, otherwise, false, suffix);
  const token = given.values[0]!;
  const { min, max } = readIntegerRange(token, MOST, "an SPI");
  if (max < min) throw unexpected(token, "a range of SPIs whose first is not above its last");
  return new SpiMatch(header, min, max, given.not, suffix);
}

export const ANY_SPI = MOST;
