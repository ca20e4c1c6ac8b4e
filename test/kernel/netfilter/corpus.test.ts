import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { formatTables, parseRules } from "../../../src/kernel/netfilter/rule-text.ts";
import { InputError } from "../../../src/wire/input-error.ts";

/** Rule texts of other projects, which may be held against but not taken in. */
const DATA = fileURLToPath(new URL("../../../../shared/data", import.meta.url));
const present = existsSync(`${DATA}/iptables-tests`);
const absent = present ? "" : " (skipped: no ../shared/data beside the project)";

/** Lines of each file that are accepted and printed, or refused, as netfilter's own tests want it. */
const AGREE: Readonly<Record<string, number>> = {
  "iptables.t": 12,
  "libipt_DNAT.t": 18,
  "libipt_ECN.t": 3,
  "libipt_LOG.t": 10,
  "libipt_MASQUERADE.t": 7,
  "libipt_NETMAP.t": 2,
  "libipt_REJECT.t": 8,
  "libipt_SNAT.t": 15,
  "libipt_TEE.t": 2,
  "libipt_TPROXY.t": 3,
  "libipt_TTL.t": 8,
  "libipt_ah.t": 18,
  "libipt_connlimit.t": 10,
  "libipt_conntrack.t": 4,
  "libipt_icmp.t": 5,
  "libipt_iprange.t": 4,
  "libipt_policy.t": 3,
  "libipt_realm.t": 3,
  "libipt_recent.t": 8,
  "libipt_standard.t": 19,
  "libipt_ttl.t": 8,
  "libxt_AUDIT.t": 1,
  "libxt_CHECKSUM.t": 2,
  "libxt_CLASSIFY.t": 2,
  "libxt_CONNMARK.t": 5,
  "libxt_CONNSECMARK.t": 1,
  "libxt_CT.t": 6,
  "libxt_DSCP.t": 9,
  "libxt_HMARK.t": 1,
  "libxt_IDLETIMER.t": 1,
  "libxt_MARK.t": 6,
  "libxt_NFLOG.t": 19,
  "libxt_NOTRACK.t": 1,
  "libxt_REDIRECT.t": 15,
  "libxt_SECMARK.t": 1,
  "libxt_SET.t": 1,
  "libxt_TCPMSS.t": 4,
  "libxt_TEE.t": 1,
  "libxt_TOS.t": 11,
  "libxt_TRACE.t": 1,
  "libxt_addrtype.t": 14,
  "libxt_cgroup.t": 1,
  "libxt_cluster.t": 5,
  "libxt_comment.t": 5,
  "libxt_connbytes.t": 24,
  "libxt_connlabel.t": 6,
  "libxt_connlimit.t": 5,
  "libxt_connmark.t": 7,
  "libxt_conntrack.t": 49,
  "libxt_cpu.t": 5,
  "libxt_dccp.t": 33,
  "libxt_dscp.t": 9,
  "libxt_ecn.t": 4,
  "libxt_esp.t": 14,
  "libxt_hashlimit.t": 27,
  "libxt_helper.t": 2,
  "libxt_ipcomp.t": 9,
  "libxt_iprange.t": 1,
  "libxt_length.t": 12,
  "libxt_limit.t": 5,
  "libxt_mac.t": 4,
  "libxt_mark.t": 7,
  "libxt_multiport.t": 19,
  "libxt_owner.t": 13,
  "libxt_physdev.t": 4,
  "libxt_pkttype.t": 5,
  "libxt_policy.t": 4,
  "libxt_quota.t": 6,
  "libxt_recent.t": 1,
  "libxt_rpfilter.t": 2,
  "libxt_sctp.t": 32,
  "libxt_set.t": 2,
  "libxt_socket.t": 6,
  "libxt_standard.t": 7,
  "libxt_state.t": 5,
  "libxt_statistic.t": 7,
  "libxt_string.t": 10,
  "libxt_tcp.t": 39,
  "libxt_tcpmss.t": 9,
  "libxt_time.t": 3,
  "libxt_tos.t": 12,
  "libxt_u32.t": 1,
  "libxt_udp.t": 33,
};

/** Lines of extensions that are refused by name, or taken with a notice that names them. */
const UNMODELLED: Readonly<Record<string, number>> = {
  "libipt_ipvs.t": 3,
  "libipt_osf.t": 3,
  "libxt_AUDIT.t": 4,
  "libxt_CONNSECMARK.t": 2,
  "libxt_HMARK.t": 5,
  "libxt_IDLETIMER.t": 3,
  "libxt_LED.t": 3,
  "libxt_NFQUEUE.t": 21,
  "libxt_RATEEST.t": 1,
  "libxt_SECMARK.t": 1,
  "libxt_SYNPROXY.t": 2,
  "libxt_TCPOPTSTRIP.t": 6,
  "libxt_bpf.t": 1,
  "libxt_cgroup.t": 5,
  "libxt_ipvs.t": 16,
  "libxt_nfacct.t": 2,
  "libxt_rateest.t": 11,
};

/** Line numbers of known differences. iptables 1.8.9 takes ICMP type 255 with any code for "any" and prints it so. */
const DIFFER: Readonly<Record<string, readonly number[]>> = { "libipt_icmp.t": [13] };

type Outcome = "agrees" | "unmodelled" | "differs";

