import { describe, expect, test } from "vitest";
import type { LabStep } from "../../../src/scenario/lab-case.ts";
import type { FrameSpec } from "../../../src/scenario/lab-packet.ts";
import {
  CLIENT,
  dropsOf,
  framesOn,
  fromClient,
  INNER,
  INNER_MAC,
  neighboursAt,
  OUTER,
  OUTER_MAC,
  type RouterOptions,
  routerCase,
  runRouter,
  SERVER,
  SERVER_MAC,
  sleep,
  stateOf,
  timeline,
  toClient,
  toServer,
  udp,
} from "./router.ts";

const STRANGER_MAC = "02:00:00:00:0c:55";
type Arp = NonNullable<FrameSpec["arp"]>;
const arp = (fields: Arp, dst = "ff:ff:ff:ff:ff:ff"): LabStep => ({
  op: "frame",
  at: "c/eth0",
  frame: { eth: { src: STRANGER_MAC, dst }, arp: fields },
});
const ask = (tpa: string, spa = "10.0.1.55"): LabStep => arp({ spa, tpa });
const answered = (step: LabStep, options: RouterOptions = {}): string[] =>
  toClient(runRouter([step], options).steps[0]!);
/** `address mac STATE` of the neighbours on the client's side, the client itself left out. */
function known(steps: LabStep[], options: RouterOptions = {}): string[] {
  const result = runRouter([...steps, stateOf()], options);
  return neighboursAt(result.steps[steps.length]!)
    .filter(({ dev, ip }) => dev === "eth0" && ip !== CLIENT)
    .map(({ ip, mac, state }) => `${ip} ${mac} ${state.join()}`);
}

describe("8 ARP", () => {
  test("Answers for any local address on any device (arp_ignore 0)", () => {
    const options = { addrs: [["lo", "192.0.2.7/32"]] as [string, string][] };
    for (const address of [INNER, OUTER, "192.0.2.7"])
      expect(answered(ask(address), options)).toEqual([`${address} is at ${INNER_MAC} for 10.0.1.55`]);
    for (const address of ["10.0.1.77", SERVER]) expect(answered(ask(address), options)).toEqual([]);
    expect(answered(ask(OUTER), { sysctls: { "net.ipv4.conf.all.arp_ignore": 1 } })).toEqual([]);
  });

  test("source 0.0.0.0 included", () => {
    expect(answered(ask(INNER, "0.0.0.0"))).toEqual([`${INNER} is at ${INNER_MAC} for 0.0.0.0`]);
    expect(answered(ask("10.0.1.77", "0.0.0.0"))).toEqual([]);
    expect(known([ask(INNER, "0.0.0.0")])).toEqual([]);
  });

  test("never for 127/8", () => {
    expect(answered(ask("127.0.0.1"))).toEqual([]);
    expect(answered(ask("127.0.0.1", "0.0.0.0"))).toEqual([]);
  });

  test("A request to us creates or updates a STALE entry even for off-subnet senders", () => {
    expect(known([ask(INNER)])).toEqual([`10.0.1.55 ${STRANGER_MAC} STALE`]);
    expect(known([ask(INNER, "172.31.0.1")])).toEqual([`172.31.0.1 ${STRANGER_MAC} STALE`]);
    const moved = arp({ spa: "10.0.1.55", tpa: INNER, sha: "02:00:00:00:0c:66" });
    expect(known([ask(INNER), moved])).toEqual(["10.0.1.55 02:00:00:00:0c:66 STALE"]);
    expect(known([ask("10.0.1.77")])).toEqual([]);
  });

  test("gratuitous ARP only updates (arp_accept 0)", () => {
    const gratuitous = arp({ spa: "10.0.1.55", tpa: "10.0.1.55", sha: "02:00:00:00:0c:66" });
    expect(known([gratuitous])).toEqual([]);
    expect(known([ask(INNER), gratuitous])).toEqual(["10.0.1.55 02:00:00:00:0c:66 STALE"]);
    expect(known([gratuitous], { sysctls: { "net.ipv4.conf.all.arp_accept": 1 } })).toEqual([
      "10.0.1.55 02:00:00:00:0c:66 STALE",
    ]);
  });

  const own = (source: string): LabStep => ({ op: "raw", ns: "router", pkt: udp(`${source}:1`, "10.0.1.77:2") });

  test("Sender IP is the packet's own source if local (arp_announce 0), else the device's primary", () => {
    expect(answered(own(OUTER))).toEqual([`who has 10.0.1.77 tell ${OUTER}`]);
    expect(answered(own("0.0.0.0"))).toEqual([`who has 10.0.1.77 tell ${INNER}`]);
    expect(answered(own(SERVER))).toEqual([`who has 10.0.1.77 tell ${INNER}`]);
    expect(answered(own(OUTER), { sysctls: { "net.ipv4.conf.all.arp_announce": 2 } })).toEqual([
      `who has 10.0.1.77 tell ${INNER}`,
    ]);
  });
});

