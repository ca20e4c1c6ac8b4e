import { describe, expect, test } from "vitest";
import { Tuple } from "../../../src/kernel/conntrack/connection.ts";
import { choosePort, classOf } from "../../../src/kernel/nat/port-choice.ts";
import type { Manip, NatRange } from "../../../src/kernel/nat/range.ts";
import type { LabStep } from "../../../src/scenario/lab-case.ts";
import { Random } from "../../../src/sim/random.ts";
import {
  CLIENT,
  dropsOf,
  echo,
  entries,
  framesOn,
  fromClient,
  hits,
  INNER,
  OUTER,
  runRouter,
  SERVER,
  SERVER_MAC,
  table,
  tcp,
  toServer,
  udp,
} from "./router.ts";

const ANY: NatRange = { addresses: null, ports: null, random: "no", persistent: false, basePort: null };
const ports = (min: number, max: number): NatRange => ({ ...ANY, ports: { min, max } });

interface Search {
  readonly manip?: Manip;
  readonly seed?: number;
  readonly protocol?: number;
  readonly free?: (port: number) => boolean;
}

/** The ports that a search tries, in order, until `free` likes one. */
function tried(from: number, range: NatRange, options: Search = {}): number[] {
  const { manip = "source", seed = 1, protocol = 17, free = () => false } = options;
  const tuple = new Tuple().set(1, 2, protocol, manip === "source" ? from : 9, manip === "source" ? 53 : from);
  const seen: number[] = [];
  choosePort(tuple, manip, range, new Random(seed), (candidate) => {
    const port = manip === "source" ? candidate.sourcePort : candidate.destinationPort;
    seen.push(port);
    return !free(port);
  });
  expect(manip === "source" ? tuple.sourcePort : tuple.destinationPort).toBe(seen[seen.length - 1]);
  return seen;
}

/** Lengths of the runs in which each port follows the one before. */
function runs(seen: readonly number[], min: number, size: number): number[] {
  const lengths: number[] = [];
  seen.forEach((port, i) => {
    if (i > 0 && port === min + ((seen[i - 1]! - min + 1) % size)) lengths[lengths.length - 1]!++;
    else lengths.push(1);
  });
  return lengths;
}

describe("5 Source selection: (5) random offset in the range, then linear, 128 attempts, then new offsets with 64, 32, 16", () => {
  test("128 attempts, then new offsets with 64, 32, 16, and 8", () => {
    for (let seed = 1; seed <= 50; seed++)
      expect(runs(tried(5000, ANY, { seed }), 1024, 64_512)).toEqual([128, 64, 32, 16, 8]);
  });

  test("a range of at most 128 is tried once through, from a random offset", () => {
    for (const size of [1, 4, 15, 16, 127, 128]) {
      const seen = tried(5000, ports(7000, 7000 + size - 1));
      expect(runs(seen, 7000, size)).toEqual([size]);
      expect(new Set(seen).size).toBe(size);
    }
    expect(runs(tried(5000, ports(7000, 7128)), 7000, 129)).toEqual([128, 64, 32, 16, 8]);
    const first = new Set(
      Array.from({ length: 400 }, (_, seed) => tried(5000, ports(7000, 7003), { seed, free: () => true })[0]),
    );
    expect([...first].sort()).toEqual([7000, 7001, 7002, 7003]);
  });

  test("the first free port ends the search", () => {
    const seen = tried(5000, ports(7000, 7099), { free: (port) => port % 10 === 3 });
    expect(seen[seen.length - 1]! % 10).toBe(3);
    expect(seen.length).toBeLessThanOrEqual(10);
  });
});

/** The least and the greatest port that 60,000 searches begin with. */
function extent(from: number, protocol = 17): [number, number] {
  let least = 65_536;
  let greatest = -1;
  for (let seed = 0; seed < 60_000; seed++) {
    const [port] = tried(from, ANY, { seed, protocol, free: () => true });
    least = Math.min(least, port!);
    greatest = Math.max(greatest, port!);
  }
  return [least, greatest];
}

