import { explain } from "./difference.ts";
import type { Evidence } from "./evidence.ts";
import { formatTuple, statusOf, tupleFits } from "./flow-text.ts";
import type { ExpectationSpec } from "./format.ts";
import { decides, formatRuleName, parseRuleName } from "./rule-name.ts";
import { FIELD_KEYS, formatTime, isKind, mismatches, type Sight } from "./sight.ts";
import type { ProgramRun } from "./steps.ts";

/** An expectation and whether it holds. */
export interface Verdict {
  /** In words, such as `icmp echo request arrives at inet/eth0, source 192.168.65.3`. */
  readonly text: string;
  readonly holds: boolean;
  /** What was found instead, and the packet and hop where reality parted from it; else which packet it was. */
  readonly detail: string;
}

/** What an expectation finds: one line for each time that it is met. */
export function findings(spec: ExpectationSpec, evidence: Evidence, programs: readonly ProgramRun[]): string[] {
  const fits = (sight: Sight): boolean => isKind(spec, sight) && mismatches(spec, sight).length === 0;
  const { dropped, delivered, matched, output, conntrack } = spec;
  if (output !== undefined) {
    const { lines } = programs.find((run) => run.name === output.program)!;
    return lines.filter((line) => line.text.includes(output.line)).map((line) => `printed at ${formatTime(line.time)}`);
  }
  if (conntrack !== undefined)
    return evidence.flows
      .filter(
        ({ namespace, connection }) =>
          namespace === conntrack.at &&
          tupleFits(conntrack.original, connection.original) &&
          tupleFits(conntrack.reply, connection.reply) &&
          (conntrack.status ?? []).every((bit) => statusOf(connection).includes(bit)),
      )
      .map(({ connection }) => `${formatTuple(connection.original)} | ${formatTuple(connection.reply)}`);
  if (matched !== undefined) {
    const name = parseRuleName(matched.rule)!;
    return evidence.decisions
      .filter(
        (decision) =>
          decision.namespace === matched.at &&
          decides(name, decision) &&
          (matched.verdict ?? decision.verdict) === decision.verdict &&
          fits(decision),
      )
      .map((decision) => `packet #${decision.packet}: ${formatRuleName(decision)}, ${decision.verdict}`);
  }
  if (dropped !== undefined || delivered !== undefined) {
    const name = dropped?.rule === undefined ? null : parseRuleName(dropped.rule)!;
    return evidence.endings
      .filter((ending) =>
        dropped === undefined
          ? ending.kind === "delivered" && ending.namespace === delivered
          : ending.kind === "dropped" &&
            (ending.at === dropped.at || ending.namespace === dropped.at) &&
            (dropped.reason ?? ending.why) === ending.why &&
            (name === null || (ending.decision !== null && decides(name, ending.decision))),
      )
      .filter(fits)
      .map((ending) => `packet #${ending.packet}: ${ending.why}`);
  }
  return evidence.sightings
    .filter((sighting) => sighting.at === spec.at && sighting.direction === (spec.direction ?? "in") && fits(sighting))
    .map((sighting) => `packet #${sighting.packet} at ${formatTime(sighting.time)}`);
}

/** Compares an expectation with what happened. */
export function judge(spec: ExpectationSpec, evidence: Evidence, programs: readonly ProgramRun[]): Verdict {
  const found = findings(spec, evidence, programs);
  const holds = spec.count === undefined ? found.length > 0 : found.length === spec.count;
  const text = describe(spec);
  if (holds) return { text, holds, detail: found.slice(0, 3).join("; ") };
  if (spec.count !== undefined && found.length > 0)
    return { text, holds, detail: `found ${found.length} instead of ${spec.count}: ${found.slice(0, 3).join("; ")}` };
  return { text, holds, detail: explain(spec, evidence, programs) };
}

/** An expectation in words. */
function describe(spec: ExpectationSpec): string {
  const { dropped, delivered, matched, output, conntrack } = spec;
  const packet = spec.packet ?? "a packet";
  const fields = FIELD_KEYS.filter((key) => spec[key] !== undefined).map(
    (key) => `${key.replace("_", " ")} ${spec[key]}`,
  );
  if (spec.count !== undefined) fields.push(`${spec.count} times`);
  const words = (subject: string) => [subject, ...fields].join(", ");
  if (output !== undefined) return words(`${output.program} prints "${output.line}"`);
  if (conntrack !== undefined) {
    const { at, original, reply, status = [] } = conntrack;
    const parts = [original ?? "any flow", reply === undefined ? "" : `answered by ${reply}`, ...status];
    return words(`${at} tracks ${parts.filter((part) => part !== "").join(", ")}`);
  }
  if (matched !== undefined) {
    const verdict = matched.verdict === undefined ? "" : ` (${matched.verdict})`;
    return words(`${packet} in ${matched.at} meets ${matched.rule}${verdict}`);
  }
  if (delivered !== undefined) return words(`${packet} is delivered in ${delivered}`);
  if (dropped !== undefined) {
    const { at, reason, rule } = dropped;
    const why = [reason, rule].filter((part) => part !== undefined).join(" by ");
    return words(`${packet} is dropped in ${at}${why === "" ? "" : `: ${why}`}`);
  }
  return words(`${packet} ${spec.direction === "out" ? "leaves" : "arrives at"} ${spec.at}`);
}
