import type { MatchKind } from "../extension.ts";
import { addrtypeKind } from "./addrtype.ts";
import { commentKind } from "./comment.ts";
import { connbytesKind } from "./connbytes.ts";
import { connlimitKind } from "./connlimit.ts";
import { connmarkKind } from "./connmark.ts";
import { conntrackKind } from "./conntrack.ts";
import { cpuKind } from "./cpu.ts";
import { dscpKind } from "./dscp.ts";
import { hashlimitKind } from "./hashlimit.ts";
import { helperKind } from "./helper.ts";
import { icmpKind } from "./icmp.ts";
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
import { recentKind } from "./recent.ts";
import { rpfilterKind } from "./rpfilter.ts";
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
  commentKind,
  connbytesKind,
  connlimitKind,
  connmarkKind,
  conntrackKind,
  cpuKind,
  dscpKind,
  hashlimitKind,
  helperKind,
  icmpKind,
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
  recentKind,
  rpfilterKind,
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
export const MATCH_KINDS: ReadonlyMap<string, MatchKind> = new Map(KINDS.map((kind) => [kind.name, kind]));

/** What iptables knows and hopscope does not model yet. */
export const UNMODELLED_MATCHES: ReadonlySet<string> = new Set(
  "ah bpf cgroup cluster connlabel dccp devgroup ecn esp ipcomp ipvs l2tp nfacct osf rateest realm sctp udplite".split(
    " ",
  ),
);
