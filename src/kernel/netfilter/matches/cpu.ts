import type { MatchKind } from "../extension.ts";
import type { Match } from "../rule.ts";
import { printOption, readInteger } from "../value.ts";

/** `cpu_mt()` of xt_cpu.c. The world has one processor, number 0. */
class CpuMatch implements Match {
  readonly name = "cpu";

  constructor(
    private readonly cpu: number,
    private readonly not: boolean,
  ) {}

  matches(): boolean {
    return (this.cpu === 0) !== this.not;
  }

  print(): string {
    return printOption("cpu", `${this.cpu}`, this.not);
  }
}

export const cpuKind: MatchKind = {
  name: "cpu",
  options: [{ name: "cpu", not: true }],
  parse(options) {
    const given = options.need("cpu");
    return new CpuMatch(readInteger(given.values[0]!, 0, 0xffffffff, "a processor"), given.not);
  },
};
