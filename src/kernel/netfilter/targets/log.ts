import type { TargetKind } from "../extension.ts";
import type { Target, TargetVerdict } from "../rule.ts";
import { quote, type Token, unexpected } from "../tokenizer.ts";

/** The levels of syslog under the names that iptables takes. */
const LEVELS = new Map<string, number>(
  Object.entries({
    emerg: 0,
    panic: 0,
    alert: 1,
    crit: 2,
    error: 3,
    warning: 4,
    notice: 5,
    info: 6,
    debug: 7,
  }),
);
const WARNING = 4;
const PREFIX = 29;

/** In the order in which iptables prints them. */
const FLAGS = ["log-tcp-sequence", "log-tcp-options", "log-ip-options", "log-uid", "log-macdecode"];

/** `log_tg()` of xt_LOG.c; the trace says which rule a packet met, so nothing is written. */
class LogTarget implements Target {
  readonly name = "LOG";

  constructor(
    private readonly prefix: string,
    private readonly level: number,
    private readonly flags: readonly string[],
  ) {}

  apply(): TargetVerdict {
    return "CONTINUE";
  }

  print(): string {
    const words = this.flags.map((flag) => `--${flag}`);
    if (this.level !== WARNING) words.unshift(`--log-level ${this.level}`);
    if (this.prefix !== "") words.unshift(`--log-prefix ${quote(this.prefix)}`);
    return words.join(" ");
  }
}

function readLevel(token: Token): number {
  const word = token.text.toLowerCase();
  const level = /^[0-7]$/.test(word) ? Number(word) : LEVELS.get(word);
  if (level === undefined)
    throw unexpected(
      token,
      `a log level (0-7 or ${[...LEVELS.keys()].join(", ")})`,
      `log level "${token.text}" unknown`,
    );
  return level;
}

export const logKind: TargetKind = {
  name: "LOG",
  options: [{ name: "log-prefix" }, { name: "log-level" }, ...FLAGS.map((name) => ({ name, values: 0 as const }))],
  parse(options) {
    const prefix = options.value("log-prefix");
    if (prefix !== null && (prefix.text === "" || prefix.text.includes("\n")))
      throw unexpected(prefix, "a prefix of 1 to 29 characters");
    const level = options.value("log-level");
    return new LogTarget(
      prefix?.text.slice(0, PREFIX) ?? "",
      level === null ? WARNING : readLevel(level),
      FLAGS.filter((name) => options.has(name)),
    );
  },
};
