/** The public API. */
export { Random } from "./sim/random.ts";
export { World } from "./world/world.ts";
