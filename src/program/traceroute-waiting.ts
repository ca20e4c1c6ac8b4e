/** One probe; `index` counts from 0 over all hops, times are in nanoseconds. */
export interface Probe {
  readonly index: number;
  /** Its TTL. */
  readonly hop: number;
  sentAt: number | null;
  /** It is answered or given up. */
  done: boolean;
  /** No router behind this one will be reached. */
  final: boolean;
  answer: ProbeAnswer | null;
}

export interface ProbeAnswer {
  readonly from: number;
  readonly receivedAt: number;
  /** What it tells more than "here ended the TTL" or "reached". */
  readonly mark: string;
  /** What was left of its TTL where it was an ICMP error. */
  readonly ttl: number | null;
  readonly packet: number;
}

/** How long to wait for a probe: `most`, in nanoseconds, or so many times the round trip of another; 0 is never. */
export interface Waiting {
  readonly most: number;
  /** Of one from the same hop. */
  readonly here: number;
  /** Of the first one from a hop behind it. */
  readonly near: number;
}

/** What is added to a round trip before it is multiplied (`DEF_WAIT_PREC`). */
const PRECISION = 1e6;

/** How long to wait for a probe, from when it was sent (`get_timeout()`). */
export function timeoutOf(all: readonly Probe[], probe: Probe, perHop: number, { most, here, near }: Waiting): number {
  const begin = probe.index - (probe.index % perHop);
  const neighbour = here > 0 ? answeredIn(all.slice(begin, begin + perHop)) : null;
  const behind = near > 0 && neighbour === null ? answeredIn(sentAfter(all, probe)) : null;
  if (neighbour !== null) return Math.min(most, (neighbour + PRECISION) * here);
  return behind === null ? most : Math.min(most, (behind + PRECISION) * near);
}

/** The round trip of the first that was answered. */
function answeredIn(probes: readonly Probe[]): number | null {
  const found = probes.find(({ answer }) => answer !== null);
  return found === undefined ? null : found.answer!.receivedAt - found.sentAt!;
}

function sentAfter(all: readonly Probe[], { index }: Probe): readonly Probe[] {
  const unsent = all.findIndex((probe) => probe.index > index && probe.sentAt === null);
  return all.slice(index + 1, unsent < 0 ? undefined : unsent);
}

/**
 * A probe expired, and one behind it had the final answer, an ICMP error with a mark: where that came from the same hop,
 * which answered the last of many probes only, it takes the expired one's place (`check_expired()`).
 */
export function replaceExpired(all: readonly Probe[], probe: Probe, perHop: number): void {
  const place = probe.index % perHop;
  const before = all.slice(probe.index - place, probe.index);
  if (before.some(({ done, final }) => !done || !final)) return;
  const next = sentAfter(all, probe).find(({ done }) => done);
  if (next === undefined || !next.final || next.answer === null || next.answer.mark === "") return;
  const sameHop = before.length > 0 || place + next.index - probe.index < perHop;
  if (!sameHop && !isWhereItAnswered(all, probe, next)) return;
  Object.assign(probe, { final: true, answer: next.answer, sentAt: next.sentAt });
  Object.assign(next, { done: false, final: false, answer: null, sentAt: 0 });
}

/** It spoke for an earlier TTL already, or its answer's TTL says that it is no further than this hop. */
function isWhereItAnswered(all: readonly Probe[], probe: Probe, { answer }: Probe): boolean {
  const earlier = all.slice(0, probe.index).reverse();
  if (earlier.some((each) => each.answer?.from === answer!.from)) return true;
  if (answer!.ttl === null) return false;
  const hops = hopsOf(answer!.ttl);
  const nearer = earlier.find(
    (each) => each.answer !== null && each.answer.ttl !== null && !each.final && hopsOf(each.answer.ttl) < hops,
  );
  const distance = nearer === undefined ? hops : hops - hopsOf(nearer.answer!.ttl!) + nearer.hop;
  return distance <= probe.hop;
}

/** How many routers a packet passed, if it set out with a TTL of 64, 128 or 255. */
const hopsOf = (ttl: number): number => (ttl <= 64 ? 65 : ttl <= 128 ? 129 : 256) - ttl;
