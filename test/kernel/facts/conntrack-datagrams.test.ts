import { describe, expect, test } from "vitest";
import type { LabResult, LabStep } from "../../../src/scenario/lab-case.ts";
import type { PacketSpec } from "../../../src/scenario/lab-packet.ts";
import {
  CLIENT,
  entries,
  entriesAt,
  framesOn,
  fromClient,
  fromServer,
  hits,
  runRouter,
  SERVER,
  sleep,
  stateOf,
  table,
  udp,
} from "./router.ts";

const RULES = table(
  "filter",
  "-A FORWARD -m conntrack --ctstate INVALID",
  "-A FORWARD -m conntrack --ctstate NEW",
  "-A FORWARD -m conntrack --ctstate ESTABLISHED",
  "-A FORWARD -m conntrack --ctstate RELATED",
);
const watch = (...steps: LabStep[]): LabResult => runRouter(steps, { rules: RULES });
/** INVALID, NEW, ESTABLISHED, RELATED. */
const counts = (result: LabResult): number[] => [1, 2, 3, 4].map((rule) => hits(result, "FORWARD", rule));

const FLOW = udp(`${CLIENT}:5000`, `${SERVER}:53`, {}, 40);
const REPLY = udp(`${SERVER}:53`, `${CLIENT}:5000`, {}, 40);
const REQUEST = fromClient(FLOW);
const ANSWER = fromServer(REPLY);

describe("4 UDP", () => {
  test("reply → 30 s; 120 s and ASSURED only by traffic more than 2 s after creation", () => {
    const repeated = (ms: number) => {
      const [entry] = entries(watch(REQUEST, ANSWER, sleep(ms), REQUEST));
      return [entry!.timeout, entry!.status.includes("ASSURED")];
    };
    expect(repeated(0)).toEqual([30, false]);
    expect(repeated(2000)).toEqual([30, false]);
    expect(repeated(2004)).toEqual([120, true]);
  });

  test("traffic without a reply is no stream, however late; the first reply is one when it is late", () => {
    expect(entries(watch(REQUEST, sleep(2004), REQUEST))[0]).toMatchObject({ timeout: 30 });
    const late = entries(watch(REQUEST, sleep(2004), ANSWER))[0]!;
    expect([late.timeout, late.status.includes("ASSURED")]).toEqual([30, false]);
  });

  test("a flow without replies stays NEW for ever", () => {
    const often = new Array(20).fill([REQUEST, sleep(29_000)]).flat() as LabStep[];
    const result = watch(...often);
    expect(counts(result)).toEqual([0, 20, 0, 0]);
    expect(entries(result)).toHaveLength(1);
  });
});

const message = (type: number): PacketSpec => ({ ip: { src: CLIENT, dst: SERVER }, icmp: { type, id: 7, size: 56 } });

describe("4 ICMP", () => {
  test.each([8, 13, 15, 17])("type %i creates an entry", (type) => {
    const result = watch(fromClient(message(type)));
    expect(counts(result)).toEqual([0, 1, 0, 0]);
    expect(entries(result)[0]!.orig.icmp_type).toBe(type);
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 16, 18, 19, 40])(
    "type %i without an entry is INVALID",
    (type) => {
      const result = watch(fromClient(message(type)));
      expect(counts(result)).toEqual([1, 0, 0, 0]);
      expect(entries(result)).toEqual([]);
    },
  );

  test("no ASSURED", () => {
    const reply = fromServer({ ip: { src: SERVER, dst: CLIENT }, icmp: { type: 0, id: 7, size: 56 } });
    const result = watch(fromClient(message(8)), reply, sleep(2500), fromClient(message(8)), reply);
    expect(counts(result)).toEqual([0, 1, 3, 0]);
    expect(entries(result)[0]!.status).toEqual(["SEEN_REPLY", "CONFIRMED"]);
  });
});

interface ErrorOptions {
  readonly from?: string;
  readonly quote?: number;
  readonly csum?: number;
}

