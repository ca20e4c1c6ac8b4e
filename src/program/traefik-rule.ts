/** A router's rule: alternatives of conditions that all hold. */
export type Rule = readonly (readonly Condition[])[];

interface Condition {
  readonly kind: "Host" | "PathPrefix" | "Path";
  readonly values: readonly string[];
}

/** `Host(\`a\`) && PathPrefix(\`/x\`)`, also with `||`; null for what is written with other matchers. */
export function parseRule(text: string): Rule | null {
  const alternatives: Condition[][] = [];
  for (const part of text.split("||")) {
    const conditions: Condition[] = [];
    for (const term of part.split("&&")) {
      const [, kind, given = ""] = /^\s*(Host|PathPrefix|Path)\(([^()]*)\)\s*$/.exec(term) ?? [];
      const values = [...given.matchAll(/[`"]([^`"]*)[`"]/g)].map(([, value]) => value!);
      if (kind === undefined || values.length === 0) return null;
      conditions.push({ kind: kind as Condition["kind"], values });
    }
    alternatives.push(conditions);
  }
  return alternatives;
}

/** Whether a request is the rule's, by its `Host` without the port and its path. */
export function matches(rule: Rule, host: string, path: string): boolean {
  const holds = ({ kind, values }: Condition): boolean =>
    values.some((value) => {
      if (kind === "Host") return host.toLowerCase() === value.toLowerCase();
      return kind === "Path" ? path === value : path.startsWith(value);
    });
  return rule.some((conditions) => conditions.every(holds));
}
