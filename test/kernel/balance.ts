import type { World } from "../../src/world/world.ts";

/** Packets that began and neither ended nor are held, and those that are still held. Both are 0 at rest. */
export function balance(world: World): { missing: number; held: number } {
  const { books, pool } = world.fabric;
  const begun = books.injected + books.generated + books.cloned;
  const ended = books.delivered + books.consumed + books.dropped;
  return { missing: begun - ended - pool.held, held: pool.held };
}
