import type { TargetKind } from "../extension.ts";
import type { Target, TargetVerdict } from "../rule.ts";
import { quote, unexpected } from "../tokenizer.ts";
import { readInteger } from "../value.ts";

const LONGEST_PREFIX = 127;

/** `nflog_tg()` of xt_NFLOG.c: nobody listens here, and the trace says which rule a packet met. */
class NflogTarget implements Target {
  readonly name = "NFLOG";

  constructor(
    private readonly prefix: string,
    private readonly group: number,
    /** Null for the whole packet. */
    private readonly size: number | null,
    private readonly threshold: number,
  ) {}

  apply(): TargetVerdict {
    return "CONTINUE";
  }

  print(): string {
    const words: string[] = [];
    if (this.prefix !== "") words.push(`--nflog-prefix ${quote(this.prefix)}`);
    if (this.group !== 0) words.push(`--nflog-group ${this.group}`);
    if (this.size !== null) words.push(`--nflog-size ${this.size}`);
    if (this.threshold !== 0) words.push(`--nflog-threshold ${this.threshold}`);
    return words.join(" ");
  }
}

export const nflogKind: TargetKind = {
  name: "NFLOG",
  options: [
    { name: "nflog-prefix" },
    { name: "nflog-group" },
    { name: "nflog-size", excludes: ["nflog-range"] },
    { name: "nflog-range" },
    { name: "nflog-threshold" },
  ],
  parse(options) {
    const prefix = options.value("nflog-prefix");
    if (prefix !== null && (prefix.text === "" || prefix.text.includes("\n")))
      throw unexpected(prefix, `a prefix of 1 to ${LONGEST_PREFIX} characters`);
    const group = options.value("nflog-group");
    const size = options.value("nflog-size");
    const range = options.value("nflog-range");
    // The kernel has no use for --nflog-range, and iptables-nft forgets it.
    if (range !== null) readInteger(range, 0, 0xffffffff, "a number of bytes");
    const threshold = options.value("nflog-threshold");
    return new NflogTarget(
      prefix?.text.slice(0, LONGEST_PREFIX) ?? "",
      group === null ? 0 : readInteger(group, 0, 0xffff, "a group"),
      size === null ? null : readInteger(size, 0, 0xffffffff, "a number of bytes"),
      threshold === null ? 0 : readInteger(threshold, 0, 0xffff, "a number of packets"),
    );
  },
};
