import type { TargetKind } from "../extension.ts";
import type { Target, TargetVerdict } from "../rule.ts";

/** `trace_tg()` of xt_TRACE.c; here every packet is traced, so it changes nothing. */
class TraceTarget implements Target {
  readonly name = "TRACE";

  apply(): TargetVerdict {
    return "CONTINUE";
  }

  print(): string {
    return "";
  }
}

export const traceKind: TargetKind = { name: "TRACE", options: [], parse: () => new TraceTarget() };
