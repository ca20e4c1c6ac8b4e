import { describe, expect, test } from "vitest";
import type { LabStep } from "../../../src/scenario/lab-case.ts";
import type { PacketSpec } from "../../../src/scenario/lab-packet.ts";
import {
  CLIENT,
  echo,
  fromClient,
  INNER,
  routerCase,
  runRouter,
  SERVER,
  SERVER_MAC,
  sleep,
  textsOn,
  timeline,
  toClient,
  udp,
} from "./router.ts";

/** A lab turns the limits off; these are the kernel's own. */
const LIMITED = { "net.ipv4.icmp_ratelimit": 1000, "net.ipv4.icmp_ratemask": 6168 };
const FROM = `${CLIENT}:5000`;
const closed = (count: number): LabStep => fromClient(udp(FROM, `${INNER}:53`), count);
/** How many answers the client's cable shows, step by step. */
const answers = (steps: LabStep[], sysctls: Record<string, number> = LIMITED): number[] =>
  runRouter(steps, { sysctls }).steps.map((step) => toClient(step).length);

describe("6 Limits", () => {
  test("per target burst 6 then 1/s", () => {
    expect(answers([closed(6), closed(20), sleep(999), closed(5), sleep(1), closed(5)])).toEqual([6, 0, 0, 0, 0, 1]);
    expect(answers([closed(9), sleep(1000), closed(1), sleep(1000), closed(9), sleep(2000), closed(9)])).toEqual([
      6, 0, 1, 0, 1, 0, 2,
    ]);
    expect(answers([closed(9), sleep(6000), closed(9), sleep(60_000), closed(9)])).toEqual([6, 0, 6, 0, 6]);
  });

  test("per target: another offender has its own", () => {
    const other = fromClient(udp("10.0.1.8:1", `${INNER}:53`), 9);
    const { steps } = runRouter([closed(9), other], { sysctls: LIMITED, neigh: [["eth0", "10.0.1.8", SERVER_MAC]] });
    expect(steps.map((step) => toClient(step).length)).toEqual([6, 6]);
  });

  const times = (packet: PacketSpec, options: Parameters<typeof runRouter>[1] = {}): number =>
    toClient(
      runRouter([fromClient(packet, 10)], { ...options, sysctls: { ...LIMITED, ...options.sysctls } }).steps[0]!,
    ).filter((line) => line.startsWith("icmp")).length;

  test("ratemask 6168 (3, 4, 11, 12)", () => {
    expect(2 ** 3 + 2 ** 4 + 2 ** 11 + 2 ** 12).toBe(6168);
    expect(times(udp(FROM, `${INNER}:53`))).toBe(6);
    expect(times(udp(FROM, `${SERVER}:53`, { ttl: 1 }))).toBe(6);
    expect(times(udp(FROM, `${SERVER}:53`, { opts: "07ff0400" }))).toBe(6);
    expect(times(echo(CLIENT, INNER))).toBe(10);
    const mtu = { devs: { eth1: { mtu: 1280, mac: "02:00:00:00:01:02" } } };
    expect(times(udp(FROM, `${SERVER}:53`, { df: true }, 1400), mtu)).toBe(10);
  });

  test("a type that the mask leaves out is not limited", () => {
    expect(times(udp(FROM, `${INNER}:53`), { sysctls: { "net.ipv4.icmp_ratemask": 6168 - 8 } })).toBe(10);
  });

  test("an echo reply is limited where the mask has its type", () => {
    expect(times(echo(CLIENT, INNER), { sysctls: { "net.ipv4.icmp_ratemask": 1 } })).toBe(6);
  });

  /** One packet each from many offenders, whose errors the client's cable shows. */
  const crowd = (first: number, count: number): LabStep[] =>
    Array.from({ length: count }, (_, i) =>
      fromClient(udp(`10.7.${(first + i) >> 8}.${(first + i) & 255}:1`, `${INNER}:53`)),
    );
  const crowdAnswers = (steps: LabStep[]): number =>
    runRouter(steps, { sysctls: LIMITED, routes: [`10.7.0.0/16 via ${CLIENT} dev eth0`] }).steps.flatMap(toClient)
      .length;

  test("global 1000/s, burst 50", () => {
    expect(crowdAnswers(crowd(1, 49))).toBe(49);
    expect(crowdAnswers(crowd(1, 50))).toBe(50);
    expect(crowdAnswers(crowd(1, 80))).toBe(50);
    expect(crowdAnswers([...crowd(1, 80), sleep(20), ...crowd(100, 80)])).toBe(70);
    expect(crowdAnswers([...crowd(1, 80), sleep(50), ...crowd(100, 80)])).toBe(100);
    expect(crowdAnswers([...crowd(1, 80), sleep(5000), ...crowd(100, 80)])).toBe(100);
  });

  test("loopback exempt", () => {
    const own: LabStep = { op: "raw", ns: "router", pkt: udp("127.0.0.1:5000", "127.0.0.1:53") };
    const { steps } = runRouter(new Array(80).fill(own), { sysctls: LIMITED });
    const errors = steps.flatMap((step) => textsOn(step, "router/lo", "in")).filter((line) => line.startsWith("icmp"));
    expect(errors).toHaveLength(80);
  });
});