describe("5 Default ranges by original port: <512 → 1-511; 512-1023 → 600-1023; ≥1024 → 1024-65535; ICMP id 0-65535", () => {
  test.each([
    [1, 1, 511],
    [511, 1, 511],
    [512, 600, 1023],
    [1023, 600, 1023],
    [1024, 1024, 65_535],
    [65_535, 1024, 65_535],
  ])("port %i → %i-%i", (port, min, max) => {
    expect(classOf(port)).toEqual({ min, size: max - min + 1 });
  });

  test("<512 → 1-511 as drawn", { timeout: 30_000 }, () => {
    expect(extent(300)).toEqual([1, 511]);
  });

  test("512-1023 → 600-1023 as drawn", { timeout: 30_000 }, () => {
    expect(extent(700)).toEqual([600, 1023]);
  });

  test("≥1024 → 1024-65535 as drawn", { timeout: 30_000 }, () => {
    const [least, greatest] = extent(5000);
    expect(least).toBeGreaterThanOrEqual(1024);
    expect(least).toBeLessThan(1040);
    expect(greatest).toBeGreaterThan(65_520);
  });

  test("ICMP id 0-65535 as drawn", { timeout: 30_000 }, () => {
    const [least, greatest] = extent(5, 1);
    expect(least).toBeLessThan(16);
    expect(greatest).toBeGreaterThan(65_520);
  });
});

const CLIENTS = Array.from({ length: 6 }, (_, i) => `10.0.1.${10 + i}`);
const snat = (to: string, more = ""): string =>
  table(
    "nat",
    `-A POSTROUTING -p udp -j SNAT --to-source ${to}${more}`,
    `-A POSTROUTING -p tcp -j SNAT --to-source ${to}${more}`,
  );
const sources = (steps: LabStep[], rules: string): string[] =>
  runRouter(steps, { rules }).steps.flatMap(({ frames }) =>
    framesOn(frames, "router/eth1").map(({ ip }) => ip!.text.split(" ")[1]!),
  );

