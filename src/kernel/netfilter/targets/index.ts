import type { TargetKind } from "../extension.ts";
import { UNMODELLED_TARGET_KINDS } from "../unmodelled.ts";
import { checksumKind } from "./checksum.ts";
import { classifyKind } from "./classify.ts";
import { connmarkKind } from "./connmark.ts";
import { ctKind, notrackKind } from "./ct.ts";
import { dnatKind } from "./dnat.ts";
import { dscpKind } from "./dscp.ts";
import { ecnKind } from "./ecn.ts";
import { logKind } from "./log.ts";
import { markKind } from "./mark.ts";
import { masqueradeKind } from "./masquerade.ts";
import { netmapKind } from "./netmap.ts";
import { nflogKind } from "./nflog.ts";
import { redirectKind } from "./redirect.ts";
import { rejectKind } from "./reject.ts";
import { setTargetKind } from "./set.ts";
import { snatKind } from "./snat.ts";
import { tcpmssKind } from "./tcpmss.ts";
import { teeKind } from "./tee.ts";
import { tosKind } from "./tos.ts";
import { tproxyKind } from "./tproxy.ts";
import { traceKind } from "./trace.ts";
import { ttlKind } from "./ttl.ts";

const KINDS: readonly TargetKind[] = [
  checksumKind,
  classifyKind,
  connmarkKind,
  ctKind,
  dnatKind,
  dscpKind,
  ecnKind,
  logKind,
  markKind,
  masqueradeKind,
  netmapKind,
  nflogKind,
  notrackKind,
  redirectKind,
  rejectKind,
  setTargetKind,
  snatKind,
  tcpmssKind,
  teeKind,
  tosKind,
  tproxyKind,
  traceKind,
  ttlKind,
];

/** Every target that a rule can name, beside ACCEPT, DROP and RETURN. */
export const TARGET_KINDS: ReadonlyMap<string, TargetKind> = new Map(
  [...KINDS, ...UNMODELLED_TARGET_KINDS].map((kind) => [kind.name, kind]),
);

/** What iptables knows and hopscope refuses, as kernels without them do. */
export const UNMODELLED_TARGETS: ReadonlySet<string> = new Set(["CLUSTERIP", "LED", "QUEUE", "ULOG"]);
