import type { World } from "../world/world.ts";

/** What the rules that were loaded name and hopscope does not do, a line for each place. */
export function unmodelledText({ hosts }: World): string {
  const notices = [...hosts.values()].flatMap(({ net }) => net.netfilter.notices);
  const lines = notices.map(
    ({ text, place }) => `${place.file}:${place.line}:${place.column}: hopscope does not model ${text}\n`,
  );
  return [...new Set(lines)].join("");
}
