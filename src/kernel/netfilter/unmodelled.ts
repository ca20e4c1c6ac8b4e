import type { MatchKind, OptionSpec, Options, TargetKind } from "./extension.ts";
import type { Match, Target, TargetVerdict } from "./rule.ts";
import { printOption } from "./value.ts";

/** Extensions that iptables knows and that are taken without being done: loading and the trace say so of each rule. */

/** Each with its options: `name` takes a value, `name=` none; `!` may stand before those that begin with it. */
const MATCHES = {
  bpf: "bytecode object-pinned",
  cgroup: "!cgroup !path",
  devgroup: "!src-group !dst-group",
  ipvs: "!ipvs= !vproto !vaddr !vport !vdir !vmethod !vportctl",
  osf: "!genre ttl log",
};
const TARGETS = {
  AUDIT: "type",
  CONNSECMARK: "save= restore=",
  HMARK:
    "hmark-src-prefix hmark-dst-prefix hmark-sport-mask hmark-dport-mask hmark-spi-mask hmark-proto-mask hmark-rnd hmark-mod hmark-offset hmark-tuple",
  IDLETIMER: "timeout label alarm=",
  RATEEST: "rateest-name rateest-interval rateest-ewmalog",
  SECMARK: "selctx",
  SYNPROXY: "sack-perm= timestamp= wscale mss",
  TCPOPTSTRIP: "strip-options",
};

const readSpecs = (words: string): OptionSpec[] =>
  words.split(" ").map((word) => ({
    name: word.replace(/^!|=$/g, ""),
    not: word.startsWith("!"),
    values: word.endsWith("=") ? 0 : 1,
  }));

/** What was given, in the order in which iptables knows the options. */
function printAll(options: Options, specs: readonly OptionSpec[]): string {
  const given = specs.flatMap((spec) => options.get(spec.name) ?? []);
  const words = given.map(({ spec, not, values: [value] }) => {
    const text = value === undefined ? "" : value.quoted ? `"${value.text}"` : value.text;
    return printOption(spec.name, text, not);
  });
  return words.join(" ");
}

class UnmodelledMatch implements Match {
  constructor(
    readonly name: string,
    private readonly text: string,
  ) {}

  matches(): boolean {
    return false;
  }

  print(): string {
    return this.text;
  }
}

class UnmodelledTarget implements Target {
  constructor(
    readonly name: string,
    private readonly text: string,
    private readonly verdict: TargetVerdict,
  ) {}

  apply(): TargetVerdict {
    return this.verdict;
  }

  print(): string {
    return this.text;
  }
}

export const UNMODELLED_MATCH_KINDS: readonly MatchKind[] = Object.entries(MATCHES).map(([name, words]) => {
  const specs = readSpecs(words);
  return {
    name,
    options: specs,
    without: "the rule never matches",
    parse(options) {
      options.needAny("an option");
      return new UnmodelledMatch(name, printAll(options, specs));
    },
  };
});

const QUEUE_OPTIONS = readSpecs("queue-num queue-balance queue-bypass= queue-cpu-fanout=");

/** `nf_queue()`: no program reads here, and what nobody reads is dropped unless the rule says otherwise. */
const nfqueueKind: TargetKind = {
  name: "NFQUEUE",
  options: QUEUE_OPTIONS,
  without: "no program reads the queue",
  parse(options) {
    const number = options.has("queue-num") || options.has("queue-balance") ? "" : "--queue-num 0 ";
    const verdict = options.has("queue-bypass") ? "ACCEPT" : "DROP";
    return new UnmodelledTarget("NFQUEUE", `${number}${printAll(options, QUEUE_OPTIONS)}`.trimEnd(), verdict);
  },
};

export const UNMODELLED_TARGET_KINDS: readonly TargetKind[] = [
  ...Object.entries(TARGETS).map(([name, words]): TargetKind => {
    const specs = readSpecs(words);
    return {
      name,
      options: specs,
      without: "it does nothing",
      parse(options) {
        if (name !== "TCPOPTSTRIP") options.needAny("an option");
        return new UnmodelledTarget(name, printAll(options, specs), "CONTINUE");
      },
    };
  }),
  nfqueueKind,
];
