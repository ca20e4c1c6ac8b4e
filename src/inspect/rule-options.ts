import { tokenize } from "../kernel/netfilter/tokenizer.ts";

/** An option of a match or target, as `iptables-save` prints it. */
export interface Given {
  readonly name: string;
  readonly not: boolean;
  readonly values: readonly string[];
}

/** The options of an extension, read back from what it prints. */
export class RuleOptions {
  readonly all: readonly Given[];

  constructor(readonly text: string) {
    const all: { name: string; not: boolean; values: string[] }[] = [];
    let not = false;
    for (const token of tokenize(text, "", 1)) {
      if (token.text === "!" && !token.quoted) not = true;
      else if (token.text.startsWith("--") && !token.quoted && all.at(-1)?.name !== "comment") {
        all.push({ name: token.text.slice(2), not, values: [] });
        not = false;
      } else all.at(-1)?.values.push(token.text);
    }
    this.all = all;
  }

  get(name: string): Given | null {
    return this.all.find((given) => given.name === name) ?? null;
  }

  has(name: string): boolean {
    return this.get(name) !== null;
  }

  /** The first value; empty where the option is absent or has none. */
  value(name: string): string {
    return this.get(name)?.values[0] ?? "";
  }
}

/** How `iptables -L` is to print an extension. */
export interface PrintStyle {
  readonly numeric: boolean;
  /** The rule's protocol by its name, `tcp`; empty for any. */
  readonly protocol: string;
}
