/** What a command printed, and the status it ended with. */
export interface Printed {
  readonly out: string;
  readonly err: string;
  readonly status: number;
}

/** What a command prints when all is well; every line ends with a newline. */
export const printed = (out: string): Printed => ({ out, err: "", status: 0 });

/** Lines, each with its newline. */
export const lines = (all: readonly string[]): string => all.map((line) => `${line}\n`).join("");

/** A tool ends with a complaint: its text without the newline, and the exit status. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** The one way to say that the real tool could do this and hopscope cannot. */
export const unmodelled = (what: string, known: string): Refusal =>
  new Refusal(`hopscope does not model ${what}; it knows ${known}`, 2);
