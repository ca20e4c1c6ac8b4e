import type { MatchKind } from "../extension.ts";
import { UNMODELLED_MATCH_KINDS } from "../unmodelled.ts";
import { addrtypeKind } from "./addrtype.ts";
import { ahKind } from "./ah.ts";
import { clusterKind } from "./cluster.ts";
import { commentKind } from "./comment.ts";
import { connbytesKind } from "./connbytes.ts";
import { connlabelKind } from "./connlabel.ts";
import { connlimitKind } from "./connlimit.ts";
import { connmarkKind } from "./connmark.ts";
import { conntrackKind } from "./conntrack.ts";
import { cpuKind } from "./cpu.ts";
import { dccpKind } from "./dccp.ts";
import { dscpKind } from "./dscp.ts";
import { ecnKind } from "./ecn.ts";
import { espKind } from "./esp.ts";
import { hashlimitKind } from "./hashlimit.ts";
import { helperKind } from "./helper.ts";
import { icmpKind } from "./icmp.ts";
import { ipcompKind } from "./ipcomp.ts";
import { iprangeKind } from "./iprange.ts";
import { lengthKind } from "./length.ts";
import { limitKind } from "./limit.ts";
import { macKind } from "./mac.ts";
import { markKind } from "./mark.ts";
import { multiportKind } from "./multiport.ts";
import { ownerKind } from "./owner.ts";
import { physdevKind } from "./physdev.ts";
import { pkttypeKind } from "./pkttype.ts";
import { policyKind } from "./policy.ts";
import { quotaKind } from "./quota.ts";
import { realmKind } from "./realm.ts";
import { recentKind } from "./recent.ts";
import { rpfilterKind } from "./rpfilter.ts";
import { sctpKind } from "./sctp.ts";
import { setKind } from "./set.ts";
import { socketKind } from "./socket.ts";
import { stateKind } from "./state.ts";
import { statisticKind } from "./statistic.ts";
import { stringKind } from "./string.ts";
import { tcpKind } from "./tcp.ts";
import { tcpmssKind } from "./tcpmss.ts";
import { timeKind } from "./time.ts";
import { tosKind } from "./tos.ts";
import { ttlKind } from "./ttl.ts";
import { u32Kind } from "./u32.ts";
import { udpKind } from "./udp.ts";

const KINDS: readonly MatchKind[] = [
  addrtypeKind,
  ahKind,
  clusterKind,
  commentKind,
  connbytesKind,
  connlabelKind,
  connlimitKind,
  connmarkKind,
  conntrackKind,
  cpuKind,
  dccpKind,
  dscpKind,
  ecnKind,
  espKind,
  hashlimitKind,
  helperKind,
  icmpKind,
  ipcompKind,
  iprangeKind,
  lengthKind,
  limitKind,
  macKind,
  markKind,
  multiportKind,
  ownerKind,
  physdevKind,
  pkttypeKind,
  policyKind,
  quotaKind,
  realmKind,
  recentKind,
  rpfilterKind,
  sctpKind,
  setKind,
  socketKind,
  stateKind,
  statisticKind,
  stringKind,
  tcpKind,
  tcpmssKind,
  timeKind,
  tosKind,
  ttlKind,
  u32Kind,
  udpKind,
];

/** Every match that a rule can name. */
export const MATCH_KINDS: ReadonlyMap<string, MatchKind> = new Map(
  [...KINDS, ...UNMODELLED_MATCH_KINDS].map((kind) => [kind.name, kind]),
);

/** What iptables knows and hopscope refuses. */
export const UNMODELLED_MATCHES: ReadonlySet<string> = new Set(["nfacct", "rateest"]);