const error = (type: number, inner: PacketSpec, { from = SERVER, quote, csum }: ErrorOptions = {}): PacketSpec => ({
  ip: { src: from, dst: inner.ip.src },
  icmp: {
    type,
    code: type === 3 ? 3 : 0,
    gw: "10.0.2.77",
    inner,
    ...(quote === undefined ? {} : { quote }),
    ...(csum === undefined ? {} : { csum }),
  },
});

describe("4 Errors", () => {
  test.each([3, 4, 5, 11, 12])(
    "type %i quoting a known flow → RELATED from any sender and in either direction",
    (type) => {
      expect(counts(watch(REQUEST, fromServer(error(type, FLOW))))).toEqual([0, 1, 0, 1]);
      expect(counts(watch(REQUEST, fromServer(error(type, FLOW, { from: "192.0.2.1" }))))).toEqual([0, 1, 0, 1]);
      expect(counts(watch(REQUEST, ANSWER, fromClient(error(type, REPLY, { from: CLIENT }))))).toEqual([0, 1, 1, 1]);
    },
  );

  test("refreshing nothing", () => {
    const { steps } = watch(REQUEST, sleep(10_000), fromServer(error(3, FLOW)), stateOf());
    expect(entriesAt(steps[3]!)[0]!.timeout).toBe(20);
  });

  test("4 quoted bytes of L4 suffice", () => {
    const quoting = (quote: number) => counts(watch(REQUEST, fromServer(error(3, FLOW, { quote }))));
    expect(quoting(24)).toEqual([0, 1, 0, 1]);
    expect(quoting(23)).toEqual([1, 1, 0, 0]);
  });

  test("unknown inner flow → INVALID", () => {
    const unknown = udp(`${CLIENT}:5001`, `${SERVER}:53`);
    expect(counts(watch(REQUEST, fromServer(error(3, unknown))))).toEqual([1, 1, 0, 0]);
  });

  test("bad ICMP checksum → INVALID", () => {
    expect(counts(watch(REQUEST, fromServer(error(3, FLOW, { csum: 1 }))))).toEqual([1, 1, 0, 0]);
  });
});

/** A datagram of 3,008 bytes in three pieces of 1,480, 1,480 and 48. */
function pieces(): LabStep[] {
  const whole = { src: CLIENT, dst: SERVER, id: 99 };
  const datagram = { udp: { sport: 5000, dport: 53, size: 3000 } };
  return [
    fromClient({ ip: { ...whole, mf: true, slice: [0, 1480] }, ...datagram }),
    fromClient({ ip: { ...whole, mf: true, off: 1480, slice: [1480, 2960] }, ...datagram }),
    fromClient({ ip: { ...whole, off: 2960, slice: [2960, 3008] }, ...datagram }),
  ];
}
const sent = (result: LabResult): string[][] =>
  result.steps.map(({ frames }) => framesOn(frames, "router/eth1").map(({ ip }) => `${ip!.offset} ${ip!.length}`));

describe("4 Fragments", () => {
  test("with conntrack on they are reassembled at -400, seen once by rules, and re-fragmented on output", () => {
    const result = runRouter(pieces(), {
      rules: table("raw", "-A PREROUTING -p udp -m udp --dport 53") + RULES,
    });
    expect(sent(result)).toEqual([[], [], ["0 1500", "1480 1500", "2960 68"]]);
    expect(hits(result, "PREROUTING", 1, "raw")).toBe(1);
    expect(counts(result)).toEqual([0, 1, 0, 0]);
    expect(entries(result)[0]!.orig).toMatchObject({ sport: 5000, dport: 53, packets: 1 });
  });

  test("with it off each is forwarded alone", () => {
    const rules = table("filter", "-A FORWARD -p udp", "-A FORWARD -p udp -m udp --dport 53", "-A FORWARD -f");
    const result = runRouter(pieces(), { rules });
    expect(sent(result)).toEqual([["0 1500"], ["1480 1500"], ["2960 68"]]);
    expect([1, 2, 3].map((rule) => hits(result, "FORWARD", rule))).toEqual([3, 1, 2]);
  });
});
