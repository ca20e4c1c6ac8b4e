import type { Random } from "../../sim/random.ts";
import type { Tuple } from "../conntrack/connection.ts";
import type { Manip, NatRange } from "./range.ts";

/** `NF_NAT_MAX_ATTEMPTS`. */
const MAX_ATTEMPTS = 128;
const LEAST_ATTEMPTS = 16;

interface Ports {
  readonly min: number;
  readonly size: number;
}

/** Where a port may go when the rule names none: within its own class (`nf_nat_l4proto_unique_tuple()`). */
export function classOf(port: number): Ports {
  if (port < 512) return { min: 1, size: 511 };
  if (port < 1024) return { min: 600, size: 424 };
  return { min: 1024, size: 64_512 };
}

function portsFor(tuple: Tuple, manip: Manip, range: NatRange): Ports | null {
  if (range.ports !== null) {
    const low = Math.min(range.ports.min, range.ports.max);
    return { min: low, size: Math.abs(range.ports.max - range.ports.min) + 1 };
  }
  if (tuple.protocol === 1) return { min: 0, size: 65_536 };
  if (manip === "destination") return null;
  return classOf(tuple.sourcePort);
}

/**
 * Finds a port (for ICMP an identifier) that makes the tuple unique: from an offset onwards, then from fresh random
 * offsets with ever fewer attempts. When all are taken the last try stays, and confirmation will drop the packet.
 */
export function choosePort(
  tuple: Tuple,
  manip: Manip,
  range: NatRange,
  random: Random,
  isTaken: (tuple: Tuple, attemptsLeft: number) => boolean,
): void {
  const ported =
    tuple.protocol === 1 ||
    tuple.protocol === 6 ||
    tuple.protocol === 17 ||
    tuple.protocol === 132 ||
    tuple.protocol === 136;
  const ports = ported ? portsFor(tuple, manip, range) : null;
  if (ports === null) return;
  const inSource = manip === "source" || tuple.protocol === 1;
  const current = inSource ? tuple.sourcePort : tuple.destinationPort;
  let offset = 0;
  if (range.basePort !== null) offset = current - range.basePort;
  else if (range.random !== "no" || manip === "source") offset = random.below(65_536);
  for (let attempts = Math.min(ports.size, MAX_ATTEMPTS); ; attempts >>= 1) {
    for (let i = 0; i < attempts; i++, offset++) {
      const port = ports.min + (((offset % ports.size) + ports.size) % ports.size);
      if (inSource) tuple.sourcePort = port;
      else tuple.destinationPort = port;
      if (!isTaken(tuple, attempts - i)) return;
    }
    if (attempts >= ports.size || attempts < LEAST_ATTEMPTS) return;
    offset = random.below(65_536);
  }
}
