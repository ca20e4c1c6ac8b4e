import { describe, expect, test } from "vitest";
import { type SctpState, STATES, transition } from "../../../src/kernel/conntrack/sctp-state.ts";
import type { LabStep } from "../../../src/scenario/lab-case.ts";
import * as sctp from "../../../src/wire/sctp.ts";
import { ASSOCIATION, chunk, initBody, sctpPacket, TAGS } from "../sctp-packet.ts";
import {
  CLIENT,
  type Entry,
  entries,
  entriesAt,
  fromClient,
  fromServer,
  hits,
  runRouter,
  SERVER,
  sleep,
  stateOf,
  TRACKING,
  table,
} from "./router.ts";

const PROTOCOL = { proto: sctp.PROTOCOL_SCTP };

const fromEnd = (end: "client" | "server", tag: number, chunks: string, wrong = false): LabStep =>
  end === "client"
    ? fromClient({
        ip: { src: CLIENT, dst: SERVER },
        ...PROTOCOL,
        raw: sctpPacket({ sport: 5000, dport: 80, tag }, chunks, wrong),
      })
    : fromServer({
        ip: { src: SERVER, dst: CLIENT },
        ...PROTOCOL,
        raw: sctpPacket({ sport: 80, dport: 5000, tag }, chunks, wrong),
      });

const association = (packets: number): LabStep[] =>
  ASSOCIATION.slice(0, packets).map(([end, tag, chunks]) => fromEnd(end, tag, chunks));
const established = association(4);

type SctpEntry = Entry & { readonly sctp_state: string };
const last = (steps: LabStep[]): SctpEntry | undefined =>
  (entries(runRouter(steps, { rules: TRACKING })) as SctpEntry[]).at(0);

const INVALID_RULES = table("filter", "-A FORWARD -m conntrack --ctstate INVALID");
/** How many of the steps' packets no flow owns. */
const invalid = (steps: LabStep[]): number => hits(runRouter(steps, { rules: INVALID_RULES }), "FORWARD", 1);

describe("4 Timeouts (s) of SCTP, as nf_conntrack_sctp_timeout_* has them", () => {
  const shutdownByServer = [...established, fromEnd("server", TAGS.client, chunk(sctp.SHUTDOWN, 0, "00000000"))];
  const abort = fromEnd("server", TAGS.client, chunk(sctp.ABORT));
  const stages: [string, number, LabStep[]][] = [
    ["CLOSED", 10, association(1)],
    ["COOKIE_WAIT", 3, association(2)],
    ["COOKIE_ECHOED", 3, association(3)],
    ["ESTABLISHED", 210, established],
    ["SHUTDOWN_SENT", 3, association(6)],
    ["SHUTDOWN_RECD", 3, shutdownByServer],
    ["SHUTDOWN_ACK_SENT", 3, association(7)],
    ["CLOSED", 10, association(8)],
    ["CLOSED", 10, [...established, abort]],
    ["HEARTBEAT_SENT", 30, [fromEnd("client", 7, chunk(sctp.HEARTBEAT, 0, "00"))]],
  ];
  test.each(stages)("%s %i", (state, seconds, steps) => {
    expect(last(steps)).toMatchObject({ sctp_state: state, timeout: seconds });
    const aged = runRouter([...steps, sleep(seconds * 1000 - 1), stateOf(), sleep(1), stateOf()], { rules: TRACKING });
    expect(entriesAt(aged.steps[steps.length + 1]!)).toHaveLength(1);
    expect(entriesAt(aged.steps[steps.length + 3]!)).toHaveLength(0);
  });

  test("a sysctl changes them", () => {
    const sysctls = { "net.netfilter.nf_conntrack_sctp_timeout_established": 77 };
    expect(entries(runRouter(established, { rules: TRACKING, sysctls }))[0]!.timeout).toBe(77);
  });
});

