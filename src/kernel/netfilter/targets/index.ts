import type { TargetKind } from "../extension.ts";
import { checksumKind } from "./checksum.ts";
import { classifyKind } from "./classify.ts";
import { connmarkKind } from "./connmark.ts";
import { ctKind, notrackKind } from "./ct.ts";
import { dnatKind } from "./dnat.ts";
import { dscpKind } from "./dscp.ts";
import { logKind } from "./log.ts";
import { markKind } from "./mark.ts";
import { masqueradeKind } from "./masquerade.ts";
import { netmapKind } from "./netmap.ts";
import { redirectKind } from "./redirect.ts";
import { rejectKind } from "./reject.ts";
import { snatKind } from "./snat.ts";
import { tcpmssKind } from "./tcpmss.ts";
import { tosKind } from "./tos.ts";
import { traceKind } from "./trace.ts";
import { ttlKind } from "./ttl.ts";

const KINDS: readonly TargetKind[] = [
  checksumKind,
  classifyKind,
  connmarkKind,
  ctKind,
  dnatKind,
  dscpKind,
  logKind,
  markKind,
  masqueradeKind,
  netmapKind,
  notrackKind,
  redirectKind,
  rejectKind,
  snatKind,
  tcpmssKind,
  tosKind,
  traceKind,
  ttlKind,
];

/** Every target that a rule can name, beside ACCEPT, DROP and RETURN. */
export const TARGET_KINDS: ReadonlyMap<string, TargetKind> = new Map(KINDS.map((kind) => [kind.name, kind]));

/** What iptables knows and hopscope does not model yet. */
export const UNMODELLED_TARGETS: ReadonlySet<string> = new Set(
  (
    "AUDIT CLUSTERIP CONNSECMARK ECN HMARK IDLETIMER LED NFLOG NFQUEUE QUEUE RATEEST SECMARK SET SYNPROXY " +
    "TCPOPTSTRIP TEE TPROXY ULOG"
  ).split(" "),
);
