import { type Errno, strerror } from "../socket/strerror.ts";

/** What came back for a request; `time` in nanoseconds, null where it was not asked for. */
export interface PingReply {
  readonly bytes: number;
  readonly who: string;
  readonly sequence: number;
  readonly ttl: number;
  readonly time: number | null;
  readonly duplicate: boolean;
}

/** Times in nanoseconds. */
export interface PingTotals {
  readonly sent: number;
  readonly received: number;
  readonly duplicates: number;
  readonly errors: number;
  readonly times: readonly number[];
  /** The most requests that were under way at once. */
  readonly pipe: number;
  readonly duration: number;
}

/** How one implementation of `ping` counts and prints. */
export interface PingFamily {
  readonly firstSequence: 0 | 1;
  /** It looks for a route before it begins, looks up the names of those who answer, and tells of ICMP errors. */
  readonly inquisitive: boolean;
  /** A request that cannot be sent ends it. */
  readonly givesUp: boolean;
  head(target: string, address: string, size: number): string;
  reply(reply: PingReply): string;
  notSent(errno: Errno): string;
  totals(totals: PingTotals): string[];
  /** And the exit status. */
  unknown(target: string, error: string | null): readonly [text: string, status: number];
}

const HEADERS = 28;

/** iputils 20221126. */
export const IPUTILS: PingFamily = {
  firstSequence: 1,
  inquisitive: true,
  givesUp: false,
  head: (target, address, size) => `PING ${target} (${address}) ${size}(${size + HEADERS}) bytes of data.`,
  reply: ({ bytes, who, sequence, ttl, time, duplicate }) =>
    `${bytes} bytes from ${who}: icmp_seq=${sequence} ttl=${ttl}` +
    `${time === null ? "" : ` time=${formatTime(time)} ms`}${duplicate ? " (DUP!)" : ""}`,
  notSent: (errno) => `ping: sendmsg: ${strerror(errno)}`,
  totals({ sent, received, duplicates, errors, times, pipe, duration }) {
    const parts = [`${sent} packets transmitted`, `${received} received`];
    if (duplicates > 0) parts.push(`+${duplicates} duplicates`);
    if (errors > 0) parts.push(`+${errors} errors`);
    parts.push(`${formatShare((sent - received) / sent)}% packet loss`);
    parts.push(`time ${Math.floor(duration / 1e6)}ms`);
    const wide = pipe > 1 ? [`pipe ${pipe}`] : [];
    const last = times.length > 0 ? [`rtt min/avg/max/mdev = ${formatTimes(times)} ms`, ...wide] : wide;
    return [parts.join(", "), ...(last.length > 0 ? [last.join(", ")] : [])];
  },
  unknown: (target, error) => [`ping: ${target}: ${error}`, 2],
};

/** BusyBox 1.31 to 1.36, `networking/ping.c`. */
export const BUSYBOX: PingFamily = {
  firstSequence: 0,
  inquisitive: false,
  givesUp: true,
  head: (target, address, size) => `PING ${target} (${address}): ${size} data bytes`,
  reply: ({ bytes, who, sequence, ttl, time, duplicate }) =>
    `${bytes} bytes from ${who}: seq=${sequence} ttl=${ttl}` +
    `${time === null ? "" : ` time=${thousandths(time)} ms`}${duplicate ? " (DUP!)" : ""}`,
  notSent: (errno) => `ping: sendto: ${strerror(errno)}`,
  totals({ sent, received, duplicates, times }) {
    const repeated = duplicates > 0 ? `${duplicates} duplicates, ` : "";
    const lost = Math.floor(((sent - received) * 100) / sent);
    const mean = times.reduce((sum, time) => sum + time, 0) / (received + duplicates);
    const range = [Math.min(...times), mean, Math.max(...times)].map(thousandths).join("/");
    return [
      `${sent} packets transmitted, ${received} packets received, ${repeated}${lost}% packet loss`,
      ...(times.length > 0 ? [`round-trip min/avg/max = ${range} ms`] : []),
    ];
  },
  unknown: (target) => [`ping: bad address '${target}'`, 1],
};

const thousandths = (nanoseconds: number): string => (Math.floor(nanoseconds / 1000) / 1000).toFixed(3);

/** Milliseconds with the digits that iputils gives them: the more, the shorter the time. */
function formatTime(nanoseconds: number): string {
  const micro = Math.floor(nanoseconds / 1000);
  const digits = micro >= 99_950 ? 0 : micro >= 9_995 ? 1 : micro >= 1_000 ? 2 : 3;
  return (micro / 1000).toFixed(digits);
}

function formatTimes(times: readonly number[]): string {
  const micro = times.map((time) => Math.floor(time / 1000));
  const mean = micro.reduce((sum, time) => sum + time, 0) / micro.length;
  const square = micro.reduce((sum, time) => sum + time * time, 0) / micro.length;
  const deviation = Math.sqrt(Math.max(0, square - mean * mean));
  const values = [Math.min(...micro), mean, Math.max(...micro), deviation];
  return values.map((value) => (Math.floor(value) / 1000).toFixed(3)).join("/");
}

/** A percentage as `%g` prints it. */
const formatShare = (share: number): string => `${Number((share * 100).toPrecision(6))}`;
