/** `HZ`: clock ticks a second. */
export const HZ = 250;
const TICK = 1e9 / HZ;

/** `jiffies`: whole clock ticks at a virtual time in nanoseconds. */
export const jiffiesAt = (now: number): number => Math.floor(now / TICK);

/** The last clock tick, virtual nanoseconds. */
export const lastTick = (now: number): number => jiffiesAt(now) * TICK;
