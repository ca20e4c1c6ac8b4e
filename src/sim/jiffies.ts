/** `HZ`: clock ticks a second. */
export const HZ = 250;
const TICK = 1e9 / HZ;

/** `jiffies`: whole clock ticks at a virtual time in nanoseconds. */
export const jiffiesAt = (now: number): number => Math.floor(now / TICK);

/** The last clock tick, virtual nanoseconds. */
export const lastTick = (now: number): number => jiffiesAt(now) * TICK;

/** `calc_index()`: when a timer of the kernel's wheel is over that is set now, nanoseconds: never early, so a tick late. */
export const wheelTime = (now: number, delay: number): number => lastTick(now) + delay + TICK;