const BETTER = "10.0.1.77";
const REDIRECT = `icmp ${INNER} > ${CLIENT} 5/1 ttl 64`;
const PASSED_ON = `udp ${FROM} > 10.5.0.1:53 ttl 63`;
const detour = {
  neigh: [["eth0", BETTER, SERVER_MAC]] as [string, string, string][],
  routes: [`10.5.0.0/16 via ${BETTER} dev eth0`],
};
const ask = (count = 1): LabStep => fromClient(udp(FROM, "10.5.0.1:53"), count);

describe("6 Redirect", () => {
  test("5/1 (host) and the packet is forwarded, when in-dev = out-dev", () => {
    expect(toClient(runRouter([ask()], detour).steps[0]!)).toEqual([REDIRECT, PASSED_ON]);
    const [frame] = timeline(routerCase([ask()], detour), "router/eth0");
    expect(frame!.ip!.icmp!.gateway).toBe(BETTER);
    const elsewhere = { ...detour, routes: [`10.5.0.0/16 via ${SERVER} dev eth1`] };
    expect(toClient(runRouter([ask()], elsewhere).steps[0]!)).toEqual([]);
  });

  test("when the source is on-link", () => {
    const far = fromClient(udp("10.7.0.1:1", "10.5.0.1:53"));
    const routes = [...detour.routes, `10.7.0.0/16 via ${CLIENT} dev eth0`];
    expect(toClient(runRouter([far], { ...detour, routes }).steps[0]!)).toEqual([
      "udp 10.7.0.1:1 > 10.5.0.1:53 ttl 63",
    ]);
  });

  test("and send_redirects (all OR dev)", () => {
    const sends = (all: number, device: number) => {
      const sysctls = { "net.ipv4.conf.all.send_redirects": all, "net.ipv4.conf.eth0.send_redirects": device };
      return toClient(runRouter([ask()], { ...detour, sysctls }).steps[0]!).length === 2;
    };
    expect([sends(0, 0), sends(0, 1), sends(1, 0), sends(1, 1)]).toEqual([false, true, true, true]);
  });

  /** Asks at each of these times, in milliseconds; answers with those at which a redirect came. */
  function redirectsAt(times: readonly number[]): number[] {
    let now = 0;
    const steps = times.flatMap((time) => {
      const wait = time - now;
      now = time;
      return [sleep(wait), ask()];
    });
    const frames = timeline(routerCase(steps, detour), "router/eth0");
    return frames.filter(({ text }) => text === REDIRECT).map(({ at }) => Math.round(at));
  }

  test("spaced 20 ms·2ⁿ, at most 9", () => {
    const times = [0];
    const expected = [0];
    for (let n = 1; n < 9; n++) {
      const due = expected[n - 1]! + 20 * 2 ** n;
      times.push(due - 4, due, due + 4);
      expected.push(due + 4);
    }
    expect(redirectsAt(times)).toEqual(expected);
    const tenth = expected[8]! + 20 * 2 ** 9;
    expect(redirectsAt([...times, tenth + 4, tenth + 10_000])).toEqual(expected);
  });

  test("reset after 20.5 s", () => {
    const sent = [0, 44, 128, 292, 616, 1260, 2544, 5108, 10_232];
    expect(redirectsAt(sent)).toEqual(sent);
    const quiet = 10_232 + 20_480;
    expect(redirectsAt([...sent, quiet])).toEqual(sent);
    expect(redirectsAt([...sent, quiet + 4])).toEqual([...sent, quiet + 4]);
    expect(redirectsAt([...sent, quiet + 4, quiet + 48])).toEqual([...sent, quiet + 4, quiet + 48]);
    expect(redirectsAt([...sent, 20_000, quiet + 4])).toEqual(sent);
  });
});
