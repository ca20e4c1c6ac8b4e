import { Lab, runLab } from "../../scenario/lab.ts";
import type { LabCase, LabResult } from "../../scenario/lab-case.ts";
import type { World } from "../../world/world.ts";
import { type Canonical, canonical } from "./canonical.ts";
import { compare, type Difference } from "./difference.ts";
import type { Kernel } from "./kernel.ts";

/** A case held against the kernel. */
export interface Verification {
  /** Where hopscope ran it. */
  readonly world: World;
  readonly difference: Difference | null;
  /** The kernel gave two answers, so that the case decides nothing. */
  readonly unsteady: boolean;
  readonly frames: number;
  readonly hits: number;
  readonly flows: number;
}

/** With as many seeds hopscope may draw what the kernel drew; a few tell whether it draws at all. */
const DRAWS = 40;
const FEW = 4;

/**
 * Runs a case on both. A difference counts when the kernel answers twice alike, and hopscope differs also when it is
 * given each step at the time at which the kernel was, and, where it draws at random, with each of many seeds.
 * @throws {KernelError} when the kernel refuses the case.
 */
export async function verifyLab(lab: LabCase, kernel: Kernel): Promise<Verification> {
  const run = new Lab(lab);
  const own = run.run();
  const { world } = run;
  const result = await kernel.run(lab);
  const stateless = !tellsState(result.kernel ?? "");
  const ours = canonical(own, lab, stateless);
  const theirs = canonical(result, lab, stateless);
  const difference = compare(theirs, ours);
  if (difference === null) return { world, difference, unsteady: false, ...totals(result) };
  const second = await kernel.run(lab);
  const again = canonical(second, lab, stateless);
  const timed = (seed?: number) => canonical(runLab(lab, seed, second.times), lab, stateless);
  const left = compare(again, ours) === null ? null : compare(again, timed());
  const drawn = left !== null && isDraw(again, timed(), timed);
  return { world, difference: drawn ? null : left, unsteady: compare(again, theirs) !== null, ...totals(result) };
}

/**
 * True when chance has a part in what hopscope did, and another draw gives what the kernel did: a port from a range of
 * four, say, stands for any of them.
 */
export function isDraw(kernel: Canonical, ours: Canonical, draw: (seed: number) => Canonical): boolean {
  let hangs = false;
  for (let seed = 2; seed <= DRAWS && (hangs || seed <= FEW); seed++) {
    const other = draw(seed);
    if (compare(kernel, other) === null) return true;
    hangs ||= compare(ours, other) !== null;
  }
  return false;
}

/** Since Linux 6.16 a rule trace says what conntrack knows of the packet. */
function tellsState(release: string): boolean {
  const [major = 0, minor = 0] = release.split(".").map(Number);
  return major > 6 || (major === 6 && minor >= 16);
}

/** A recorded answer of the kernel against a fresh one of hopscope. */
export function compareWithRecording(recording: Canonical, lab: LabCase): Difference | null {
  return compare(recording, canonical(runLab(lab), lab));
}

/** What was compared. */
export function totals(result: LabResult): { frames: number; hits: number; flows: number } {
  let [frames, hits, flows] = [0, 0, 0];
  for (const step of result.steps) {
    frames += step.frames.length;
    hits += step.trace.filter(({ type }) => type === "rule").length;
    flows += step.ct_events.filter(({ ev }) => ev === "NEW").length;
  }
  return { frames, hits, flows };
}