/** `rule;expected;OK or FAIL[;LEGACY;what nft prints]`, where `=` stands for the rule itself. */
function judge(line: string, table: string, chain: string): Outcome {
  const [rule = "", expected, verdict, variant, other] = line.split(";");
  let printed: string | null = null;
  try {
    const text = `*${table}\n:bar - [0:0]\n:foo - [0:0]\n-A ${chain} ${rule}\nCOMMIT\n`;
    const [parsed] = parseRules(text, "rule", { sets: new Map() });
    const { rules } = parsed!.chains.get(chain)!;
    if (rules.some(({ notices }) => notices.some(({ text }) => /^-[mj] /.test(text)))) return "unmodelled";
    printed = rules.map((each) => each.text).join(" | ");
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    if (error.expected.includes("hopscope does not model")) return "unmodelled";
  }
  if (variant === "LEGACY" && other === "NOMATCH") return printed !== null && printed !== rule ? "agrees" : "differs";
  const accepted = verdict === "OK" || variant === "LEGACY";
  const wanted = accepted ? (expected === "=" || variant === "LEGACY" ? rule : expected!) : null;
  return printed === wanted ? "agrees" : "differs";
}

/** What becomes of each rule of a file, by line number; of a rule for several chains the worst. */
function judgeFile(file: string): Map<number, Outcome> {
  const outcomes = new Map<number, Outcome>();
  let chains: string[] = [];
  let table = "filter";
  for (const [i, line] of readFileSync(`${DATA}/iptables-tests/${file}`, "utf8").split("\n").entries()) {
    if (line === "" || "#@%".includes(line[0]!)) continue;
    if (line.startsWith(":")) {
      chains = line.slice(1).split(",");
      table = "filter";
    } else if (line.startsWith("*")) table = line.slice(1);
    else {
      const all = chains.map((chain) => judge(line, table, chain));
      outcomes.set(i + 1, all.find((outcome) => outcome !== "agrees") ?? "agrees");
    }
  }
  return outcomes;
}

describe.skipIf(!present)(`netfilter's rule tests${absent}`, () => {
  const files = present
    ? readdirSync(`${DATA}/iptables-tests`).filter((file) => /^(iptables|lib(ipt|xt)_.*)\.t$/.test(file))
    : [];

  it.each(files)("%s", (file) => {
    const outcomes = judgeFile(file);
    const lines = (wanted: Outcome): number[] => [...outcomes].filter(([, is]) => is === wanted).map(([line]) => line);
    expect(lines("differs")).toEqual(DIFFER[file] ?? []);
    expect(lines("agrees").length).toBe(AGREE[file] ?? 0);
    expect(lines("unmodelled").length).toBe(UNMODELLED[file] ?? 0);
  });

  it("are all of them", () => {
    expect(new Set(files)).toEqual(new Set([...Object.keys(AGREE), ...Object.keys(UNMODELLED)]));
  });
});

interface Dump {
  readonly file: string;
  readonly accepted: boolean;
  /** The line at which iptables-restore gave up; 0 where it does not say or names the table's COMMIT. */
  readonly line: number;
}

/**
 * The line at which iptables refused a dump and the one at which it is refused here: iptables-legacy refuses a chain
 * that is declared twice, iptables-nft empties it and goes on to a rule that is just as bad.
 */
const LATER = ["5 6", "7 13"];

/** The rule dumps for IPv4; iptables-legacy restored and printed them. */
function readIndex(): Dump[] {
  const rows = readFileSync(`${DATA}/iptables-save/index.tsv`, "utf8").trimEnd().split("\n").slice(1);
  return rows
    .map((row) => row.split("\t"))
    .filter((row) => row[6] === "4")
    .map((row) => ({
      file: row[0]!,
      accepted: row[13] === "accepted",
      line: Number(/at line: (\d+)|line (\d+) failed/.exec(row[14]!)?.slice(1).find(Boolean) ?? 0),
    }));
}

function restore(file: string): string | InputError {
  const text = readFileSync(`${DATA}/iptables-save/dumps/${file}`, "utf8");
  try {
    return formatTables(parseRules(text, file, { sets: new Map() }), {
      counters: false,
      backend: "legacy",
    });
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
}

describe.skipIf(!present)(`rule dumps of other projects${absent}`, () => {
  const dumps = present ? readIndex() : [];

  it("that iptables accepts are printed as it prints them", () => {
    const accepted = dumps.filter((dump) => dump.accepted);
    for (const { file } of accepted) {
      const canonical = readFileSync(`${DATA}/iptables-save/canonical/${file}`, "utf8").replace(/^#.*\n/gm, "");
      expect(restore(file), file).toBe(canonical);
    }
    expect(accepted.length).toBe(165);
  });

  it("that iptables refuses are refused, at the same line or for what is not modelled", () => {
    const refused = dumps.filter((dump) => !dump.accepted);
    const elsewhere: string[] = [];
    for (const { file, line } of refused) {
      const error = restore(file);
      if (!(error instanceof InputError)) throw new Error(`accepted: ${file}`);
      if (error.place.line === line || error.expected.includes("hopscope does not model")) continue;
      // What the kernel refuses is told of the COMMIT.
      const lines = readFileSync(`${DATA}/iptables-save/dumps/${file}`, "utf8").split("\n");
      if (line !== 0 && lines[line - 1] !== "COMMIT") elsewhere.push(`${line} ${error.place.line}`);
    }
    expect(refused.length).toBe(36);
    expect(elsewhere).toEqual(LATER);
  });
});
