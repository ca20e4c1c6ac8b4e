import { describe, expect, test } from "vitest";
import { Lab } from "../../../src/scenario/lab.ts";
import type { LabStep } from "../../../src/scenario/lab-case.ts";
import { CLIENT, fromClient, INNER, routerCase, SERVER, sleep, tcp, timeline } from "./router.ts";

/** Whole seconds at which something happened, after the first of them. */
function seconds(frames: readonly { readonly at: number }[]): number[] {
  return frames.map(({ at }) => Math.round((at - frames[0]!.at) / 1000));
}

/** What a program on the router hears of a server that does not answer, `ms` after it called. */
function connecting(ms: number, sysctls: Record<string, number> = {}) {
  const steps: LabStep[] = [
    { op: "tcp", ns: "router", id: "t" },
    { op: "connect", id: "t", to: [SERVER, 80] },
    sleep(ms),
    { op: "recv", id: "t" },
  ];
  const spec = routerCase(steps, { sysctls });
  const result = new Lab(spec).run().steps[3]!.result as { err?: string };
  return { sent: seconds(timeline(spec, "router/eth1")), error: result.err };
}

describe("10 Defaults of TCP sockets at work", () => {
  // Measured on Linux 6.18: SYNs at these seconds, ETIMEDOUT behind them.
  test("tcp_syn_retries 6, beside tcp_syn_linear_timeouts 4", () => {
    const sent = [0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67];
    expect(connecting(130_900)).toEqual({ sent, error: undefined });
    expect(connecting(131_100)).toEqual({ sent, error: "ETIMEDOUT" });
  });

  test("tcp_syn_retries 2 and tcp_syn_linear_timeouts 0 give up sooner", () => {
    const sysctls = { "net.ipv4.tcp_syn_retries": 2, "net.ipv4.tcp_syn_linear_timeouts": 0 };
    expect(connecting(6900, sysctls)).toEqual({ sent: [0, 1, 3], error: undefined });
    expect(connecting(7100, sysctls)).toEqual({ sent: [0, 1, 3], error: "ETIMEDOUT" });
  });

  /** The states of the router's connections at the end. */
  function statesAfter(steps: LabStep[], sysctls: Record<string, number> = {}): string[] {
    const lab = new Lab(routerCase(steps, { sysctls }));
    lab.run();
    return [...lab.world.host("router").tcp.connections].map(({ state }) => state);
  }

  const answered = (ms: number): LabStep[] => [
    { op: "listen", ns: "router", id: "l", bind: [INNER, 80] },
    fromClient(tcp(`${CLIENT}:5000`, `${INNER}:80`, "S", { seq: 1000 })),
    sleep(ms),
  ];

  test("synack 5", () => {
    expect(seconds(timeline(routerCase(answered(100_000)), "router/eth0"))).toEqual([0, 1, 3, 7, 15, 31]);
    expect(statesAfter(answered(62_900))).toEqual(["SYN_RECV"]);
    expect(statesAfter(answered(63_100))).toEqual([]);
  });

  test("synack 1 where the sysctl says so", () => {
    const sysctls = { "net.ipv4.tcp_synack_retries": 1 };
    expect(seconds(timeline(routerCase(answered(100_000), { sysctls }), "router/eth0"))).toEqual([0, 1]);
    expect(statesAfter(answered(2900), sysctls)).toEqual(["SYN_RECV"]);
    expect(statesAfter(answered(3100), sysctls)).toEqual([]);
  });

  /** The router closed its end of a connection to itself, and the other end stays open. */
  const halfClosed = (ms: number): LabStep[] => [
    { op: "listen", ns: "router", id: "l", bind: ["127.0.0.1", 80] },
    { op: "tcp", ns: "router", id: "t" },
    { op: "connect", id: "t", to: ["127.0.0.1", 80] },
    { op: "accept", id: "l", as: "a" },
    { op: "close", id: "t" },
    sleep(ms),
  ];

  test.each([60, 7])("fin_timeout 60, and %i where the sysctl says so", (timeout) => {
    const sysctls = timeout === 60 ? {} : { "net.ipv4.tcp_fin_timeout": timeout };
    expect(statesAfter(halfClosed(timeout * 1000 - 100), sysctls).sort()).toEqual(["CLOSE_WAIT", "FIN_WAIT2"]);
    expect(statesAfter(halfClosed(timeout * 1000 + 100), sysctls)).toEqual(["CLOSE_WAIT"]);
  });
});
