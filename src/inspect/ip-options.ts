/** The options before the object of an `ip` command. */
export interface IpOptions {
  /** -4, -6; null for both. */
  readonly family: "inet" | "inet6" | null;
  /** -br */
  readonly brief: boolean;
  /** -s */
  readonly statistics: boolean;
  /** -o: one line for each entry. */
  readonly oneLine: boolean;
  /** Prints an entry of several lines, as one line behind `-o`. */
  join(entry: string): string;
}
