/** Quantities as a scenario writes them: `500ms`, `10%`. */

const DURATION = /^(\d+(?:\.\d+)?)(ns|us|ms|s|min)$/;
const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, min: 60e9 };

/** Nanoseconds of `500ms`, `2s`, `1.5min`; not a number for anything else. */
export function parseDuration(text: string): number {
  const [, value, unit] = DURATION.exec(text) ?? [];
  return Math.round(Number(value) * (UNITS[unit ?? ""] ?? Number.NaN));
}

/** A chance from 0 to 1, of `10%`; not a number for anything else. */
export const parseChance = (text: string): number =>
  /^\d+(\.\d+)?%$/.test(text) ? Number(text.slice(0, -1)) / 100 : Number.NaN;
