import type { Engine } from "../docker/engine.ts";
import type { Path } from "../docker/source.ts";
import type { World } from "../world/world.ts";
import { parseTuple } from "./flow-text.ts";
import { EXPECTATION_SUBJECTS, type ExpectationSpec, type Subject, subjectOf } from "./format.ts";
import { deviceAt, hostAt, type Material } from "./network.ts";
import { parseRuleName } from "./rule-name.ts";
import { FIELD_KEYS } from "./sight.ts";
import type { ProgramRun } from "./steps.ts";

/** Whether an expectation counts where this engine runs; null for a scenario without Docker. */
export const isAbout = ({ engine }: ExpectationSpec, running: Engine | null): boolean =>
  engine === undefined || String(engine) === running?.name;

/**
 * Checks what counts under `running`, one of the engines of the scenario.
 * @throws {InputError} for an expectation that can never be met, as it names what does not exist.
 */
export function checkExpectations(
  material: Material,
  world: World,
  programs: readonly ProgramRun[],
  engines: readonly (Engine | null)[],
  running: Engine | null,
): void {
  for (const [i, spec] of (material.spec.expect ?? []).entries()) {
    const path: Path = ["expect", i];
    if (!engines.some((engine) => isAbout(spec, engine))) {
      const names = engines.map((engine) => engine?.name ?? "none");
      throw material.source.error([...path, "engine"], `an engine of this scenario (${names.join(", ")})`);
    }
    if (isAbout(spec, running)) new Check(material, world, path).run(spec, programs);
  }
}

class Check {
  private readonly source;

  constructor(
    private readonly material: Material,
    private readonly world: World,
    private readonly path: Path,
  ) {
    this.source = material.source;
  }

  run(spec: ExpectationSpec, programs: readonly ProgramRun[]): void {
    const { source, path, world } = this;
    const subjects = EXPECTATION_SUBJECTS.filter((key) => spec[key] !== undefined);
    if (subjects.length > 1)
      throw source.error([...path, subjects[1]!], `one of ${EXPECTATION_SUBJECTS.join(", ")}`, "key");
    const subject = subjectOf(spec);
    this.checkKeys(spec, subject);
    if (spec.at !== undefined) deviceAt(source, [...path, "at"], world, spec.at);
    if (spec.delivered !== undefined) hostAt(source, [...path, "delivered"], world, spec.delivered);
    if (spec.dropped !== undefined) {
      const at: Path = [...path, "dropped", "at"];
      if (spec.dropped.at.includes("/")) deviceAt(source, at, world, spec.dropped.at);
      else if (!world.translators.has(spec.dropped.at)) hostAt(source, at, world, spec.dropped.at);
      if (spec.dropped.rule !== undefined)
        this.checkRule(spec.dropped.rule, spec.dropped.at, [...path, "dropped", "rule"]);
    }
    if (spec.matched !== undefined) {
      hostAt(source, [...path, "matched", "at"], world, spec.matched.at);
      this.checkRule(spec.matched.rule, spec.matched.at, [...path, "matched", "rule"]);
    }
    if (spec.conntrack !== undefined) {
      hostAt(source, [...path, "conntrack", "at"], world, spec.conntrack.at);
      for (const key of ["original", "reply"] as const)
        if (spec.conntrack[key] !== undefined && parseTuple(spec.conntrack[key]) === null)
          throw source.error(
            [...path, "conntrack", key],
            "a tuple such as udp src=172.17.0.2 dst=203.0.113.10 dport=53",
          );
    }
    if (spec.output !== undefined && !programs.some((run) => run.name === spec.output!.program))
      throw source.error(
        [...path, "output", "program"],
        `the name of a program of this scenario (${programs.map((run) => run.name).join(", ") || "there is none"})`,
      );
  }

  private checkKeys(spec: ExpectationSpec, subject: Subject): void {
    const { source, path } = this;
    const aboutPackets = subject !== "output" && subject !== "conntrack";
    const allowed: string[] = ["engine", "count", ...(aboutPackets ? ["packet", ...FIELD_KEYS] : [])];
    if (subject === "arrival") allowed.push("at", "direction");
    else allowed.push(subject);
    for (const key of Object.keys(spec))
      if (!allowed.includes(key))
        throw source.error([...path, key], `a key that goes with ${subject} (${allowed.join(", ")})`, "key");
    if (subject === "arrival" && spec.at === undefined)
      throw source.error(
        [...path, "at"],
        `the device at which the packet is seen, or one of ${EXPECTATION_SUBJECTS.join(", ")}`,
      );
  }

  /** A rule must stand somewhere in the namespace's rules, unless a step brings others. */
  private checkRule(text: string, at: string, path: Path): void {
    const rule = parseRuleName(text);
    if (rule === null) throw this.source.error(path, 'a table, its chain and "policy", a rule number or the rule');
    const [namespace] = at.split("/");
    const changed = (this.material.spec.steps ?? []).some(
      ({ in: place, rules, rules_file, run = "" }) =>
        place === namespace && (rules !== undefined || rules_file !== undefined || /^iptables\s/.test(run)),
    );
    if (changed) return;
    const chain = this.world.host(namespace!).net.netfilter.tables.get(rule.table)?.chains.get(rule.chain);
    if (chain === undefined) throw this.source.error(path, `a chain that the rules of ${namespace} have`);
    const found =
      rule.number !== null
        ? rule.number <= chain.rules.length && (rule.number > 0 || chain.policy !== null)
        : chain.rules.some((one) => one.text.includes(rule.text));
    if (!found) throw this.source.error(path, `a rule of ${rule.table} ${rule.chain} in ${namespace}`);
  }
}
