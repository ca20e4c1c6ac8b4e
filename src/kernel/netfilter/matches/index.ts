import type { MatchKind } from "../extension.ts";
import { addrtypeKind } from "./addrtype.ts";
import { commentKind } from "./comment.ts";
import { connmarkKind } from "./connmark.ts";
import { conntrackKind } from "./conntrack.ts";
import { icmpKind } from "./icmp.ts";
import { iprangeKind } from "./iprange.ts";
import { lengthKind } from "./length.ts";
import { limitKind } from "./limit.ts";
import { markKind } from "./mark.ts";
import { multiportKind } from "./multiport.ts";
import { physdevKind } from "./physdev.ts";
import { setKind } from "./set.ts";
import { stateKind } from "./state.ts";
import { tcpKind } from "./tcp.ts";
import { ttlKind } from "./ttl.ts";
import { udpKind } from "./udp.ts";

const KINDS: readonly MatchKind[] = [
  addrtypeKind,
  commentKind,
  connmarkKind,
  conntrackKind,
  icmpKind,
  iprangeKind,
  lengthKind,
  limitKind,
  markKind,
  multiportKind,
  physdevKind,
  setKind,
  stateKind,
  tcpKind,
  ttlKind,
  udpKind,
];

/** Every match that a rule can name. */
export const MATCH_KINDS: ReadonlyMap<string, MatchKind> = new Map(KINDS.map((kind) => [kind.name, kind]));

/** What iptables knows and hopscope does not model yet. */
export const UNMODELLED_MATCHES: ReadonlySet<string> = new Set(
  (
    "ah bpf cgroup cluster connbytes connlabel connlimit cpu dccp devgroup dscp ecn esp hashlimit helper ipcomp ipvs " +
    "l2tp mac nfacct osf owner pkttype policy quota rateest realm recent rpfilter sctp socket statistic string " +
    "tcpmss time tos u32 udplite"
  ).split(" "),
);
