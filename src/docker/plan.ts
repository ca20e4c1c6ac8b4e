import type { Word } from "./command.ts";
import { formatOperation, type Operation } from "./operation.ts";

/** Some operations that belong together, and what they are for. */
export interface PlanStep {
  readonly title: string;
  readonly operations: readonly Operation[];
}

/** What Docker will do, in order. Nothing is done before `apply`. */
export interface Plan {
  /** The namespace of the world that dockerd runs in. */
  readonly namespace: string;
  readonly steps: readonly PlanStep[];
  readonly notices: readonly Word[];
}

/** The plan as text: each step, and the commands that would do the same by hand. */
export function formatPlan(plan: Plan): string {
  const lines: string[] = [];
  for (const { title, operations } of plan.steps) {
    if (lines.length > 0) lines.push("");
    lines.push(`# ${title}`);
    for (const operation of operations) lines.push(...formatOperation(operation, plan.namespace));
  }
  return `${lines.join("\n")}\n`;
}
