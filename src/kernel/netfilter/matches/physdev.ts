import type { Packet } from "../../../packet/packet.ts";
import type { MatchKind, Options } from "../extension.ts";
import type { Match, RuleContext } from "../rule.ts";
import { DevicePattern, printOption, readDeviceName } from "../value.ts";

interface Port {
  readonly pattern: DevicePattern;
  readonly not: boolean;
}

/** `null` for "do not care", else what is wanted. */
type Wanted = boolean | null;

/** `physdev_mt()` of xt_physdev.c. */
class PhysdevMatch implements Match {
  readonly name = "physdev";

  constructor(
    private readonly isIn: Wanted,
    private readonly inPort: Port | null,
    private readonly isOut: Wanted,
    private readonly outPort: Port | null,
    private readonly isBridged: Wanted,
  ) {}

  matches(packet: Packet, context: RuleContext): boolean {
    if (packet.bridgeIn === 0 && packet.bridgeOut === 0) return this.matchesUnbridged();
    const inDevice = packet.bridgeIn === 0 ? null : context.net.deviceByIndex(packet.bridgeIn);
    const outDevice = packet.bridgeOut === 0 ? null : context.net.deviceByIndex(packet.bridgeOut);
    if (this.isBridged !== null && (outDevice !== null) !== this.isBridged) return false;
    if (this.isIn !== null && (inDevice !== null) !== this.isIn) return false;
    if (this.isOut !== null && (outDevice !== null) !== this.isOut) return false;
    if (this.inPort !== null && inDevice !== null && this.inPort.pattern.covers(inDevice.name) === this.inPort.not)
      return false;
    if (this.outPort === null) return true;
    return outDevice !== null && this.outPort.pattern.covers(outDevice.name) !== this.outPort.not;
  }

  /** A packet that no bridge has touched matches when all that is asked is inverted. */
  private matchesUnbridged(): boolean {
    return (
      this.isBridged !== true &&
      this.isIn !== true &&
      this.isOut !== true &&
      (this.inPort?.not ?? true) &&
      (this.outPort?.not ?? true)
    );
  }

  print(): string {
    const words: string[] = [];
    if (this.isIn !== null) words.push(printOption("physdev-is-in", "", !this.isIn));
    if (this.inPort !== null) words.push(printOption("physdev-in", this.inPort.pattern.text, this.inPort.not));
    if (this.isOut !== null) words.push(printOption("physdev-is-out", "", !this.isOut));
    if (this.outPort !== null) words.push(printOption("physdev-out", this.outPort.pattern.text, this.outPort.not));
    if (this.isBridged !== null) words.push(printOption("physdev-is-bridged", "", !this.isBridged));
    return words.join(" ");
  }
}

function readPort(options: Options, name: string): Port | null {
  const given = options.get(name);
  return given === null ? null : { pattern: new DevicePattern(readDeviceName(given.values[0]!)), not: given.not };
}

function readWanted(options: Options, name: string): Wanted {
  const given = options.get(name);
  return given === null ? null : !given.not;
}

export const physdevKind: MatchKind = {
  name: "physdev",
  options: [
    { name: "physdev-in", not: true },
    { name: "physdev-out", not: true },
    { name: "physdev-is-in", values: 0, not: true },
    { name: "physdev-is-out", values: 0, not: true },
    { name: "physdev-is-bridged", values: 0, not: true },
  ],
  parse(options) {
    options.needAny("at least one option", "PHYSDEV: no physdev option specified");
    return new PhysdevMatch(
      readWanted(options, "physdev-is-in"),
      readPort(options, "physdev-in"),
      readWanted(options, "physdev-is-out"),
      readPort(options, "physdev-out"),
      readWanted(options, "physdev-is-bridged"),
    );
  },
};