const NOBODY = "10.0.2.99";
const toNobody = (size = 8, count = 1): LabStep => fromClient(udp(`${CLIENT}:5000`, `${NOBODY}:53`, {}, size), count);
const UNREACHABLE = `icmp ${INNER} > ${CLIENT} 3/1 ttl 64`;
const about = (ms: number, expected: number): void => {
  expect(ms).toBeGreaterThanOrEqual(expected);
  expect(ms).toBeLessThan(expected + 60);
};

describe("8 Unresolved", () => {
  test("probes at 0, ~1.00, ~2.03 s", () => {
    const probes = timeline(routerCase([toNobody(), sleep(10_000)]), "router/eth1");
    expect(probes.map(({ text }) => text)).toEqual(new Array(3).fill(`who has ${NOBODY} tell ${OUTER}`));
    for (const [i, { at }] of probes.entries()) about(at, i * 1000);
  });

  test("at ~3.05 s (HZ rounding) FAILED and each queued packet gets 3/1", () => {
    const steps = [toNobody(), sleep(500), toNobody(8, 4), sleep(2490), stateOf(), sleep(100), stateOf()];
    const result = runRouter(steps);
    const stateAt = (step: number) => neighboursAt(result.steps[step]!).find(({ ip }) => ip === NOBODY)!.state;
    expect([stateAt(4), stateAt(6)]).toEqual([["INCOMPLETE"], ["FAILED"]]);
    expect(toClient(result.steps[5]!)).toEqual(new Array(5).fill(UNREACHABLE));
    const errors = timeline(routerCase(steps), "router/eth0");
    for (const { at } of errors) about(at, 3000);
  });

  test("a new packet restarts", () => {
    const probes = timeline(routerCase([toNobody(), sleep(8000), toNobody(), sleep(8000)]), "router/eth1");
    expect(probes).toHaveLength(6);
    for (const [i, { at }] of probes.slice(3).entries()) about(at, 8000 + i * 1000);
  });

  const answer: LabStep = {
    op: "frame",
    at: "s/eth0",
    frame: { eth: { src: SERVER_MAC, dst: OUTER_MAC }, arp: { op: "reply", spa: NOBODY, tpa: OUTER, tha: OUTER_MAC } },
  };

  test("an answer sends what waits, in order", () => {
    const { steps } = runRouter([toNobody(1), toNobody(2), answer]);
    expect(framesOn(steps[2]!.frames, "router/eth1").map(({ ip, destination }) => [ip!.length, destination])).toEqual([
      [29, SERVER_MAC],
      [30, SERVER_MAC],
    ]);
  });

  test.each([
    [256, "small", 8],
    [166, "of 400 B", 400],
    [92, "of 1,400 B", 1400],
  ])("Queue 212,992 bytes of skb truesize: %i %s", (fits, _, size) => {
    const lost = (count: number) => {
      const { steps } = runRouter([toNobody(size, count), answer]);
      return [dropsOf(steps[0]!).filter((reason) => reason === "NEIGH_QUEUEFULL").length, toServer(steps[1]!).length];
    };
    expect(lost(fits)).toEqual([0, fits]);
    expect(lost(fits + 1)).toEqual([1, fits]);
    expect(lost(fits + 10)).toEqual([10, fits]);
  });

  test("the queue loses its oldest", () => {
    const { steps } = runRouter([toNobody(1400), toNobody(1401, 92), answer]);
    const lengths = framesOn(steps[2]!.frames, "router/eth1").map(({ ip }) => ip!.length);
    expect(lengths).toEqual(new Array(92).fill(1429));
  });
});

