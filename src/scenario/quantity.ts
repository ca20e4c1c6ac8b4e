/** Quantities as a scenario writes them: `500ms`, `10%`. */

const DURATION = /^(\d+(?:\.\d+)?)(ns|us|ms|s|min)$/;
const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, min: 60e9 };

/** Nanoseconds. @throws {RangeError}. */
export function parseDuration(text: string): number {
  const [, value, unit] = DURATION.exec(text) ?? [];
  const nanoseconds = Math.round(Number(value) * (UNITS[unit ?? ""] ?? Number.NaN));
  if (!Number.isSafeInteger(nanoseconds)) throw new RangeError(`not a time: ${text}`);
  return nanoseconds;
}

/** A chance from 0 to 1. @throws {RangeError}. */
export function parseChance(text: string): number {
  const value = /^\d+(\.\d+)?%$/.test(text) ? Number(text.slice(0, -1)) / 100 : Number.NaN;
  if (!(value <= 1)) throw new RangeError(`not a percentage: ${text}`);
  return value;
}
