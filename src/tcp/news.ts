/** What an owner is told, as bits. */
export const ESTABLISHED = 1;
export const READABLE = 2;
export const WRITABLE = 4;
export const FAILED = 8;
export const CLOSED = 16;