const HOSTS = Array.from({ length: 40 }, (_, i) => `10.0.2.${100 + i}`);
const HOST_MAC = "02:00:00:00:05:64";
const reply = (host: string): LabStep => ({
  op: "frame",
  at: "s/eth0",
  frame: { eth: { src: HOST_MAC, dst: OUTER_MAC }, arp: { op: "reply", spa: host, tpa: OUTER, tha: OUTER_MAC } },
});
const speak = (host: string): LabStep => fromClient(udp(`${CLIENT}:5000`, `${host}:53`));
const resolve = (host: string): LabStep[] => [speak(host), reply(host)];

describe("8 Neighbours that are known", () => {
  test("base_reachable 30 s (±50 % random)", () => {
    const meet = HOSTS.flatMap(resolve);
    const at = (ms: number) => {
      const { steps } = runRouter([...meet, sleep(ms), stateOf()]);
      return neighboursAt(steps[steps.length - 1]!).filter(
        ({ dev, state }) => dev === "eth1" && state[0] === "REACHABLE",
      ).length;
    };
    expect([at(1), at(14_999), at(45_001)]).toEqual([40, 40, 0]);
    expect(at(22_000)).toBeLessThan(40);
    expect(at(38_000)).toBeGreaterThan(0);
  });

  const HOST = HOSTS[0]!;
  const aged = [...resolve(HOST), sleep(60_000)];
  const stateAfter = (...steps: LabStep[]): string => {
    const result = runRouter([...aged, ...steps, stateOf()]);
    return neighboursAt(result.steps[aged.length + steps.length]!).find(({ ip }) => ip === HOST)!.state[0]!;
  };

  test("delay 5 s", () => {
    expect([stateAfter(), stateAfter(speak(HOST))]).toEqual(["STALE", "DELAY"]);
    expect([stateAfter(speak(HOST), sleep(4990)), stateAfter(speak(HOST), sleep(5050))]).toEqual(["DELAY", "PROBE"]);
    const sent = timeline(routerCase([...aged, speak(HOST), sleep(100)]), "router/eth1");
    expect(sent[sent.length - 1]!.text).toBe(`udp ${CLIENT}:5000 > ${HOST}:53 ttl 63`);
  });

  test("3 unicast probes", () => {
    const sent = timeline(routerCase([...aged, speak(HOST), sleep(20_000)]), "router/eth1").filter(
      ({ at, type }) => at > 60_000 && type === 0x0806,
    );
    expect(sent.map(({ destination }) => destination)).toEqual(new Array(3).fill(HOST_MAC));
    for (const [i, { at }] of sent.entries()) about(at - 60_000, 5000 + 1000 * i);
    expect([stateAfter(speak(HOST), sleep(7990)), stateAfter(speak(HOST), sleep(8100))]).toEqual(["PROBE", "FAILED"]);
    expect(stateAfter(speak(HOST), sleep(5500), reply(HOST))).toBe("REACHABLE");
  });
});

describe("8 Local senders", () => {
  const opened: LabStep = { op: "udp", ns: "router", id: "u", bind: ["0.0.0.0", 5000] };
  const sendTo = (address: string): LabStep => ({ op: "send", id: "u", to: [address, 53], size: 4 });

  test("get EHOSTUNREACH later", () => {
    const { steps } = runRouter([
      opened,
      sendTo(NOBODY),
      sleep(2990),
      { op: "recv", id: "u" },
      sleep(100),
      { op: "recv", id: "u" },
    ]);
    expect([1, 3, 5].map((i) => (steps[i]!.result as { err?: string }).err)).toEqual([
      undefined,
      undefined,
      "EHOSTUNREACH",
    ]);
  });

  test("no route is ENETUNREACH at once", () => {
    const { steps } = runRouter([opened, sendTo("198.51.100.1")]);
    expect(steps[1]!.result).toEqual({ err: "ENETUNREACH" });
    expect(toServer(steps[1]!)).toEqual([]);
  });
});