describe("5 NAT ports on the wire", () => {
  test("All taken → the last try is used and the packet is dropped at confirm (SNAT to 4 ports, 5th flow: no frame)", () => {
    const rules = snat(`${OUTER}:7000-7003`) + table("mangle", "-A POSTROUTING -m conntrack --ctstate NEW");
    const steps = CLIENTS.slice(0, 5).map((client) => fromClient(udp(`${client}:5000`, `${SERVER}:53`)));
    const result = runRouter(steps, { rules });
    expect(result.steps.map((step) => toServer(step).length)).toEqual([1, 1, 1, 1, 0]);
    expect(hits(result, "POSTROUTING", 1, "mangle")).toBe(5);
    expect(dropsOf(result.steps[4]!)).toHaveLength(1);
    expect(entries(result)).toHaveLength(4);
    expect(new Set(entries(result).map(({ reply }) => reply.dport))).toEqual(new Set([7000, 7001, 7002, 7003]));
  });

  test("TCP: near the end of the search a TIME_WAIT/CLOSE entry may be evicted", () => {
    const closed = CLIENTS.slice(0, 4).flatMap((client, i) => {
      const port = 7000 + i;
      const opened = fromClient(tcp(`${client}:${port}`, `${SERVER}:80`, "S", { seq: 1000 }));
      const answer = tcp(`${SERVER}:80`, `${OUTER}:${port}`, "SA", { seq: 9000, ack: 1001 });
      const reset = tcp(`${SERVER}:80`, `${OUTER}:${port}`, "RA", { seq: 9001, ack: 1001 });
      const back = (pkt: typeof answer): LabStep => ({
        op: "frame",
        at: "s/eth0",
        frame: { eth: { src: SERVER_MAC, dst: "02:00:00:00:01:02" }, ...pkt },
      });
      return [
        opened,
        back(answer),
        fromClient(tcp(`${client}:${port}`, `${SERVER}:80`, "A", { seq: 1001, ack: 9001 })),
        back(reset),
      ];
    });
    const fifth = (seq: number) => fromClient(tcp(`${CLIENTS[4]}:5000`, `${SERVER}:80`, "S", { seq }));
    const sent = (seq: number) => {
      const result = runRouter([...closed, fifth(seq)], { rules: snat(`${OUTER}:7000-7003`) });
      return toServer(result.steps[16]!).length;
    };
    expect(sent(500)).toBe(0);
    expect(sent(100_000)).toBe(1);
  });

  test("DNAT with a port range starts at the first free port (offset 0), not random", () => {
    const rules = table("nat", `-A PREROUTING -d ${INNER}/32 -p udp -j DNAT --to-destination ${SERVER}:6000-6009`);
    const call = (port: number, from = CLIENT) => fromClient(udp(`${from}:5000`, `${INNER}:${port}`));
    const { steps } = runRouter([call(53), call(54), call(55), call(53, "10.0.1.10"), call(6007)], { rules });
    expect(steps.flatMap(toServer)).toEqual([
      `udp ${CLIENT}:5000 > ${SERVER}:6000 ttl 63`,
      `udp ${CLIENT}:5000 > ${SERVER}:6001 ttl 63`,
      `udp ${CLIENT}:5000 > ${SERVER}:6002 ttl 63`,
      `udp 10.0.1.10:5000 > ${SERVER}:6000 ttl 63`,
      `udp ${CLIENT}:5000 > ${SERVER}:6007 ttl 63`,
    ]);
  });

  test("6000-6009/90 maps by offset", () => {
    const rules = table("nat", `-A PREROUTING -d ${INNER}/32 -p udp -j DNAT --to-destination ${SERVER}:6000-6009/90`);
    const call = (port: number) => fromClient(udp(`${CLIENT}:5000`, `${INNER}:${port}`));
    const { steps } = runRouter([90, 93, 99, 100].map(call), { rules });
    const chosen = steps.flatMap(toServer).map((line) => /:(\d+) ttl/.exec(line)![1]);
    expect(chosen).toEqual(["6000", "6003", "6009", "6001"]);
  });

  const spread = (rules: string): Set<string> =>
    new Set(
      sources(
        Array.from({ length: 40 }, (_, i) => fromClient(udp(`${CLIENT}:${2000 + i}`, `${SERVER}:53`))),
        rules,
      ),
    );
  const inRange = (set: Set<string>): number[] =>
    [...set].map((end) => Number(end.split(":")[1])).sort((a, b) => a - b);

  test.each([
    ["SNAT", snat(`${OUTER}:20000-29999`)],
    ["MASQUERADE --to-ports", table("nat", "-A POSTROUTING -p udp -j MASQUERADE --to-ports 20000-29999")],
    ["SNAT --random", snat(`${OUTER}:20000-29999`, " --random")],
    ["SNAT --random-fully", snat(`${OUTER}:20000-29999`, " --random-fully")],
  ])("%s is random", (_, rules) => {
    const chosen = inRange(spread(rules));
    expect(chosen).toHaveLength(40);
    expect(chosen[0]).toBeGreaterThanOrEqual(20_000);
    expect(chosen[39]).toBeLessThanOrEqual(29_999);
    expect(chosen[39]! - chosen[0]!).toBeGreaterThan(5000);
  });

  test.each(["--random", "--random-fully"])("%s changes even a port that is free", (flag) => {
    const kept = spread(snat(OUTER));
    const drawn = spread(snat(OUTER, ` ${flag}`));
    expect(inRange(kept)).toEqual(Array.from({ length: 40 }, (_, i) => 2000 + i));
    expect(inRange(drawn).filter((port) => port >= 2000 && port < 2040)).toHaveLength(0);
  });

  test("a clash of ICMP ids moves the id", () => {
    const rules = table("nat", "-A POSTROUTING -j MASQUERADE");
    const { steps } = runRouter(
      CLIENTS.slice(0, 2).map((client) => fromClient(echo(client, SERVER, 5))),
      { rules },
    );
    const ids = steps.map(({ frames }) => framesOn(frames, "router/eth1")[0]!.ip!.icmp!.id);
    expect(ids[0]).toBe(5);
    expect(ids[1]).not.toBe(5);
  });
});
