import { describe, expect, test } from "vitest";
import type { LabStep } from "../../../src/scenario/lab-case.ts";
import { c, HANDSHAKE, STAGES, type StageName, s } from "./conversation.ts";
import {
  CLIENT,
  echo,
  entries,
  entriesAt,
  fromClient,
  fromServer,
  runRouter,
  SERVER,
  sleep,
  stateOf,
  TRACKING,
  udp,
} from "./router.ts";

const timeoutAfter = (steps: readonly LabStep[], sysctls: Record<string, number> = {}): number =>
  entries(runRouter([...steps], { rules: TRACKING, sysctls }))[0]!.timeout;

/** The entry is there just before `seconds` have passed, and gone then. */
function expectLife(steps: readonly LabStep[], seconds: number): void {
  expect(timeoutAfter(steps)).toBe(seconds);
  const last = steps.length;
  const aged = runRouter([...steps, sleep(seconds * 1000 - 1), stateOf(), sleep(1), stateOf()], { rules: TRACKING });
  expect(entriesAt(aged.steps[last + 1]!)).toHaveLength(1);
  expect(entriesAt(aged.steps[last + 3]!)).toHaveLength(0);
}

const REQUEST = fromClient(udp(`${CLIENT}:5000`, `${SERVER}:53`));
const ANSWER = fromServer(udp(`${SERVER}:53`, `${CLIENT}:5000`));
const other = (proto: number, raw: string) => ({ proto, raw });
const greRequest = fromClient({ ip: { src: CLIENT, dst: SERVER }, ...other(47, "0000080000000000") });
const greAnswer = fromServer({ ip: { src: SERVER, dst: CLIENT }, ...other(47, "0000080000000000") });

describe("4 Timeouts (s)", () => {
  const states: [string, number, StageName][] = [
    ["syn_sent", 120, "SYN_SENT"],
    ["syn_recv", 60, "SYN_RECV"],
    ["established", 432_000, "ESTABLISHED"],
    ["fin_wait", 120, "FIN_WAIT"],
    ["close_wait", 60, "CLOSE_WAIT"],
    ["last_ack", 30, "LAST_ACK"],
    ["time_wait", 120, "TIME_WAIT"],
    ["close", 10, "CLOSE"],
  ];
  test.each(states)("TCP %s %i", (_, seconds, stage) => {
    expectLife(STAGES[stage].steps, seconds);
  });

  test("max_retrans 300, after max_retrans 3 repetitions of a segment", () => {
    const again = c("A", { seq: 1001, ack: 9001 });
    expect(timeoutAfter([...HANDSHAKE, again, again])).toBe(432_000);
    expectLife([...HANDSHAKE, again, again, again], 300);
  });

  test("unacknowledged 300", () => {
    const data = c("PA", { seq: 1001, ack: 9001, size: 10 });
    expectLife([...HANDSHAKE, data], 300);
    expect(timeoutAfter([...HANDSHAKE, data], { "net.netfilter.nf_conntrack_tcp_timeout_unacknowledged": 77 })).toBe(
      77,
    );
    expect(timeoutAfter([...HANDSHAKE, data], { "net.netfilter.nf_conntrack_tcp_timeout_max_retrans": 77 })).toBe(300);
  });

  test("data not yet acknowledged lowers ESTABLISHED to 300", () => {
    const data = c("PA", { seq: 1001, ack: 9001, size: 10 });
    expect(timeoutAfter([...HANDSHAKE, data])).toBe(300);
    expect(timeoutAfter([...HANDSHAKE, data, s("A", { seq: 9001, ack: 1010 })])).toBe(300);
    expect(timeoutAfter([...HANDSHAKE, data, s("A", { seq: 9001, ack: 1011 })])).toBe(432_000);
  });

  test("UDP 30", () => {
    expectLife([REQUEST], 30);
    expectLife([REQUEST, ANSWER], 30);
  });

  test("stream 120", () => {
    expectLife([REQUEST, ANSWER, sleep(2004), REQUEST], 120);
  });

  test("ICMP 30", () => {
    expectLife([fromClient(echo(CLIENT, SERVER))], 30);
    expectLife(
      [fromClient(echo(CLIENT, SERVER)), fromServer({ ip: { src: SERVER, dst: CLIENT }, icmp: { type: 0, id: 7 } })],
      30,
    );
  });

  test("generic 600", () => {
    expectLife([fromClient({ ip: { src: CLIENT, dst: SERVER }, ...other(253, "01020304") })], 600);
  });

  test("GRE 30/180", () => {
    expectLife([greRequest], 30);
    expectLife([greRequest, greAnswer, greRequest], 180);
  });

  test("GRE 180 comes with ASSURED", () => {
    const statusAfter = (...steps: LabStep[]) => entries(runRouter(steps, { rules: TRACKING }))[0]!.status;
    expect(statusAfter(greRequest, greAnswer)).toEqual(["SEEN_REPLY", "CONFIRMED"]);
    expect(statusAfter(greRequest, greAnswer, greRequest)).toEqual(["SEEN_REPLY", "ASSURED", "CONFIRMED"]);
  });
});

describe("4 Knobs", () => {
  test("loose 1: a midstream ACK creates an entry; with 0 it does not", () => {
    const midstream = c("A", { seq: 5, ack: 6 });
    const count = (sysctls: Record<string, number>) =>
      entries(runRouter([midstream], { rules: TRACKING, sysctls })).length;
    expect(count({})).toBe(1);
    expect(count({ "net.netfilter.nf_conntrack_tcp_loose": 0 })).toBe(0);
  });

  const accepted = (steps: LabStep[], sysctls: Record<string, number>): number => {
    const result = runRouter(steps, { rules: TRACKING, sysctls });
    return entries(result)[0]!.orig.packets;
  };

  test("be_liberal 0: a segment out of the window is not of the flow; with 1 it is", () => {
    const far = c("A", { seq: 5_000_000, ack: 9001 });
    expect(accepted([...HANDSHAKE, far], {})).toBe(2);
    expect(accepted([...HANDSHAKE, far], { "net.netfilter.nf_conntrack_tcp_be_liberal": 1 })).toBe(3);
  });

  test("max_retrans 3: with 1 the first repetition counts", () => {
    const again = c("A", { seq: 1001, ack: 9001 });
    const key = "net.netfilter.nf_conntrack_tcp_max_retrans";
    expect(timeoutAfter([...HANDSHAKE, again], { [key]: 1 })).toBe(300);
    expect(timeoutAfter([...HANDSHAKE, again], { [key]: 2 })).toBe(432_000);
  });

  test("checksum 1: a bad checksum creates no entry; with 0 it does", () => {
    const wrong = { ...udp(`${CLIENT}:5000`, `${SERVER}:53`), udp: { sport: 5000, dport: 53, size: 8, csum: 1 } };
    const count = (sysctls: Record<string, number>) =>
      entries(runRouter([fromClient(wrong)], { rules: TRACKING, sysctls })).length;
    expect(count({})).toBe(0);
    expect(count({ "net.netfilter.nf_conntrack_checksum": 0 })).toBe(1);
  });
});
