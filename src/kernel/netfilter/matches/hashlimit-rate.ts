import { HZ } from "../../../sim/jiffies.ts";
import { kernelRefuses, part, type Token, unexpected } from "../tokenizer.ts";

/** `XT_HASHLIMIT_SCALE_v2`: a rate of packets is kept as the pause between two of them in microseconds. */
const SCALE = 1_000_000;
const U32 = 0xffffffff;
const MOST_PACKETS = 1_000_000;
const DEFAULT_BURST = 5;
/** Bytes are counted in chunks of 16. */
const CHUNK = 16;

/** What a microsecond is worth (`CREDITS_PER_JIFFY`). */
const CREDITS = (BigInt(HZ) << 39n) / BigInt(SCALE);
/** `user2credits()`: the kernel counts in 64 bits, which a few days overflow. */
const creditsOf = (microseconds: bigint): bigint => BigInt.asUintN(64, microseconds * CREDITS);

const UNITS = [
  { name: "day", long: "day", seconds: 86_400 },
  { name: "hour", long: "hour", seconds: 3600 },
  { name: "min", long: "minute", seconds: 60 },
  { name: "sec", long: "second", seconds: 1 },
] as const;
const BYTE_UNITS = [
  { name: "m", bytes: 1_048_576 },
  { name: "k", bytes: 1024 },
  { name: "", bytes: 1 },
] as const;

/** How many packets or bytes, and how long a silent entry lives unless the rule says otherwise. */
export interface Rate {
  /** Of packets the pause between two, in microseconds; of bytes the cost of a chunk, see {@link bytesOfCost}. */
  readonly average: number;
  readonly bytes: boolean;
  /** Packets, or times the rate of bytes; 0 for a rate of bytes without burst. */
  readonly burst: number;
  /** Nanoseconds of silence that a flow of packets can save up, `credit_cap`; 0 for bytes. */
  readonly saved: number;
  /** Milliseconds. */
  readonly expires: number;
}

/** `cost_to_bytes()`: bytes a second of a chunk that costs so much of 2^32. */
export const bytesOfCost = (cost: number): number => ((cost === 0 ? U32 : Math.floor(U32 / cost)) - 1) * CHUNK;
const costOfBytes = (bytes: number): number => Math.floor(U32 / (Math.floor(bytes / CHUNK) + 1));

/** `chain` is the rule's. */
export function readRate(token: Token, burst: Token | null, chain: string): Rate {
  const bytes = /^(\d+)(m|k|)b\/s$/i.exec(token.text);
  if (bytes !== null) return readByteRate(token, bytes[1]!, bytes[2]!, burst);
  const slash = token.text.indexOf("/");
  const digits = slash < 0 ? token.text : token.text.slice(0, slash);
  const word = token.text.slice(slash + 1).toLowerCase();
  const unit = slash < 0 ? UNITS[3] : UNITS.find(({ long }) => word !== "" && long.startsWith(word));
  const packets = /^\d+$/.test(digits) ? Number(digits) : 0;
  if (unit === undefined || packets === 0)
    throw unexpected(token, "a rate such as 5/second, 5/minute, 5/hour, 5/day or 512kb/s");
  const average = Math.floor((SCALE * unit.seconds) / packets);
  if (average === 0) throw unexpected(token, `a rate of at most ${SCALE}/second`);
  const most = burst === null ? DEFAULT_BURST : /^\d+$/.test(burst.text) ? Number(burst.text) : 0;
  if (most < 1 || most > MOST_PACKETS) throw unexpected(burst!, `a number of packets (1-${MOST_PACKETS})`);
  const credits = creditsOf(BigInt(average) * BigInt(most));
  if (credits < creditsOf(BigInt(average)))
    throw unexpected(
      burst ?? token,
      "a burst that takes less time to save up",
      kernelRefuses(token, chain, "Numerical result out of range"),
    );
  const saved = Number((credits * 1000n) / CREDITS);
  return { average, bytes: false, burst: most, saved, expires: unit.seconds * 1000 };
}

const factorOf = (letter: string): number => BYTE_UNITS.find(({ name }) => name === letter.toLowerCase())!.bytes;

function readByteRate(token: Token, digits: string, letter: string, burst: Token | null): Rate {
  const rate = Number(digits) * factorOf(letter);
  if (rate === 0 || rate > U32) throw unexpected(part(token, 0), `a rate of 1 to ${U32} bytes a second`);
  const average = costOfBytes(rate);
  if (burst === null) return { average, bytes: true, burst: 0, saved: 0, expires: 15_000 };
  const [, count, unit] = /^(\d+)(?:(m|k|)b)?$/i.exec(burst.text) ?? [];
  const most = count === undefined ? 0 : Number(count) * factorOf(unit ?? "");
  const each = bytesOfCost(average);
  if (most < each || most > U32) throw unexpected(burst, `a number of bytes (${each}-${U32})`);
  return { average, bytes: true, burst: Math.ceil(most / each), saved: 0, expires: 60_000 };
}

/** `print_rate()`, `print_bytes()`: the words behind the option, and the life of an entry that goes without saying. */
export function formatRate({ average, bytes, burst }: Rate): { rate: string; burst: string | null; expires: number } {
  if (!bytes) {
    const { packets, unit } = simplify(average);
    return { rate: `${packets}/${unit.name}`, burst: `${burst}`, expires: unit.seconds * 1000 };
  }
  const each = bytesOfCost(average);
  const unit =
    BYTE_UNITS.find(({ bytes: size }) => each >= size && costOfBytes(each - (each % size)) === average) ??
    BYTE_UNITS[2];
  const rate = `${Math.floor(each / unit.bytes)}${unit.name}b/s`;
  if (burst === 0) return { rate, burst: null, expires: 15_000 };
  const whole = each * burst;
  const most = BYTE_UNITS.find(({ bytes: size }) => whole >= size)!;
  return { rate, burst: `${Math.floor(whole / most.bytes)}${most.name}b`, expires: 60_000 };
}

/** The shortest unit that gives the rate without much of a rest. */
function simplify(pause: number): { packets: number; unit: (typeof UNITS)[number] } {
  let unit: (typeof UNITS)[number] = UNITS[0];
  for (const next of UNITS.slice(1)) {
    const whole = SCALE * next.seconds;
    if (pause > whole || Math.floor(whole / pause) < whole % pause) break;
    unit = next;
  }
  return { packets: Math.floor((SCALE * unit.seconds) / pause), unit };
}
