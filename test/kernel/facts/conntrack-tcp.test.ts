import { describe, expect, test } from "vitest";
import type { LabResult, LabStep } from "../../../src/scenario/lab-case.ts";
import { CLIENT_END, c, HANDSHAKE, SERVER_END, STAGES, s } from "./conversation.ts";
import { entries, entriesAt, fromClient, hits, runRouter, stateOf, table, tcp, toServer } from "./router.ts";

const RULES = table(
  "filter",
  "-A FORWARD -m conntrack --ctstate INVALID",
  "-A FORWARD -m conntrack --ctstate NEW",
  "-A FORWARD -m conntrack --ctstate ESTABLISHED",
);

const watch = (steps: readonly LabStep[]): LabResult => runRouter([...steps], { rules: RULES });
const counts = (result: LabResult): number[] => [1, 2, 3].map((rule) => hits(result, "FORWARD", rule));

describe("4 Conntrack", () => {
  test("Entry created at PREROUTING or OUTPUT, confirmed only when the packet leaves POSTROUTING; a dropped first packet leaves nothing", () => {
    const seen = (chain: string) =>
      runRouter([c("S", { seq: 1 })], {
        rules: table("mangle", "-A PREROUTING -m conntrack --ctstate NEW", `-A ${chain} -j DROP`),
      });
    for (const chain of ["FORWARD", "POSTROUTING"]) {
      const dropped = seen(chain);
      expect(hits(dropped, "PREROUTING", 1, "mangle")).toBe(1);
      expect(entries(dropped)).toEqual([]);
      expect(dropped.steps[0]!.ct_events).toEqual([]);
    }
    expect(entries(seen("INPUT"))).toHaveLength(1);
  });

  test("or INPUT: a dropped first packet to or from the box itself leaves nothing", () => {
    const toUs = fromClient(tcp(CLIENT_END, "10.0.1.1:80", "S"));
    const ofOurs = { op: "raw", ns: "router", pkt: tcp("10.0.2.1:80", SERVER_END, "S") };
    const count = (step: LabStep, drop: string) =>
      entries(
        runRouter([step], { rules: table("filter", "-A FORWARD -m conntrack --ctstate NEW", `-A ${drop} -j DROP`) }),
      ).length;
    expect([count(ofOurs, "OUTPUT"), count(ofOurs, "INPUT")]).toEqual([0, 1]);
    const udpToUs = fromClient({ ip: { src: "10.0.1.9", dst: "10.0.1.1" }, udp: { sport: 5, dport: 6 } });
    expect([count(toUs, "INPUT"), count(udpToUs, "INPUT"), count(udpToUs, "OUTPUT")]).toEqual([0, 0, 1]);
  });

  test("midstream ACK → NEW, ESTABLISHED with 300 s (loose)", () => {
    const result = watch([c("A", { seq: 5, ack: 6 })]);
    expect(counts(result)).toEqual([0, 1, 0]);
    expect(entries(result)[0]).toMatchObject({ tcp_state: "ESTABLISHED", timeout: 300 });
  });

  test.each([
    ["SYN/ACK", "SA"],
    ["FIN", "FA"],
    ["RST", "R"],
  ])("%s first → INVALID (and still forwarded unless a rule drops them)", (_, flags) => {
    const first = c(flags, { seq: 5, ack: 6 });
    const result = watch([first]);
    expect(counts(result)).toEqual([1, 0, 0]);
    expect(entries(result)).toEqual([]);
    expect(toServer(result.steps[0]!)).toHaveLength(1);
    const drop = table("filter", "-A FORWARD -m conntrack --ctstate INVALID -j DROP");
    expect(toServer(runRouter([first], { rules: drop }).steps[0]!)).toEqual([]);
  });

  test.each(["", "F", "FS", "SR", "FR", "U", "P", "SAU", "FSRPAU", "FPU"])("odd flag set '%s' → INVALID", (flags) => {
    const result = watch([...HANDSHAKE, c(flags, { seq: 1001, ack: 9001 })]);
    expect(counts(result)).toEqual([1, 1, 2]);
    expect(toServer(result.steps[3]!)).toHaveLength(1);
  });

  test.each(["A", "PA", "AU", "FA", "FAU", "R", "RA", "AEC"])("plain flag set %s → not INVALID", (flags) => {
    expect(counts(watch([...HANDSHAKE, c(flags, { seq: 1001, ack: 9001 })]))).toEqual([0, 1, 3]);
  });

  test("bad checksums → INVALID (and still forwarded)", () => {
    const result = watch([...HANDSHAKE, c("A", { seq: 1001, ack: 9001, csum: 1 })]);
    expect(counts(result)).toEqual([1, 1, 2]);
    expect(toServer(result.steps[3]!)).toHaveLength(1);
  });

  const window = 65_535;

  test("out-of-window data → INVALID", () => {
    const data = (seq: number) => counts(watch([...HANDSHAKE, c("PA", { seq, ack: 9001, size: 10 })]));
    expect(data(1001 + window - 10)).toEqual([0, 1, 3]);
    expect(data(1001 + 2 * window + 10)).toEqual([1, 1, 2]);
  });

  test("out-of-window ACK → INVALID", () => {
    const ack = (ack: number) => counts(watch([...HANDSHAKE, c("A", { seq: 1001, ack })]));
    expect(ack(9001)).toEqual([0, 1, 3]);
    expect(ack(9002)).toEqual([1, 1, 2]);
  });

  test("out-of-window RST → INVALID", () => {
    const reset = (seq: number) => watch([...HANDSHAKE, s("R", { seq })]);
    expect(counts(reset(9001))).toEqual([0, 1, 3]);
    expect(counts(reset(9000))).toEqual([1, 1, 2]);
    expect(entries(reset(9000))[0]!.tcp_state).toBe("ESTABLISHED");
    expect(counts(reset(9_000_000))).toEqual([1, 1, 2]);
  });

  test("RST as the only reply to a SYN deletes the entry", () => {
    const { steps } = watch([c("S", { seq: 1000 }), stateOf(), s("RA", { seq: 0, ack: 1001 }), stateOf()]);
    expect([entriesAt(steps[1]!).length, entriesAt(steps[3]!).length]).toEqual([1, 0]);
    expect(steps[2]!.ct_events.map(({ ev }) => ev)).toEqual(["DESTROY"]);
  });

  test("in-window RST → CLOSE 10", () => {
    const result = watch([...HANDSHAKE, s("R", { seq: 9001 })]);
    expect(entries(result)[0]).toMatchObject({ tcp_state: "CLOSE", timeout: 10 });
  });

  test("SYN on TIME_WAIT → destroy + NEW", () => {
    const again = c("S", { seq: 500_000 });
    const { steps } = watch([...STAGES.TIME_WAIT.steps, again, stateOf()]);
    const last = steps[steps.length - 2]!;
    expect(last.ct_events.map(({ ev }) => ev)).toEqual(["DESTROY", "NEW"]);
    expect(entriesAt(steps[steps.length - 1]!)).toMatchObject([{ tcp_state: "SYN_SENT", timeout: 120 }]);
  });

  test("ASSURED on the handshake's ACK", () => {
    const assured = HANDSHAKE.map((_, i) => entries(watch(HANDSHAKE.slice(0, i + 1)))[0]!.status.includes("ASSURED"));
    expect(assured).toEqual([false, false, true]);
  });
});
