/** Bad input from outside: a scenario, a rule, a capture. One error names everything a reader needs; nothing is half-applied. */
export class InputError extends Error {
  constructor(
    readonly place: { readonly file: string; readonly line: number; readonly column: number },
    readonly found: string,
    readonly expected: string,
  ) {
    super(`${place.file}:${place.line}:${place.column}: found ${found}, expected ${expected}`);
    this.name = "InputError";
  }
}
