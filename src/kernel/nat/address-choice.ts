import { hashFourWords, networkOrder, scale } from "../jhash.ts";

/**
 * `find_best_ips_proto()`: which address of a range a flow gets. Depends on both ends, or on the source alone when the
 * rule is `--persistent`; there is no secret in it.
 */
export function chooseAddress(
  range: { readonly min: number; readonly max: number },
  source: number,
  destination: number,
  persistent: boolean,
): number {
  if (range.min === range.max) return range.min;
  const hash = hashFourWords([networkOrder(source), 0, 0, 0], persistent ? 0 : networkOrder(destination));
  const size = (range.max >>> 0) - (range.min >>> 0) + 1;
  return ((range.min >>> 0) + scale(hash, size)) | 0;
}
