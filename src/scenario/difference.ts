import { birthHeaders, titleOf } from "../trace/packet-title.ts";
import type { Evidence } from "./evidence.ts";
import { formatTuple, statusOf } from "./flow-text.ts";
import { type ExpectationSpec, subjectOf } from "./format.ts";
import { formatRuleName } from "./rule-name.ts";
import { FIELD_KEYS, type Fields, formatTime, isKind, mismatches, type Sight } from "./sight.ts";
import type { ProgramRun } from "./steps.ts";

/** Why an expectation found nothing: what was there instead, and how far the likeliest packet came. */
export function explain(spec: ExpectationSpec, evidence: Evidence, programs: readonly ProgramRun[]): string {
  const { output, conntrack } = spec;
  if (output !== undefined) {
    const { lines, status } = programs.find((run) => run.name === output.program)!;
    const printed = lines.filter((line) => line.text !== "").map((line) => `"${line.text}"`);
    const state = status === null ? "still runs" : `ended with status ${status}`;
    return `it printed ${printed.length === 0 ? "nothing" : printed.join(", ")} and ${state}`;
  }
  if (conntrack !== undefined) {
    const flows = evidence.flows.filter(({ namespace }) => namespace === conntrack.at);
    if (flows.length === 0) return `${conntrack.at} tracked no flow`;
    const lines = flows.slice(0, 5).map(({ connection }) => {
      const status = statusOf(connection).join(" ");
      return `${formatTuple(connection.original)} | ${formatTuple(connection.reply)} ${status}`.trimEnd();
    });
    return `${conntrack.at} tracked ${lines.join("; ")}`;
  }
  return explainPacket(spec, evidence);
}

function explainPacket(spec: ExpectationSpec, evidence: Evidence): string {
  const there = evidence.sightings.filter(
    (sighting) =>
      subjectOf(spec) === "arrival" &&
      sighting.at === spec.at &&
      sighting.direction === (spec.direction ?? "in") &&
      isKind(spec, sighting),
  );
  if (there.length > 0) {
    const nearest = nearestOf(spec, there);
    return `at ${spec.at} packet #${nearest.packet} has ${differences(spec, nearest.fields)}`;
  }
  const born = evidence.births.filter((sight) => isKind(spec, sight));
  if (born.length === 0) return `there was no ${spec.packet ?? "such packet"} at all`;
  return journey(nearestOf(spec, born).packet, evidence);
}

/** The sight with the fewest differences, the first among equals. */
function nearestOf<T extends Sight>(spec: ExpectationSpec, sights: readonly T[]): T {
  let best = sights[0]!;
  for (const sight of sights) if (mismatches(spec, sight).length < mismatches(spec, best).length) best = sight;
  return best;
}

function differences(spec: ExpectationSpec, fields: Fields): string {
  return FIELD_KEYS.filter((key) => spec[key] !== undefined && `${spec[key]}`.toLowerCase() !== `${fields[key]}`)
    .map((key) => `${key.replace("_", " ")} ${fields[key] ?? "(none)"} instead of ${spec[key]}`)
    .join(", ");
}

/** How far a packet came, and how it ended. */
function journey(packet: number, evidence: Evidence): string {
  const title = `packet #${packet} (${titleOf(birthHeaders(evidence.trace.byId.get(packet)!))})`;
  const last = evidence.sightings.filter((sighting) => sighting.packet === packet).at(-1);
  const reached = last === undefined ? "reached no device" : `was last seen at ${last.at} at ${formatTime(last.time)}`;
  const ending = evidence.endings.find((one) => one.packet === packet);
  if (ending === undefined) return `${title} ${reached} and is still under way`;
  if (ending.kind !== "dropped") return `${title} ${reached} and was ${ending.kind} in ${ending.at}: ${ending.why}`;
  const { decision } = ending;
  const by =
    ending.why !== "NETFILTER_DROP" || decision === null
      ? ""
      : ` by ${[formatRuleName(decision), decision.text].join(" ").trim()}`;
  return `${title} ${reached} and was dropped in ${ending.at}: ${ending.why}${by}`;
}
