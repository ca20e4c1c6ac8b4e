/** What a number in a step stands for: a place where packets are, or a piece of the rule set. */
export type Name =
  | { readonly kind: "namespace"; readonly namespace: string }
  | { readonly kind: "device"; readonly namespace: string; readonly device: string }
  | { readonly kind: "chain"; readonly namespace: string; readonly table: string; readonly chain: string }
  | {
      readonly kind: "rule";
      readonly namespace: string;
      readonly table: string;
      readonly chain: string;
      /** From 1, as `iptables -L --line-numbers` counts. */
      readonly number: number;
      /** As `iptables-save` prints it, without `-A CHAIN`. */
      readonly text: string;
      /** What of it hopscope does not do, in words; empty for nothing. */
      readonly unmodelled?: string;
    }
  | { readonly kind: "text"; readonly text: string };

/** Hands out the small integers of steps when a device, chain or rule is built; 0 stands for nothing. */
export class Names {
  private readonly list: (Name | null)[] = [null];
  private readonly texts = new Map<string, number>();

  add(name: Name): number {
    return this.list.push(name) - 1;
  }

  /** The number of a word that recurs, such as a program's line. */
  text(text: string): number {
    let number = this.texts.get(text);
    if (number === undefined) this.texts.set(text, (number = this.add({ kind: "text", text })));
    return number;
  }

  get(number: number): Name | null {
    return this.list[number] ?? null;
  }
}