describe("4 SCTP", () => {
  test("the table has a next state for 2 directions, 11 chunks and 9 states; other chunks keep the state", () => {
    const named = [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 14];
    for (const direction of [0, 1] as const)
      for (let type = 0; type < 256; type++)
        for (const state of STATES) {
          const next = transition(direction, type, state);
          if (named.includes(type)) expect([...STATES.slice(1), "INVALID"]).toContain(next);
          else expect(next).toBe(state);
        }
  });

  const cells: [0 | 1, string, number, SctpState, string][] = [
    [0, "INIT", sctp.INIT, "SHUTDOWN_SENT", "CLOSED"],
    [0, "INIT", sctp.INIT, "HEARTBEAT_SENT", "COOKIE_WAIT"],
    [1, "INIT", sctp.INIT, "NONE", "INVALID"],
    [1, "INIT ACK", sctp.INIT_ACK, "CLOSED", "COOKIE_WAIT"],
    [1, "ERROR", sctp.ERROR, "COOKIE_ECHOED", "CLOSED"],
    [0, "ERROR", sctp.ERROR, "COOKIE_ECHOED", "COOKIE_ECHOED"],
    [1, "HEARTBEAT ACK", sctp.HEARTBEAT_ACK, "HEARTBEAT_SENT", "ESTABLISHED"],
    [0, "SHUTDOWN ACK", sctp.SHUTDOWN_ACK, "NONE", "SHUTDOWN_ACK_SENT"],
    [1, "SHUTDOWN COMPLETE", sctp.SHUTDOWN_COMPLETE, "SHUTDOWN_ACK_SENT", "CLOSED"],
  ];
  test.each(cells)("in direction %i, %s (%i) in %s → %s", (direction, _, type, state, next) => {
    expect(transition(direction, type, state)).toBe(next);
  });

  test("ASSURED when it is ESTABLISHED", () => {
    expect(last(association(3))!.status).not.toContain("ASSURED");
    expect(last(established)!.status).toContain("ASSURED");
  });

  test("DATA, ABORT, COOKIE ACK and SHUTDOWN COMPLETE open no flow, nor does an INIT with a tag", () => {
    const init = chunk(sctp.INIT, 0, initBody(TAGS.client));
    expect(last([fromEnd("client", 0, init)])).toBeDefined();
    expect(last([fromEnd("client", 5, init)])).toBeUndefined();
    for (const type of [sctp.DATA, sctp.ABORT, sctp.COOKIE_ACK, sctp.SHUTDOWN_COMPLETE])
      expect(last([fromEnd("client", 0, chunk(type))])).toBeUndefined();
  });

  test("a wrong verification tag is INVALID, and so is a wrong CRC32c", () => {
    const data = (tag: number, wrong = false) => fromEnd("client", tag, chunk(sctp.DATA, 3, "00"), wrong);
    expect(invalid([...established, data(TAGS.server)])).toBe(0);
    expect(invalid([...established, data(TAGS.client)])).toBe(1);
    expect(invalid([...established, data(TAGS.server, true)])).toBe(1);
  });

  test("an ABORT with the T flag carries the tag of the other direction", () => {
    const abort = (tag: number, flags: number) => fromEnd("client", tag, chunk(sctp.ABORT, flags));
    expect(invalid([...established, abort(TAGS.server, 0)])).toBe(0);
    expect(invalid([...established, abort(TAGS.client, 0)])).toBe(1);
    expect(invalid([...established, abort(TAGS.client, sctp.FLAG_T)])).toBe(0);
    expect(invalid([...established, abort(TAGS.server, sctp.FLAG_T)])).toBe(1);
  });

  test("an INIT, INIT ACK or SHUTDOWN COMPLETE stands alone, COOKIE ECHO and COOKIE ACK first", () => {
    const data = chunk(sctp.DATA, 3, "00");
    expect(invalid([...association(3), fromEnd("server", TAGS.client, chunk(sctp.COOKIE_ACK) + data)])).toBe(0);
    expect(invalid([...association(3), fromEnd("server", TAGS.client, data + chunk(sctp.COOKIE_ACK))])).toBe(1);
    expect(invalid([fromEnd("client", 0, chunk(sctp.INIT, 0, initBody(1)) + data)])).toBe(1);
  });

  test("a HEARTBEAT with another tag is kept for its answer, and refreshes nothing", () => {
    const heartbeat = fromEnd("client", 9, chunk(sctp.HEARTBEAT, 0, "00"));
    const answer = fromEnd("server", 8, chunk(sctp.HEARTBEAT_ACK, 0, "00"));
    expect(invalid([...established, heartbeat])).toBe(0);
    expect(last([...established, sleep(60_000), heartbeat])!.timeout).toBe(150);
    expect(invalid([...established, heartbeat, answer])).toBe(0);
    expect(invalid([...established, answer])).toBe(1);
  });

  test("an INIT again does not keep a closed entry alive", () => {
    expect(last([...association(1), sleep(4000), ...association(1)])!.timeout).toBe(6);
  });
});
