/** Arithmetic on sequence numbers (RFC 9293, 3.4): signed 32-bit integers that wrap. */

export const before = (a: number, b: number): boolean => ((a - b) | 0) < 0;
export const after = (a: number, b: number): boolean => ((a - b) | 0) > 0;
/** `a` is in [low, high], both included. */
export const between = (a: number, low: number, high: number): boolean => (high - low) >>> 0 >= (a - low) >>> 0;
export const laterOf = (a: number, b: number): number => (after(a, b) ? a : b);
