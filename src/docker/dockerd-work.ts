import type { Answering } from "../program/http-service.ts";
import type { Environment } from "../program/program.ts";
import { formatJson } from "./api.ts";
import { type Command, Refusal } from "./command.ts";
import type { Daemon } from "./daemon.ts";
import { type Operation, tellOperation } from "./operation.ts";
import type { PlanStep } from "./plan.ts";

export type Respond = (answer: Answering) => void;
/** Calls `done` once all of it is done. */
type Job = (done: () => void) => void;

/** What dockerd does to its host, one call after the other, and how it answers. */
export class Work {
  /** What changes the host is done one after the other. */
  private readonly jobs: Job[] = [];

  constructor(
    readonly environment: Environment,
    readonly daemon: Daemon,
    private readonly carryOut: (operation: Operation) => void,
  ) {}

  enqueue(job: Job): void {
    this.jobs.push(job);
    if (this.jobs.length === 1) this.next();
  }

  private next(): void {
    this.jobs[0]?.(() => {
      this.jobs.shift();
      this.next();
    });
  }

  execute(command: Command): void {
    this.daemon.now = this.environment.scheduler.now;
    this.daemon.execute(command);
    this.perform(this.daemon.takeSteps());
  }

  perform(steps: readonly PlanStep[]): void {
    for (const { title, operations } of steps) {
      this.environment.say(`dockerd: ${title}`);
      for (const operation of operations) {
        for (const line of tellOperation(operation, this.daemon.namespace)) this.environment.say(line);
        this.carryOut(operation);
      }
    }
  }

  /** A refusal is the answer. */
  guard(respond: Respond, action: () => void, explain = (says: string) => says): boolean {
    try {
      action();
      return true;
    } catch (error) {
      if (error instanceof Refusal) this.fail(respond, error.status, explain(error.says || error.message));
      else if (error instanceof RangeError || error instanceof URIError) this.fail(respond, 400, error.message);
      else throw error;
      return false;
    }
  }

  fail(respond: Respond, status: number, message: string): void {
    this.json(respond, status, { message });
  }

  json(respond: Respond, status: number, value: unknown): void {
    respond({
      status,
      headers: [
        ["Api-Version", this.daemon.engine.api],
        ["Content-Type", "application/json"],
      ],
      body: `${formatJson(value)}\n`,
    });
  }
}
